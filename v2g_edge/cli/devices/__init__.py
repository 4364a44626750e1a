"""Commands that look at one device."""
