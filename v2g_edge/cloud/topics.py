"""The topics of one site. What they carry is described in ``docs/cloud.md``; a test keeps the two alike."""

from typing import Final, NamedTuple

NAMES: Final = (
    "plan",
    "plan/request",
    "plan/ack",
    "telemetry",
    "telemetry/past",
    "events",
    "events/ack",
    "status",
    "signal",
    "flexibility",
)


class Topics(NamedTuple):
    """Full topic names: ``plan``, ``events_ack`` and ``signal`` come in, all others go out."""

    plan: str
    plan_request: str
    plan_ack: str
    telemetry: str
    telemetry_past: str
    events: str
    events_ack: str
    status: str
    signal: str
    flexibility: str


def topics_of(prefix: str, site_id: str) -> Topics:
    """The topics below ``prefix``/``site_id``."""
    return Topics(*(f"{prefix}/{site_id}/{name}" for name in NAMES))
