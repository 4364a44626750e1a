"""OCPP 2.0.1: the shared messages of 2.x, and how a lease is written."""

from v2g_edge.field.ocpp.messages import Version
from v2g_edge.field.ocpp.v2 import V2


class V201(V2):
    """See ``v2``. Discharge is a negative ``limit``, and only for outlets whose ``discharge_by`` says so."""

    version: Version = "2.0.1"
