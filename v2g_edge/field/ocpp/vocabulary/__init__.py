"""What stations report and get, as values: readings, profiles, settings, and how far they were obeyed."""
