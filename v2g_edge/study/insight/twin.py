"""A night played again by the depot's own rules, under other prices, caps and limits: the digital twin.

The journal's snapshots are the night: who comes and leaves, the building, the grid, orders and limits from
outside. What the twin's chargers do instead is put into them, and every meter above an outlet moves by the
difference; the price rule plans from the prices that a market had shown by then, and the product's own cycle
decides each tick. So it earns what rules, proof and envelope leave, without hindsight.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from v2g_edge.cycle import Cycle, Memory, restarted
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Evse, Site
from v2g_edge.model.snapshot import CommandState, EvseState, MeterState, Snapshot, VehicleState
from v2g_edge.planner.price_rule import plan_from_prices
from v2g_edge.study.insight.change import Change, changed
from v2g_edge.study.ledger.extend import RecordedTick
from v2g_edge.study.ledger.lines import INTERVAL_S
from v2g_edge.study.ready import lacked_pct

Floats = NDArray[np.float64]
TICK_S: Final = 300.0
"""The twin decides this often: powers change with prices, by the quarter hour."""
PLAN_S: Final = 900.0
LOST_S: Final = 3_600.0
"""Longer than this without a tick: the record pauses, and so does the twin."""
SHOWN_AT: Final = time(13)
"""Day-ahead prices of tomorrow are known from about one o'clock on (SDAC publishes at 12:57)."""


class Played(Struct, frozen=True):
    """What the twin did in a night, by slot.

    Attributes:
        charge_kw: Into the vehicles.
        discharge_kw: Out of them.
        over_kwh: What the vehicles hold at their ends beyond what they really held.
        left: Departures.
        short: Those that left below their target and below what they really left with: (vehicle, percent).
    """

    charge_kw: Floats
    discharge_kw: Floats
    over_kwh: float
    left: int
    short: tuple[tuple[str, float], ...]


class Pack(Struct):
    """A vehicle that the twin charges: its stay, SoC, energies since its arrival, and the outlet's power."""

    session: str
    vehicle: str
    soc_pct: float
    capacity_wh: float
    power_w: float = 0.0
    in_wh: float = 0.0
    out_wh: float = 0.0
    real_pct: float = 0.0
    target_pct: float = 0.0
    sent_s: float = 0.0


