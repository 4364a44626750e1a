"""Parts of the wiring: what joins rooms that do not know each other. ``app`` puts them together."""
