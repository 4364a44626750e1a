"""The central system for OCPP 1.6, 2.0.1 and 2.1. Begin with ``wire.machine`` (frames), then
``station`` (meaning) and ``vocabulary.charging_profiles`` (leases).
"""
