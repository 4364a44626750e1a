"""Register maps as data, one TOML file per device family. ``docs/modbus.md`` explains every key."""
