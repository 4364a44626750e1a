"""Prices, tariffs and programme signals from outside: files and feeds in, typed rows out."""
