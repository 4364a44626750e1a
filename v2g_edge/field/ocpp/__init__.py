"""The central system for OCPP 1.6, 2.0.1 and 2.1. Begin with ``machine`` (frames), then ``station``
(meaning), ``leases``.
"""
