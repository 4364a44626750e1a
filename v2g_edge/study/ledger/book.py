"""The bookkeeper: ticks in, lines, cycles, stays and remarks out. The same ticks give the same ledger.

Its state between two ticks is one value that is kept with what it has written, so that it goes on after any
kill exactly where it stopped.
"""

from typing import Final

import msgspec
from msgspec import Struct

from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Measured, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import EvseState, MeterState, Snapshot
from v2g_edge.study.ledger.against_permit import Episode, Kind, beyond_w, lacking_w
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Remark, SocCycle, Stay
from v2g_edge.study.ledger.metering import MeterAccount, Use
from v2g_edge.study.ledger.stays import VehicleAccounts

PAUSE_S: Final = 60.0
"""Ticks further apart than this, and than the site file calls late, are a pause of the record."""
STEP_S: Final = 2.0
"""Wall time and monotonic time that part by more than this between two ticks: the clock was set."""
LATE_S: Final = 2.0 * INTERVAL_S
"""A line is closed so long after its interval: chargers report the register of a session's end late."""
GRID: Final = "grid"
AS_NEEDED: Final = "as needed"


class Position(Struct, frozen=True, array_like=True):
    """The tick that was taken last: enough to find it again in the journal."""

    wall_s: float
    now_s: float
    seq: int


class State(Struct):
    """Everything between two ticks.

    Attributes:
        at: The tick that was taken last; None before the first.
        meters: Accounts by outlet and by feeder's meter.
        garage: Vehicles and present stays.
        synced: Whether the clock was synchronised at the last tick.
        unsynced_wall_s: Since when it is not.
        closed_wall_s: When lines were closed last.
        permits: What each outlet was permitted at the last tick.
        apart: Outlets whose power and permit part now.
        filled_wall_s: Start of the last quarter hour that was taken from before the first tick.
    """

    at: Position | None = None
    meters: dict[str, MeterAccount] = {}
    garage: VehicleAccounts = msgspec.field(default_factory=VehicleAccounts)
    synced: bool = True
    unsynced_wall_s: float = 0.0
    closed_wall_s: float = 0.0
    permits: tuple[Permit, ...] = ()
    apart: dict[str, Episode] = {}
    filled_wall_s: float = 0.0


class Written(Struct):
    """What has been closed since it was last taken."""

    lines: list[Line] = []
    turns: list[SocCycle] = []
    stays: list[Stay] = []
    remarks: list[Remark] = []


