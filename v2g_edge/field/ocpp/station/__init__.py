"""What is known of one station: its outlets, its sessions, its model, and what is kept on disk."""
