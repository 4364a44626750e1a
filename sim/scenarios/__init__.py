"""What is played: presets and importers."""
