"""What the journal still has of the time before its ticks: a row of each outlet and meter a quarter hour, for
years. A ledger that is begun late takes its energy from them; sessions, services and registers are not there.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Protocol

from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import VehicleState
from v2g_edge.study.ledger.book import State, Written
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Place, Remark
from v2g_edge.study.ledger.store import Store

BATCH: Final = 2_000
"""Quarter hours of one transaction: three weeks, each with a remark."""
SERVICE: Final = "not recorded"
SESSION: Final = "quarter hours"
"""Stands for whatever stay it was."""
TEXT: Final = (
    "from the journal's quarter hours: energy by power, no sessions, services or registers; depth and"
    " departures of this time are not known"
)
MISSING: Final = "nothing was recorded"


class PowerRow(Protocol):
    """One outlet or meter in a quarter hour, as the journal keeps it."""

    @property
    def id(self) -> str:
        """Of the outlet or meter."""

    @property
    def in_wh(self) -> float:
        """Charged or imported."""

    @property
    def out_wh(self) -> float:
        """Discharged or exported."""

    @property
    def least_w(self) -> float:
        """Least power; below 0 where it gave."""


class OutletRow(PowerRow, Protocol):
    """With its vehicle at the end."""

    @property
    def vehicle(self) -> str:
        """ "" where it is not known."""

    @property
    def soc_pct(self) -> float:
        """−1 where it is not known."""


class Quarter(Protocol):
    """A quarter hour or a part of one."""

    @property
    def start_wall_s(self) -> float:
        """UTC epoch seconds."""

    @property
    def seconds(self) -> float:
        """How much of it was recorded."""

    @property
    def outlets(self) -> Sequence[OutletRow]:
        """By outlet."""

    @property
    def meters(self) -> Sequence[PowerRow]:
        """By meter."""


Quarters = Callable[[float], Iterable[Quarter]]
"""The quarter hours that begin at a time or later."""


def backfill(store: Store, quarters: Quarters, before_wall_s: float, place: Place, state: State) -> int:
    """Take the quarter hours before the first tick, those that are not in yet. Gives how many."""
    filled_s = state.filled_wall_s
    rows = (
        each
        for each in quarters(filled_s)
        if each.seconds > 0.0
        and each.start_wall_s > filled_s
        and each.start_wall_s + each.seconds <= before_wall_s
    )
    taken, end_s = 0, filled_s + INTERVAL_S if filled_s else 0.0
    while batch := list(islice(rows, BATCH)):
        lines = [line for each in batch for line in _lines(each)]
        remarks = []
        for each in batch:
            if end_s and each.start_wall_s - end_s >= INTERVAL_S:
                remarks.append(Remark(end_s, each.start_wall_s, "site", "missing", MISSING))
            end_s = each.start_wall_s + each.seconds
            _note(state, each)
        remarks.append(Remark(batch[0].start_wall_s, end_s, "site", "quarter_hours", TEXT))
        state.filled_wall_s = batch[-1].start_wall_s
        turns, state.garage.turns = state.garage.turns, []
        store.keep(Written(lines, turns, [], remarks), state, place)
        taken += len(batch)
    return taken


def _lines(quarter: Quarter) -> Iterable[Line]:
    start_s = quarter.start_wall_s - quarter.start_wall_s % INTERVAL_S
    for row in quarter.outlets:
        session = SESSION if row.vehicle else ""
        # How long it gave is not kept: at its greatest power it gave for at least so long.
        gave_s = row.out_wh * 3_600.0 / -row.least_w if row.out_wh and row.least_w < 0.0 else 0.0
        yield Line(
            start_s, row.id, session, row.vehicle, SERVICE, "power", row.in_wh, row.out_wh,
            min(gave_s, quarter.seconds),
        )  # fmt: skip
    for meter in quarter.meters:
        yield Line(start_s, meter.id, "grid", "", "grid", "power", meter.in_wh, meter.out_wh, 0.0)


def _note(state: State, quarter: Quarter) -> None:
    """SoC, cycles and time plugged in of the vehicles."""
    for row in quarter.outlets:
        if row.vehicle:
            soc_pct = row.soc_pct if row.soc_pct >= 0.0 else None
            vehicle = VehicleState(SESSION, row.vehicle, quarter.start_wall_s)
            if soc_pct is not None:
                vehicle = VehicleState(
                    SESSION, row.vehicle, quarter.start_wall_s, soc_pct=Reading(soc_pct, 0.0)
                )
            state.garage.account(vehicle, soc_pct, quarter.seconds, quarter.start_wall_s + quarter.seconds)
