"""A real night out of its journal: the site, who came and went, and what was lost, as a scenario that can be
played again.

Read from the ticks: stays with their first charge, departure and target; chargers, meter, contact that fell
silent; the open grid contact; the controller's own gaps; the mean load beside the chargers. What only the
physics knew (a lying meter, a charger that disobeyed) stands in no journal and must be added by hand.
"""

import sqlite3
import statistics
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from sim.scenarios.check import check
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.scenario import Scenario, write_scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Disturbance, Load
from v2g_edge import __version__
from v2g_edge.host.records import JournalError, JournalReader, Tick
from v2g_edge.model.reading import Measured, Reading, is_fresh, known_or
from v2g_edge.model.settings import StationEvse, StationSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot, VehicleState

GAP_S: Final = 10.0
"""A pause between two ticks that is no tick late, but a controller that did not run."""

SETTLE_S: Final = 60.0
"""Chargers that have not dialled in yet, and meters that were not read yet, are no faults for so long."""

AGAIN_S: Final = 600.0
"""The same vehicle at the same outlet within this time has not been away."""

UNKNOWN_SOC_PCT: Final = 50.0
"""Where a vehicle never told its charge."""


class Incident(Struct):
    """The scenario, and what of the journal it does not hold, in words."""

    scenario: Scenario
    left_out: list[str]


def from_journal(journal: Path, out: Path) -> int:
    """Write the scenario of a journal and say what it holds. ValueError names a file that is no journal."""
    incident = incident_of(journal)
    write_scenario(incident.scenario, out)
    found = incident.scenario
    print(
        f"{out}: {found.duration_s / 3_600.0:.1f} h, {len(found.visits)} stays, {len(found.faults)} faults,"
        f" {len(found.disturbances)} disturbances of the grid"
    )
    for words in incident.left_out:
        print(f"left out: {words}")
    print(f"Play it: python -m sim run --pure --scenario {out}")
    return 0


def incident_of(journal: Path) -> Incident:
    """See the module. ValueError for what is no journal, or one of a version that cannot be read."""
    try:
        reader = JournalReader(journal)
    except JournalError as fault:
        raise ValueError(str(fault)) from fault
    try:
        course = _Course(reader)
        for tick in _ticks(reader, journal):
            course.look(tick)
    finally:
        reader.close()
    return course.incident(journal)


def _ticks(reader: JournalReader, journal: Path) -> Iterator[Tick]:
    run = 0
    try:
        for tick in reader.ticks():
            run = tick.run
            yield tick
    except (msgspec.MsgspecError, KeyError, sqlite3.Error, zlib.error) as fault:
        version = f"version {reader.version(run)}" if run else "another version"
        raise ValueError(f"{journal}: written by {version}, this is {__version__}: {fault}") from fault


class _Open(Struct):
    """A condition that lasts: since when, and until when it was seen."""

    since_wall_s: float
    seen_wall_s: float


class _Stay(Struct):
    """A vehicle as its first tick showed it, and when it was seen last."""

    evse: str
    state: VehicleState
    first_wall_s: float
    seen_wall_s: float


