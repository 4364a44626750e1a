"""The daemon as monitoring sees it: numbers, their format, what runs out."""
