"""Independent judges of the physical truth."""
