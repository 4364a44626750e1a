"""The depot's Modbus devices as they look on the wire: meters and inputs fed by the physics, with faults
on demand.
"""