class _Course:
    """What the ticks tell, one after the other."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._site: Site | None = None
        self._first_wall_s = self._last_wall_s = 0.0
        self._run = 0
        self._run_wall_s = 0.0
        self._stays: dict[str, _Stay] = {}
        self._left: list[_Stay] = []
        self._open: dict[tuple[FaultKind, str], _Open] = {}
        self._faults: list[Fault] = []
        self._loads_w: list[float] = []
        self._left_out: list[str] = []

    def look(self, tick: Tick) -> None:
        """One tick."""
        wall_s, snapshot = tick.snapshot.wall_s, tick.snapshot
        if self._site is None:
            self._site, self._first_wall_s = self._reader.site(tick.run), wall_s
            self._run, self._run_wall_s = tick.run, wall_s
        elif wall_s - self._last_wall_s > GAP_S:
            kind: FaultKind = "stall" if tick.run == self._run else "restart"
            self._faults.append(Fault(kind, "controller", self._last_wall_s, wall_s - self._last_wall_s))
        if tick.run != self._run:
            self._run, self._run_wall_s = tick.run, wall_s
            if self._reader.site(tick.run) != self._site:
                self._left_out.append(f"the site file changed with run {tick.run}: the first one is played")
        self._last_wall_s = wall_s
        self._look_at_stays(self._site, snapshot)
        if wall_s - self._run_wall_s >= SETTLE_S:
            self._look_at_devices(self._site, snapshot)

    def incident(self, journal: Path) -> Incident:
        """The scenario of all ticks."""
        if self._site is None:
            raise ValueError(f"{journal}: holds no tick that could be played")
        for (kind, target), known in list(self._open.items()):
            if (
                self._last_wall_s - known.since_wall_s > GAP_S
            ):  # what falls silent as the daemon ends is no fault
                self._note(kind, target, False, self._last_wall_s)
        start_wall_s = self._first_wall_s
        visits = [self._visit(stay) for stay in [*self._left, *self._stays.values()]]
        relay = [f for f in self._faults if f.kind == "contact_open"]
        site, loads_w = self._site, self._loads_w or [0.0]
        root = next(feeder.id for feeder in site.feeders if not feeder.parent)
        scenario = Scenario(
            name=journal.stem,
            seed=0,
            start_wall_s=start_wall_s,
            duration_s=max(self._last_wall_s - start_wall_s, 1.0),
            site=site,
            stations=tuple(StationSettings(_station(e.id), (StationEvse(e.id),)) for e in site.evses),
            visits=tuple(visit for visit in visits if visit is not None),
            prices=(),
            loads=(Load(root, max(statistics.fmean(loads_w), 0.0)),),
            disturbances=tuple(Disturbance(f.start_wall_s, f.duration_s, relay_open=True) for f in relay),
            faults=tuple(f for f in self._faults if f not in relay),
            ocpp="2.1" if any(evse.discharge_by == "setpoint" for evse in site.evses) else "2.0.1",
        )
        return Incident(check(scenario), self._left_out)

    def _look_at_stays(self, site: Site, snapshot: Snapshot) -> None:
        for evse, state in zip(site.evses, snapshot.evses, strict=False):
            stay, vehicle = self._stays.get(evse.id), state.vehicle
            if stay is not None and (vehicle is None or vehicle.session != stay.state.session):
                self._left.append(self._stays.pop(evse.id))
                stay = None
            if vehicle is None:
                continue
            if stay is None:
                stay = self._again(evse.id, vehicle, snapshot.wall_s)
                self._stays[evse.id] = stay or _Stay(evse.id, vehicle, snapshot.wall_s, snapshot.wall_s)
                continue
            stay.seen_wall_s = snapshot.wall_s
            if not isinstance(stay.state.soc_pct, Reading) or not stay.state.vehicle:
                stay.state = vehicle

    def _again(self, evse: str, vehicle: VehicleState, wall_s: float) -> _Stay | None:
        """The stay that goes on: a link or a controller that comes back begins a session of its own."""
        for stay in reversed(self._left):
            same = stay.evse == evse and vehicle.vehicle in {"", stay.state.vehicle}
            if same and wall_s - stay.seen_wall_s <= AGAIN_S:
                self._left.remove(stay)
                return stay
        return None

    def _look_at_devices(self, site: Site, snapshot: Snapshot) -> None:
        wall_s, now_s, safety = snapshot.wall_s, snapshot.now_s, site.safety
        for evse, state in zip(site.evses, snapshot.evses, strict=False):
            self._note("offline", _station(evse.id), not state.link.connected, wall_s)
        if site.grid.meter in site.meters:
            power = snapshot.meters[site.meters.index(site.grid.meter)].power_w
            fresh = is_fresh(power, now_s, safety.meter_max_age_s)
            self._note("meter_silent", "grid_meter", not fresh, wall_s)
            powers = [state.power_w for state in snapshot.evses]
            if fresh and all(is_fresh(each, now_s, safety.charger_max_age_s) for each in powers):
                self._loads_w.append(known_or(power, 0.0) - sum(known_or(each, 0.0) for each in powers))
        if site.grid.relay in site.contacts:
            closed = snapshot.contacts[site.contacts.index(site.grid.relay)].closed
            fresh = is_fresh(closed, now_s, safety.contact_max_age_s)
            self._note("contact_silent", "grid_relay", not fresh, wall_s)
            self._note("contact_open", "grid_relay", fresh and known_or(closed, 1.0) < 0.5, wall_s)

    def _note(self, kind: FaultKind, target: str, lasts: bool, wall_s: float) -> None:
        known = self._open.get((kind, target))
        if lasts and known is None:
            self._open[kind, target] = _Open(wall_s, wall_s)
        elif not lasts and known is not None:
            del self._open[kind, target]
            self._faults.append(
                Fault(kind, target, known.since_wall_s, max(wall_s - known.since_wall_s, 1.0))
            )

    def _visit(self, stay: _Stay) -> Visit | None:
        site, state = self._site, stay.state
        if site is None or state.vehicle not in {vehicle.id for vehicle in site.vehicles}:
            name = state.vehicle or "a vehicle without a name"
            self._left_out.append(f"{name} at {stay.evse}: the site file does not know it")
            return None
        if stay.seen_wall_s <= stay.first_wall_s:
            return None
        if not isinstance(state.soc_pct, Reading):
            self._left_out.append(
                f"the charge of {state.vehicle}, never told: {UNKNOWN_SOC_PCT:g} % is played"
            )
        gone_wall_s = stay.seen_wall_s
        soc_pct = known_or(state.soc_pct, UNKNOWN_SOC_PCT)
        departs_wall_s = _value(state.departure_wall_s, gone_wall_s)
        return Visit(
            stay.evse,
            state.vehicle,
            stay.first_wall_s,
            departs_wall_s,
            _value(state.target_soc_pct, soc_pct),
            soc_pct,
            leaves_wall_s=gone_wall_s if stay in self._left else max(departs_wall_s, gone_wall_s),
        )


def _station(evse: str) -> str:
    return f"S-{evse}"


def _value(measured: Measured, otherwise: float) -> float:
    return measured.value if isinstance(measured, Reading) else otherwise
