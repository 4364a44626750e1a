"""Stations forwarded to an upstream central system: what goes up, what may come down, and its limits."""
