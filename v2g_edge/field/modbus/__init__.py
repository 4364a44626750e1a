"""Modbus: registers ↔ readings and setpoints, over TCP, TLS and serial lines.

``bus`` is the way in, ``docs/modbus.md`` the manual.
"""
