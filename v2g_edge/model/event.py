"""Something that happened and that a person may want to know. Kinds are listed in ``docs/events.md``."""

from typing import Literal

from msgspec import Struct

Severity = Literal["info", "warning", "alarm", "trip"]


class Event(Struct, frozen=True):
    """``kind`` is a stable identifier, ``subject`` a device, feeder or vehicle id, or "site"; ``text`` is
    for people.
    """

    kind: str
    severity: Severity
    subject: str
    text: str
    wall_s: float
    data: tuple[tuple[str, float], ...] = ()
