"""Commands that read a journal."""