class Twin:
    """One night. ``add`` takes its ticks in order, ``played`` gives the result."""

    def __init__(
        self, site: Site, change: Change, prices: Mapping[float, float], start_s: float, slots: int
    ) -> None:
        self._zone = ZoneInfo(site.timezone)
        self._prices = prices
        self._settings = PriceSettings(
            wear_per_kwh=change.wear_per_kwh, fixed_per_kwh=change.buy_add, export_per_kwh=change.sell_add
        )
        self._change, self._start_s, self._slots = change, start_s, slots
        self._charge, self._discharge = np.zeros(slots), np.zeros(slots)
        self._packs: dict[str, Pack] = {}
        self._memory, self._planned_s = Memory(), -PLAN_S
        self._plan: Plan | None = None
        self._last: RecordedTick | None = None
        self._over_kwh, self._left, self._short = 0.0, 0, list[tuple[str, float]]()
        self._take_site(site)

    def _take_site(self, site: Site) -> None:
        self._real, self._site = site, changed(site, self._change, TICK_S)
        self._cycle = Cycle(self._site)
        self._kinds = {kind.id: kind for kind in self._site.vehicle_types}
        self._kind_of = {vehicle.id: self._kinds[vehicle.type] for vehicle in self._site.vehicles}
        parents = {feeder.id: feeder.parent for feeder in site.feeders}
        self._above: dict[str, set[str]] = {}
        for evse in site.evses:
            node, meters = evse.feeder, set[str]()
            while node:
                meters |= {feeder.meter for feeder in site.feeders if feeder.id == node}
                node = parents[node]
            self._above[evse.id] = meters - {""}

    def add(self, tick: RecordedTick, site: Site) -> None:
        """One tick; those that follow too soon are passed over."""
        last = self._last
        passed_s = tick.snapshot.wall_s - last.snapshot.wall_s if last is not None else 0.0
        if last is not None and passed_s < TICK_S - 1.0 and tick.run == last.run:
            return
        self._flow(passed_s)
        if last is not None and tick.run != last.run:
            if site != self._real:
                self._take_site(site)
            self._memory = restarted(self._memory, self._site, tick.snapshot.now_s)
        self._last = tick
        self._look(tick.snapshot)
        snapshot = self._twin(tick.snapshot)
        if snapshot.wall_s - self._planned_s >= PLAN_S or snapshot.wall_s < self._planned_s:
            self._planned_s = snapshot.wall_s
            known = _known(self._prices, snapshot.wall_s, self._zone)
            self._plan = plan_from_prices(self._site, snapshot, known, self._settings, snapshot.wall_s)
        outcome = self._cycle.tick(snapshot, self._plan, self._memory)
        self._memory = outcome.memory
        for permit in outcome.permits:
            self._obey(permit, snapshot.now_s)

    def played(self) -> Played:
        """The night; what is still there counts as it stands."""
        self._flow(
            self._start_s + self._slots * INTERVAL_S - self._last.snapshot.wall_s if self._last else 0.0
        )
        for pack in self._packs.values():
            self._over_kwh += (pack.soc_pct - pack.real_pct) / 100.0 * pack.capacity_wh / 1e3
        self._packs.clear()
        return Played(self._charge, self._discharge, self._over_kwh, self._left, tuple(self._short))

    def _look(self, snapshot: Snapshot) -> None:
        """Who came, who left, what they really hold."""
        for evse, outlet in zip(self._site.evses, snapshot.evses, strict=True):
            vehicle, pack = outlet.vehicle, self._packs.get(evse.id)
            if pack is not None and (vehicle is None or vehicle.session != pack.session):
                self._leaves(pack)
                del self._packs[evse.id]
                pack = None
            if vehicle is None:
                continue
            soc_pct, capacity_wh = _value(vehicle.soc_pct), _value(vehicle.capacity_wh)
            if pack is None and soc_pct is not None and capacity_wh:
                pack = self._packs[evse.id] = Pack(vehicle.session, vehicle.vehicle, soc_pct, capacity_wh)
                pack.power_w = _value(outlet.power_w) or 0.0
            if pack is not None:
                pack.real_pct = pack.real_pct if soc_pct is None else soc_pct
                pack.target_pct = _value(vehicle.target_soc_pct) or pack.target_pct

    def _leaves(self, pack: Pack) -> None:
        self._left += 1
        self._over_kwh += (pack.soc_pct - pack.real_pct) / 100.0 * pack.capacity_wh / 1e3
        lacks_pct = lacked_pct(pack.soc_pct, min(pack.target_pct, pack.real_pct))
        if lacks_pct:
            self._short.append((pack.vehicle or pack.session, lacks_pct))

    def _twin(self, snapshot: Snapshot) -> Snapshot:
        """The picture as the twin's chargers make it."""
        moved_w: dict[str, float] = {}
        outlets = []
        for evse, outlet in zip(self._site.evses, snapshot.evses, strict=True):
            pack = self._packs.get(evse.id)
            if pack is None or outlet.vehicle is None:
                outlets.append(outlet)
                continue
            for meter in self._above[evse.id]:
                moved_w[meter] = moved_w.get(meter, 0.0) + pack.power_w - (_value(outlet.power_w) or 0.0)
            outlets.append(self._outlet(evse, outlet, outlet.vehicle, pack, snapshot.now_s))
        meters = tuple(
            _moved(state, moved_w.get(name, 0.0))
            for name, state in zip(self._site.meters, snapshot.meters, strict=True)
        )
        return replace(snapshot, evses=tuple(outlets), meters=meters)

    def _outlet(
        self, evse: Evse, outlet: EvseState, vehicle: VehicleState, pack: Pack, now_s: float
    ) -> EvseState:
        most_w = min(self._accepts_w(pack), evse.max_charge_w)
        known: Measured = Reading(most_w, now_s) if pack.vehicle in self._kind_of else vehicle.max_charge_w
        return replace(
            outlet,
            power_w=Reading(pack.power_w, now_s),
            energy_import_wh=Reading(pack.in_wh, now_s),
            energy_export_wh=Reading(pack.out_wh, now_s),
            proven_discharge=outlet.dead_man_ok and evse.max_discharge_w > 0.0,
            follows=True,
            no_discharge="",
            vehicle=replace(
                vehicle,
                soc_pct=Reading(pack.soc_pct, now_s),
                max_charge_w=known,
                charged_wh=Reading(pack.in_wh - pack.out_wh, now_s),
            ),
            command=CommandState(pack.power_w, "accepted", pack.sent_s, now_s + self._site.safety.lease_s),
        )

    def _accepts_w(self, pack: Pack) -> float:
        kind = self._kind_of.get(pack.vehicle)
        if kind is None or not kind.charge_curve:
            return float("inf")
        curve = kind.charge_curve
        return float(np.interp(pack.soc_pct, [p.soc_pct for p in curve], [p.power_w for p in curve]))

    def _obey(self, permit: Permit, now_s: float) -> None:
        pack = self._packs.get(permit.evse)
        if pack is None:
            return
        evse = next(each for each in self._site.evses if each.id == permit.evse)
        room_w = self._accepts_w(pack) / evse.efficiency if pack.soc_pct < 100.0 else 0.0
        pack.power_w = min(permit.power_w, room_w) if permit.power_w > 0.0 else permit.power_w
        pack.sent_s = now_s

    def _flow(self, passed_s: float) -> None:
        """The time since the last tick, slot by slot."""
        if self._last is None or not 0.0 < passed_s <= LOST_S:
            return
        at_s = self._last.snapshot.wall_s
        efficiencies = {evse.id: evse.efficiency for evse in self._site.evses}
        for evse, pack in self._packs.items():
            share = efficiencies[evse]
            wh = pack.power_w * passed_s / 3_600.0
            stored_wh = wh * share if wh > 0.0 else wh / share
            room_wh = (100.0 - pack.soc_pct) / 100.0 * pack.capacity_wh
            if stored_wh > room_wh:
                stored_wh, wh = room_wh, room_wh / share
            pack.soc_pct += stored_wh / pack.capacity_wh * 100.0
            pack.in_wh, pack.out_wh = pack.in_wh + max(wh, 0.0), pack.out_wh + max(-wh, 0.0)
            into = self._charge if wh > 0.0 else self._discharge
            _spread(into, abs(wh) / 1e3, at_s - self._start_s, passed_s)


