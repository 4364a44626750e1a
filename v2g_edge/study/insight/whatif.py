"""Counterfactuals of a night that was: every vehicle charging as it came, managed charging only, and V2G,
under these or other prices, caps and limits; each brings every vehicle to the charge with which it left.

The managed ones are the optimum with hindsight, by the day plan's own problem and solver: an upper bound that
no forecast reaches. What was metered stands beside them, so that what was left on the table can be read off.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from v2g_edge.model.site import Site
from v2g_edge.planner import highs
from v2g_edge.planner.problem import Depth, Pack, Problem
from v2g_edge.study.insight.change import Change
from v2g_edge.study.insight.twin import play
from v2g_edge.study.ledger.extend import RecordedTick
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Place, Stay
from v2g_edge.study.ledger.store import Store

Floats = NDArray[np.float64]
HOURS: Final = INTERVAL_S / 3_600.0
FLOOR_PCT: Final = 20.0
"""SoC below which the optimum gives nothing, where nobody says another."""
LIMIT_S: Final = 20.0
"""A night that the solver has not done by then has no counterfactual, and is named."""


class Piece(NamedTuple):
    """The part of a stay within a night: slots ``first`` ≤ t < ``end``; energies in kWh."""

    name: str
    first: int
    end: int
    start_kwh: float
    end_kwh: float
    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    efficiency: float


class Way(Struct, frozen=True):
    """One way through a night.

    Attributes:
        name: "metered", "uncontrolled", "managed", "V2G" or "rules".
        energy: Cost of energy at the connection beyond the building's own, sold energy taken off.
        wear: Cost of wear by giving.
        stored: Worth of what the vehicles hold beyond what they really left with, at the night's mean price.
        in_kwh: Into the vehicles.
        out_kwh: Out of them.
        peak_kw: Highest quarter hour of the connection.
    """

    name: str
    energy: float
    wear: float
    stored: float
    in_kwh: float
    out_kwh: float
    peak_kw: float

    @property
    def cost(self) -> float:
        """All of it."""
        return self.energy + self.wear - self.stored


class Night(Struct, frozen=True):
    """A night's ways. ``notes``: what was assumed, or why there are none. ``left`` and ``short``: departures
    of the way by the rules, and how many of them lacked charge.
    """

    start_wall_s: float
    vehicles: int
    ways: tuple[Way, ...]
    notes: tuple[str, ...]
    left: int = 0
    short: int = 0


class Record(NamedTuple):
    """A journal: its ticks from a time on, and the site of a run."""

    ticks: Callable[[float], Iterable[RecordedTick]]
    site: Callable[[int], Site]


def nights_of(
    store: Store,
    starts: Sequence[float],
    prices: Mapping[float, float],
    change: Change,
    record: Record | None = None,
) -> Iterator[Night]:
    """Each night from noon to noon; ``starts`` are the noons, ``prices`` by interval. With a ``record`` the
    depot's own rules play it too.
    """
    for start_s in starts:
        yield night_of(store, start_s, prices, change, record)


def night_of(
    store: Store,
    start_s: float,
    prices: Mapping[float, float],
    change: Change,
    record: Record | None = None,
) -> Night:
    """One night."""
    place = store.site
    until_s = _next_noon(start_s, place.timezone)
    slots = round((until_s - start_s) / INTERVAL_S)
    lines = list(store.lines(start_s - 7 * 86_400.0, until_s))
    pieces, notes = _pieces(store.stays(start_s, until_s), lines, place, start_s, slots, change)
    price = np.array([prices.get(start_s + n * INTERVAL_S, np.nan) for n in range(slots)])
    if np.isnan(price).any():
        hours = int(np.isnan(price).sum()) / 4.0
        return Night(start_s, len(pieces), (), (f"no price for {hours:g} hours of it", *notes))
    buy, sell = price + change.buy_add, np.minimum(price + change.sell_add, price + change.buy_add)
    own = {name for name, *_ in place.ratings}
    metered = _metered([line for line in lines if line.start_wall_s >= start_s], own, place, start_s, slots)
    base_kw = metered.base_kw
    charge, discharge = metered.in_kw, metered.out_kw
    ways = [_way("metered", charge, discharge, base_kw, buy, sell, change, 0.0)]
    mean = float(buy.mean())
    plain = _uncontrolled(pieces, slots)
    ways.append(
        _way("uncontrolled", plain, np.zeros(slots), base_kw, buy, sell, change, mean * _over(pieces))
    )
    for name, gives in (("managed", False), ("V2G", change.gives)):
        problem = _problem(pieces, place, base_kw, buy, sell, change, start_s, gives=gives, worth=mean)
        try:
            found = highs.solve(problem, limit_s=LIMIT_S)
        except highs.NoSolutionError as error:
            notes.append(f"{name}: no optimum ({error})")
            continue
        over = _left_over(pieces, found.charge_kw, found.discharge_kw)
        inward, outward = found.charge_kw.sum(axis=0), found.discharge_kw.sum(axis=0)
        ways.append(_way(name, inward, outward, base_kw, buy, sell, change, mean * over))
        if found.short_kwh:
            short = sum(kwh for _, kwh in found.short_kwh)
            notes.append(f"{name}: {short:.1f} kWh do not fit the connection")
    played = play(record.ticks(start_s), record.site, change, prices, start_s, slots) if record else None
    if played is None:
        return Night(start_s, len(pieces), tuple(ways), tuple(notes))
    into, out, over = played.charge_kw, played.discharge_kw, played.over_kwh
    ways.append(_way("rules", into, out, base_kw, buy, sell, change, mean * over))
    notes += [f"rules: {name} left with {pct:.1f} % less than it needed" for name, pct in played.short]
    return Night(start_s, len(pieces), tuple(ways), tuple(notes), played.left, len(played.short))


def _next_noon(start_s: float, timezone: str) -> float:
    """The same hour of the next local day: nights of 23 and 25 hours are as long as they are."""
    moment = datetime.fromtimestamp(start_s, UTC).astimezone(ZoneInfo(timezone))
    return (moment + timedelta(days=1)).timestamp()


class _Metered(NamedTuple):
    in_kw: Floats
    out_kw: Floats
    base_kw: Floats


def _metered(lines: Sequence[Line], outlets: set[str], place: Place, start_s: float, slots: int) -> _Metered:
    inward, outward, grid = np.zeros(slots), np.zeros(slots), np.zeros(slots)
    for line in lines:
        slot = int((line.start_wall_s - start_s) // INTERVAL_S)
        if 0 <= slot < slots and line.meter in outlets:
            inward[slot] += line.in_wh / 1e3 / HOURS
            outward[slot] += line.out_wh / 1e3 / HOURS
        elif 0 <= slot < slots and line.meter == place.grid_meter:
            grid[slot] += (line.in_wh - line.out_wh) / 1e3 / HOURS
    base = grid - inward + outward if place.grid_meter else np.zeros(slots)
    return _Metered(inward, outward, base)


def _pieces(
    stays: Sequence[Stay], lines: Sequence[Line], place: Place, start_s: float, slots: int, change: Change
) -> tuple[list[Piece], list[str]]:
    ratings = {name: _rating(change, *rating) for name, *rating in place.ratings}
    flows: dict[str, list[Line]] = {}
    for line in lines:
        flows.setdefault(line.session, []).append(line)
    pieces, notes = [], []
    for stay in stays:
        first = max(int(np.ceil((stay.arrived_wall_s - start_s) / INTERVAL_S)), 0)
        left_s = stay.left_wall_s if stay.left_wall_s is not None else start_s + slots * INTERVAL_S
        end = min(int((left_s - start_s) // INTERVAL_S), slots)
        if end <= first or stay.meter not in ratings:
            continue
        if stay.first_pct is None or not stay.capacity_wh:
            notes.append(f"{stay.vehicle or stay.meter}: SoC or capacity not known, left out")
            continue
        charge_kw, discharge_kw, efficiency = ratings[stay.meter]
        had_kwh = stay.first_pct / 100.0 * stay.capacity_wh / 1e3
        before = _stored(flows.get(stay.session, []), 0.0, start_s, efficiency)
        within = _stored(flows.get(stay.session, []), start_s, start_s + slots * INTERVAL_S, efficiency)
        begin = min(max(had_kwh + before, 0.0), stay.capacity_wh / 1e3)
        aim = min(max(begin + within, 0.0), stay.capacity_wh / 1e3)
        name = f"{stay.session}@{stay.meter}"
        pieces.append(
            Piece(name, first, end, begin, aim, stay.capacity_wh / 1e3, charge_kw, discharge_kw, efficiency)
        )
    return pieces, notes


def _rating(change: Change, in_w: float, out_w: float, efficiency: float) -> tuple[float, float, float]:
    """(kW in, kW out, efficiency) of an outlet under other terms."""
    if change.charger_kw is None:
        return in_w / 1e3, out_w / 1e3, efficiency
    return change.charger_kw, change.charger_kw if out_w else 0.0, efficiency


def _stored(lines: Sequence[Line], from_s: float, until_s: float, efficiency: float) -> float:
    """kWh that the lines of a time brought into the battery."""
    mine = [line for line in lines if from_s <= line.start_wall_s < until_s]
    return sum(line.in_wh * efficiency - line.out_wh / efficiency for line in mine) / 1e3


def _uncontrolled(pieces: Sequence[Piece], slots: int) -> Floats:
    """Full power from the moment it is plugged in."""
    power = np.zeros(slots)
    for piece in pieces:
        need = max(piece.end_kwh - piece.start_kwh, 0.0) / piece.efficiency
        for slot in range(piece.first, piece.end):
            taken = min(piece.charge_kw, need / HOURS)
            power[slot] += taken
            need -= taken * HOURS
    return power


def _over(pieces: Sequence[Piece]) -> float:
    """What vehicles hold beyond their aim where nothing is given."""
    return sum(max(piece.start_kwh - piece.end_kwh, 0.0) for piece in pieces)


def _left_over(pieces: Sequence[Piece], charge_kw: Floats, discharge_kw: Floats) -> float:
    total = 0.0
    for n, piece in enumerate(pieces):
        flow = charge_kw[n].sum() * piece.efficiency - discharge_kw[n].sum() / piece.efficiency
        total += piece.start_kwh + float(flow) * HOURS - piece.end_kwh
    return total


def _problem(
    pieces: Sequence[Piece],
    place: Place,
    base_kw: Floats,
    buy: Floats,
    sell: Floats,
    change: Change,
    start_s: float,
    *,
    gives: bool,
    worth: float,
) -> Problem:
    into = change.connection_kw if change.connection_kw is not None else place.import_limit_w / 1e3
    out = change.connection_kw if change.connection_kw is not None else place.export_limit_w / 1e3
    slots = len(buy)
    most, least = np.full(slots, into), np.full(slots, out)
    return Problem(
        start_wall_s=start_s,
        hours=np.full(slots, HOURS),
        buy=buy,
        sell=sell,
        base_kw=base_kw,
        import_kw=np.maximum(most, base_kw),
        export_kw=np.maximum(least, -base_kw),
        parent=(-1,),
        feeders=("site",),
        charge_cap_kw=np.maximum(most - base_kw, 0.0)[None, :],
        export_cap_kw=np.maximum(least + np.minimum(base_kw, 0.0), 0.0)[None, :],
        packs=tuple(_pack(piece, buy, change, worth, gives=gives) for piece in pieces),
    )


def _pack(piece: Piece, buy: Floats, change: Change, worth: float, *, gives: bool) -> Pack:
    count = len(buy)
    slots = np.arange(count)
    there = (slots >= piece.first) & (slots < piece.end)
    # Nothing is given while energy costs less than nothing: the day plan's own rule.
    out_kw = np.where(there & (buy >= 0.0), piece.discharge_kw if gives else 0.0, 0.0)
    reachable = piece.start_kwh + (piece.end - piece.first) * HOURS * piece.charge_kw * piece.efficiency
    aim = min(piece.end_kwh, piece.capacity_kwh, reachable - 1e-6)
    floor_pct = FLOOR_PCT if change.floor_pct is None else change.floor_pct
    low = min(floor_pct / 100.0 * piece.capacity_kwh, piece.start_kwh, aim)
    floor = np.full(count, low)
    floor[piece.end - 1 :] = min(aim, piece.capacity_kwh)
    depths: tuple[Depth, ...] = ()
    if change.depth_cap is not None and gives:
        depths = (Depth(piece.first, piece.end, change.depth_cap * piece.capacity_kwh),)
    return Pack(
        name=piece.name,
        feeder=0,
        efficiency=piece.efficiency,
        start_kwh=piece.start_kwh,
        charge_kw=np.where(there, piece.charge_kw, 0.0),
        discharge_kw=out_kw,
        floor_kwh=floor,
        ceiling_kwh=np.full(count, max(piece.capacity_kwh, piece.start_kwh)),
        drain_kwh=np.zeros(count),
        depths=depths,
        wear=change.wear_per_kwh,
        end_value=worth,
    )


def _way(
    name: str,
    charge_kw: Floats,
    discharge_kw: Floats,
    base_kw: Floats,
    buy: Floats,
    sell: Floats,
    change: Change,
    stored: float,
) -> Way:
    net = base_kw + charge_kw - discharge_kw

    def paid(power_kw: Floats) -> float:
        return float((np.maximum(power_kw, 0.0) @ buy + np.minimum(power_kw, 0.0) @ sell) * HOURS)

    out_kwh = float(discharge_kw.sum()) * HOURS
    return Way(
        name,
        paid(net) - paid(base_kw),
        change.wear_per_kwh * out_kwh,
        stored,
        float(charge_kw.sum()) * HOURS,
        out_kwh,
        float(net.max()),
    )
