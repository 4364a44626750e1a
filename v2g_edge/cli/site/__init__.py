"""Commands about a site file and what it sets up."""
