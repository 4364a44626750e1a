"""v2g-edge: a daemon that runs a depot of bidirectional chargers from a small computer on site."""

__version__ = "0.6.0"
