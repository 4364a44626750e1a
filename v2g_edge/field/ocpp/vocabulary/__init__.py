"""What stations say and are told, as values: readings, profiles, settings, and how far they were obeyed."""
