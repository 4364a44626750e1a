"""OCPP on the wire: frames, messages, schemas, and the connection that carries them."""
