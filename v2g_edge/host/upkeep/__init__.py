"""What keeps the installation well: backups, and updates that fall back."""