class Book:
    """Takes the ticks of a journal in order. ``take`` gives what is ready to be kept."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._remarks: list[Remark] = []
        self._lines: list[Line] = []

    def add(
        self, site: Site, snapshot: Snapshot, plan: Plan | None, permits: tuple[Permit, ...] = ()
    ) -> None:
        """One tick, with what it permits until the next."""
        state, wall_s, now_s = self.state, snapshot.wall_s, snapshot.now_s
        passed_s = self._passed(site, snapshot)
        service = service_of(site, snapshot, plan)
        for evse, outlet in zip(site.evses, snapshot.evses, strict=True):
            self._outlet(
                evse.id, max(evse.max_charge_w, evse.max_discharge_w), outlet, service, passed_s, snapshot,
                site.safety.charger_max_age_s,
            )  # fmt: skip
        self._against_permits(site, snapshot, passed_s)
        state.permits = permits
        for feeder in site.feeders:
            if feeder.meter:
                reading = snapshot.meters[site.meters.index(feeder.meter)]
                most_w = max(feeder.import_limit_w, feeder.export_limit_w)
                self._feeder(feeder.meter, most_w, reading, passed_s, snapshot, site.safety.meter_max_age_s)
        state.at = Position(wall_s, now_s, snapshot.seq)
        if wall_s - state.closed_wall_s >= INTERVAL_S or wall_s < state.closed_wall_s:
            state.closed_wall_s = wall_s
            for account in state.meters.values():
                self._lines += account.closed(wall_s - LATE_S)

    def take(self) -> Written:
        """What is closed; it is handed out once."""
        garage = self.state.garage
        written = Written(self._lines, garage.turns, garage.gone, self._remarks)
        self._lines, garage.turns, garage.gone, self._remarks = [], [], [], []
        return written

    def _passed(self, site: Site, snapshot: Snapshot) -> float:
        """Seconds since the tick before, 0 after a pause; remarks on pauses and on the clock."""
        at, state = self.state.at, self.state
        if state.synced and not snapshot.clock_synced:
            state.unsynced_wall_s = snapshot.wall_s
        elif not state.synced and snapshot.clock_synced:
            text = "the clock was not synchronised; times of these intervals are the clock's own"
            self._remark(state.unsynced_wall_s, snapshot.wall_s, "clock_unsynced", text)
        state.synced = snapshot.clock_synced
        if at is None:
            return 0.0
        passed_s, wall_passed_s = snapshot.now_s - at.now_s, snapshot.wall_s - at.wall_s
        again = passed_s <= 0.0
        pause_s = max(PAUSE_S, site.safety.late_after_s)
        if again:
            for account in state.meters.values():
                account.restart()
        if again or passed_s > pause_s:
            if wall_passed_s > pause_s:
                text = "nothing was recorded; registers that ran on are spread evenly over it"
                self._remark(at.wall_s, snapshot.wall_s, "missing", text)
            return 0.0
        if abs(wall_passed_s - passed_s) > STEP_S:
            text = f"the clock was set by {wall_passed_s - passed_s:+.0f} s; energy counts once, by the time"
            self._remark(at.wall_s, snapshot.wall_s, "clock_step", f"{text} that really passed")
        return passed_s

    def _remark(self, from_s: float, until_s: float, kind: str, text: str) -> None:
        self._remarks.append(Remark(from_s, until_s, "site", kind, text))

    def _outlet(
        self,
        name: str,
        most_w: float,
        outlet: EvseState,
        service: str,
        passed_s: float,
        snapshot: Snapshot,
        max_age_s: float,
    ) -> None:
        vehicle, garage = outlet.vehicle, self.state.garage
        account = self._meter(name, most_w)
        use = Use(vehicle.session, vehicle.vehicle, service) if vehicle is not None else Use("", "", service)
        self._remarks += account.add(
            _fresh(outlet.power_w, snapshot.now_s, max_age_s),
            outlet.energy_import_wh,
            outlet.energy_export_wh,
            use,
            passed_s,
            snapshot.now_s,
            snapshot.wall_s,
        )
        if vehicle is not None or name in garage.here:
            self._remarks += garage.see(name, vehicle, passed_s, snapshot.wall_s)

    def _against_permits(self, site: Site, snapshot: Snapshot, passed_s: float) -> None:
        """Power now against what the tick before permitted."""
        apart = self.state.apart
        permits = {permit.evse: permit for permit in self.state.permits} if passed_s else {}
        for evse, outlet in zip(site.evses, snapshot.evses, strict=True):
            permit, vehicle = permits.get(evse.id), outlet.vehicle
            power_w = _fresh(outlet.power_w, snapshot.now_s, site.safety.charger_max_age_s)
            over_w = lacks_w = 0.0
            if permit and vehicle and power_w is not None:
                over_w, lacks_w = beyond_w(power_w, permit), lacking_w(power_w, permit, vehicle)
            kind: Kind | None = "over_permit" if over_w else "under_permit" if lacks_w else None
            old = apart.get(evse.id)
            if old is not None and old.kind != kind:
                self._remarks += apart.pop(evse.id).remark(evse.id, snapshot.wall_s)
            if kind and permit and power_w is not None:
                episode = apart.setdefault(evse.id, Episode(kind, snapshot.wall_s - passed_s))
                episode.add(power_w, over_w + lacks_w, permit.power_w, passed_s)

    def _feeder(
        self, name: str, most_w: float, meter: MeterState, passed_s: float, snapshot: Snapshot, age_s: float
    ) -> None:
        self._remarks += self._meter(name, most_w).add(
            _fresh(meter.power_w, snapshot.now_s, age_s),
            meter.energy_import_wh,
            meter.energy_export_wh,
            Use(GRID, "", GRID),
            passed_s,
            snapshot.now_s,
            snapshot.wall_s,
        )

    def _meter(self, name: str, most_w: float) -> MeterAccount:
        account = self.state.meters.get(name)
        if account is None:
            account = self.state.meters[name] = MeterAccount(name, most_w, open={})
        account.most_w = most_w
        return account


def service_of(site: Site, snapshot: Snapshot, plan: Plan | None) -> str:
    """What the energy of this tick counts under: one name. A signal that acts goes before a plan."""
    if snapshot.operator.signals:
        acting = {name for name, signal in snapshot.operator.signals if signal.value != 0.0}
        ranked = sorted((each.priority, each.id) for each in site.services if each.id in acting)
        if ranked:
            return ranked[0][1]
    if plan is not None and plan.valid_from_wall_s <= snapshot.wall_s < plan.valid_until_wall_s:
        return f"{plan.source} plan"
    return AS_NEEDED


def _fresh(power_w: Measured, now_s: float, max_age_s: float) -> float | None:
    return power_w.value if is_fresh(power_w, now_s, max_age_s) else None
