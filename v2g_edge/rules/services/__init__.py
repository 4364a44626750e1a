"""Grid services: one pure file each, listed in ``registry``. + is up: less import, more export."""
