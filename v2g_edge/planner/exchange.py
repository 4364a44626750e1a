"""What goes to the planner's own process and what comes back, as MessagePack."""

from typing import Final

import msgspec
from msgspec import Struct

from v2g_edge.model.orders import Ahead
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.report import Report
from v2g_edge.planner.stay import Past

AHEAD_S: Final = 50 * 3_600.0
"""Prices for later than the two days of a plan stay at home."""
BEHIND_S: Final = 3_600.0
"""The price of the present hour began at most so long ago."""


class Setup(Struct, frozen=True):
    """What holds for the life of a worker."""

    site: Site
    terms: PriceSettings


class Demand(Struct, frozen=True):
    """A demand charge: what is billed already, and what the window that runs since ``started_wall_s`` has
    drawn.
    """

    name: str
    per_kw: float
    billed_kw: float
    window_s: float
    drawn_kwh: float
    started_wall_s: float


class Held(Struct, frozen=True):
    """Power and hours of energy that a service holds in every slot."""

    name: str
    up_kw: float
    down_kw: float
    hours: float


class Job(Struct, frozen=True):
    """One question. ``limit_s`` is the solver's own limit, shorter than the worker's deadline. ``ahead``:
    lower limits of feeders with their hours; None where the clock is a guess: then those that hold now
    hold throughout. ``base_kw``: what the building is expected to draw in each quarter hour from the present
    one on; () where that is not known. ``base_error_kw``: what that was off by in the mean of the last week.
    """

    snapshot: Snapshot
    prices: tuple[Price, ...]
    pasts: dict[str, Past]
    limit_s: float
    demand: tuple[Demand, ...] = ()
    reserves: tuple[Held, ...] = ()
    ahead: tuple[Ahead, ...] | None = None
    base_kw: tuple[float, ...] = ()
    base_error_kw: float | None = None


class Answer(Struct, frozen=True):
    """A plan with its report, or what went wrong."""

    plan: Plan | None = None
    report: Report | None = None
    fault: str = ""


SETUP: Final = msgspec.msgpack.Decoder(Setup)
JOB: Final = msgspec.msgpack.Decoder(Job)
ANSWER: Final = msgspec.msgpack.Decoder(Answer)
ENCODER: Final = msgspec.msgpack.Encoder()


def job_of(
    snapshot: Snapshot,
    prices: tuple[Price, ...],
    pasts: dict[str, Past],
    limit_s: float,
    demand: tuple[Demand, ...] = (),
    reserves: tuple[Held, ...] = (),
    ahead: tuple[Ahead, ...] | None = None,
    base_kw: tuple[float, ...] = (),
    base_error_kw: float | None = None,
) -> Job:
    """A job with the prices that its plan can use."""
    near = snapshot.wall_s - BEHIND_S, snapshot.wall_s + AHEAD_S
    told = tuple(price for price in prices if near[0] <= price.start_wall_s <= near[1])
    return Job(snapshot, told, pasts, limit_s, demand, reserves, ahead, base_kw, base_error_kw)
