"""Explains and accounts for what was decided. Reads ticks, live or from the journal, never the field."""
