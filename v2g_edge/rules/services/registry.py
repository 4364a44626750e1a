"""The one table of services. A new service: its kind in ``model.service``, its pure file here, its row,
its vectors as tests.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from v2g_edge.model.service import ServiceKind


class Entry(NamedTuple):
    """``moves``: what it acts on. "frequency" and "signal" move set-points in every tick, "floor" keeps
    energy in the vehicles, "limit" bounds the connection, "plan" is served by the day plan alone.
    """

    title: str
    moves: Literal["frequency", "signal", "floor", "limit", "plan"]


SERVICES: Final[Mapping[ServiceKind, Entry]] = {
    "fcr": Entry("frequency containment, Continental Europe", "frequency"),
    "fcr_n": Entry("frequency containment, Nordic normal operation", "frequency"),
    "fcr_d_up": Entry("frequency containment, Nordic disturbance, up", "frequency"),
    "fcr_d_down": Entry("frequency containment, Nordic disturbance, down", "frequency"),
    "dc": Entry("dynamic containment, Great Britain", "frequency"),
    "dm": Entry("dynamic moderation, Great Britain", "frequency"),
    "dr": Entry("dynamic regulation, Great Britain", "frequency"),
    "regulation": Entry("a buyer's two-second signal", "signal"),
    "demand_response": Entry("a programme's events", "signal"),
    "peak_shaving": Entry("demand charges", "limit"),
    "arbitrage": Entry("buying cheap and selling dear", "plan"),
    "zero_import": Entry("no import beyond departures", "limit"),
    "zero_export": Entry("no export", "limit"),
    "backup": Entry("energy kept for an outage", "floor"),
    "limit": Entry("limits from outside", "limit"),
}
