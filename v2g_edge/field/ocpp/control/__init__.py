"""An outlet under control: charging profiles set, read back and audited."""
