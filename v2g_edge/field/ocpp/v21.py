"""OCPP 2.1: what it has beyond 2.0.1."""

from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.v2 import V2


class V21(V2):
    """See ``v2``. Discharge is a ``CentralSetpoint`` below zero."""

    version: Version = "2.1"
    discharge_by = "setpoint"
