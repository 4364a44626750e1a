"""Simulated charging stations, by OCPP version."""