def play(
    ticks: Iterable[RecordedTick],
    site_of: Callable[[int], Site],
    change: Change,
    prices: Mapping[float, float],
    start_s: float,
    slots: int,
) -> Played | None:
    """The night of ``slots`` intervals from ``start_s`` on; None where nothing is recorded of it."""
    twin: Twin | None = None
    for tick in ticks:
        if tick.snapshot.wall_s < start_s:
            continue
        if tick.snapshot.wall_s >= start_s + slots * INTERVAL_S:
            break
        site = site_of(tick.run)
        twin = twin or Twin(site, change, prices, start_s, slots)
        twin.add(tick, site)
    return twin.played() if twin is not None else None


def _spread(into: Floats, kwh: float, from_s: float, passed_s: float) -> None:
    """Energy into the slots that a time touches, as their mean power."""
    at_s, end_s = from_s, from_s + passed_s
    while at_s < end_s:
        slot = int(at_s // INTERVAL_S)
        until_s = min((slot + 1) * INTERVAL_S, end_s)
        if 0 <= slot < len(into):
            into[slot] += kwh * (until_s - at_s) / passed_s / (INTERVAL_S / 3_600.0)
        at_s = until_s


def _moved(meter: MeterState, by_w: float) -> MeterState:
    if not by_w or not isinstance(meter.power_w, Reading):
        return meter

    def plus(measured: Measured, more_w: float) -> Measured:
        return replace(measured, value=measured.value + more_w) if isinstance(measured, Reading) else measured

    a, b, c = (plus(each, by_w / 3.0) for each in meter.phase_power_w)
    return replace(meter, power_w=plus(meter.power_w, by_w), phase_power_w=(a, b, c))


def _known(prices: Mapping[float, float], wall_s: float, zone: ZoneInfo) -> tuple[Price, ...]:
    """The prices that a day-ahead market had shown by then."""
    now = datetime.fromtimestamp(wall_s, UTC).astimezone(zone)
    days = 2 if now.time() >= SHOWN_AT else 1
    until_s = datetime.combine(now.date() + timedelta(days=days), time(), zone).timestamp()
    first_s = wall_s - INTERVAL_S
    starts: Sequence[float] = sorted(start for start in prices if first_s < start < until_s)
    return tuple(Price(start, prices[start], start + INTERVAL_S) for start in starts)


def _value(measured: Measured) -> float | None:
    return measured.value if isinstance(measured, Reading) else None
