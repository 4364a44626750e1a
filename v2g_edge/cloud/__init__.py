"""The optional cloud: MQTT session, plan inbox, outbox on disk."""
