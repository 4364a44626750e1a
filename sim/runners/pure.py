"""The same depot, faults and judges without protocols: the product's pure tick on the physics, thousands of
ticks a second.

The only module of the simulator that calls the product's cycle (pyproject.toml says so): it plays it, and
judges nothing. What stations, wires and the writer would do is done here in the plainest way: a permit is
taken by each charger that is in reach, stands for its lease, and then the default rules.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from sim.judges.panel import Panel
from sim.judges.reported import Held, Told
from sim.runners.cloud import plan_of
from sim.runners.snapshots import SnapshotTaker
from sim.runners.trader import trade
from sim.scenarios.check import check
from sim.scenarios.fault import CLOUD, STATION, Fault, FaultKind
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Battery
from v2g_edge.cycle import Cycle, Memory, Outcome, restarted
from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import for_ticks_of

STEP_S: Final = 20.0
"""Longest stretch of physics at once; a tick is one or more of them."""

REPLAN_S: Final = 900.0

AWAY: Final = frozenset({"stall", "suspend", "restart", "reboot_host"})
"""Faults during which the controller does not tick."""

OUT_OF_REACH: Final = frozenset({"offline", "half_open", "vanish", "mute", "reboot"})
"""Faults during which a station takes no permit."""


@dataclass
class Lease:
    """The last setpoint of an outlet, and until when it stands."""

    power_w: float = 0.0
    until_s: float = 0.0
    sent_s: float = 0.0


def slowed(scenario: Scenario, tick_s: float) -> Scenario:
    """``scenario`` for ticks of ``tick_s``: ages, leases and patience of the judges are no shorter than a
    few of them.
    """
    return replace(
        scenario,
        site=replace(scenario.site, safety=for_ticks_of(scenario.site.safety, tick_s)),
        # What ends between two ticks is not seen here; a real meter is read each second.
        disturbances=tuple(
            replace(d, duration_s=max(d.duration_s, 2.5 * tick_s)) for d in scenario.disturbances
        ),
        tick_s=tick_s,
        reaction_s=max(scenario.reaction_s, 2.2 * tick_s),
        allowed_late_s=max(scenario.allowed_late_s, 3.0 * tick_s),
    )


class PureRun:
    """One run; ``play`` to its end, or ``tick`` by tick. ``plans``: the local plan is a trader's, else
    there is none.
    """

    def __init__(self, scenario: Scenario, *, plans: bool = True) -> None:
        self.scenario = check(scenario)
        self.site = scenario.settings(Path()).site
        self.depot: Depot = scenario.depot()
        self.depot.max_step_s = min(STEP_S, scenario.tick_s)
        self.heard_wall_s: dict[str, float] = {}
        self.panel = Panel(scenario, self.heard_wall_s.get)
        self.depot.watchers += [lambda _depot, _dt_s: self._let_leases_run(), self.panel.look]
        self.leases = {evse.id: Lease() for evse in self.site.evses}
        self.outcome: Outcome | None = None
        self.memory = Memory()
        self._cycle = Cycle(self.site)
        self._pictures = SnapshotTaker(scenario, self.site, self.depot)
        self._plans = plans
        self._plan: Plan | None = None
        self._planned_s = -REPLAN_S
        self._stations = {o.evse: station.identity for station in scenario.stations for o in station.outlets}
        self._to_come = sorted(scenario.visits, key=lambda visit: (visit.arrives_wall_s, visit.evse))
        self._plugged: dict[str, Visit] = {}
        self._parked: dict[str, Battery] = {}
        self._was_away = False

    def play(self) -> Panel:
        """To the end; the panel knows everything then."""
        while self.depot.wall_s < self.scenario.end_wall_s:
            self.tick()
        self.panel.finish(self.depot)
        return self.panel

    def tick(self) -> Outcome | None:
        """One tick and the time up to the next; None while the controller is away."""
        depot, faults = self.depot, self._active()
        wall_s = depot.wall_s
        self._come_and_go(wall_s)
        self._play_site_faults(faults)
        outcome = None if any(fault.kind in AWAY for fault in faults) else self._decide(faults, wall_s)
        self._was_away = outcome is None
        self._command(faults)
        depot.advance(wall_s + self.scenario.tick_s)
        return outcome

    def inject_fault(self, fault: Fault) -> None:
        """One more fault, of a run that is made up as it goes."""
        self.scenario = replace(self.scenario, faults=(*self.scenario.faults, fault))
        self.panel.add_fault(fault)

    @property
    def now_s(self) -> float:
        """Monotonic seconds; not 0 at the beginning."""
        return 1_000.0 + self.depot.wall_s - self.scenario.start_wall_s

    def _active(self) -> list[Fault]:
        return [fault for fault in self.scenario.faults if fault.is_active(self.depot.wall_s)]

    def _decide(self, faults: list[Fault], wall_s: float) -> Outcome:
        again = self._was_away and any(
            fault.kind in {"restart", "reboot_host"}
            and fault.end_wall_s <= wall_s < fault.end_wall_s + 3 * self.scenario.tick_s
            for fault in self.scenario.faults
        )
        if again:
            kept = msgspec.msgpack.decode(msgspec.msgpack.encode(self.memory), type=Memory)
            self.memory = restarted(kept, self.site, self.now_s)
        kinds = {evse: self._kinds_at(faults, evse) for evse in self.leases}
        snapshot = self._pictures.take(self.now_s, faults, kinds, self._plugged, self.leases)
        outcome = self._cycle.tick(snapshot, self._plan_for(faults, wall_s), self.memory)
        self.memory, self.outcome = outcome.memory, outcome
        for permit in outcome.permits:
            self._send(permit, kinds[permit.evse])
        self._tell(outcome, wall_s, restarted=again or not self.heard_wall_s)
        return outcome

    def _tell(self, outcome: Outcome, wall_s: float, *, restarted: bool) -> None:
        envelope = outcome.memory.envelope
        held = frozenset(Held(latch.row, latch.subject) for latch in envelope.latches if latch.active)
        permits = {permit.evse: permit for permit in outcome.permits}
        self.panel.hear(Told(wall_s, permits, outcome.events, held, envelope.taken_pct, restarted))

    def _plan_for(self, faults: list[Fault], wall_s: float) -> Plan | None:
        mad = next((fault for fault in faults if fault.kind in CLOUD), None)
        if mad is not None:
            return plan_of(mad, self.scenario, wall_s)
        if self._plans and wall_s - self._planned_s >= REPLAN_S:
            self._planned_s, self._plan = wall_s, trade(self.scenario, wall_s, int(wall_s))
        return self._plan

    def _kinds_at(self, faults: list[Fault], evse: str) -> dict[FaultKind, float]:
        if not faults:
            return {}
        mine = {self._stations.get(evse, ""), "*"}
        return {fault.kind: fault.value for fault in faults if fault.kind in STATION and fault.target in mine}

    def _send(self, permit: Permit, kinds: dict[FaultKind, float]) -> None:
        lease, charger = self.leases[permit.evse], self.depot.chargers[permit.evse]
        if kinds.keys() & OUT_OF_REACH:
            return
        self.heard_wall_s[permit.evse] = self.depot.wall_s
        if (
            charger.battery is None
            or "reject" in kinds
            or ("reject_negative" in kinds and permit.power_w < 0.0)
        ):
            return
        safer = abs(permit.power_w) < abs(lease.power_w) or permit.power_w * lease.power_w < 0.0
        if permit.renew or safer:
            lease.power_w, lease.sent_s, lease.until_s = (
                permit.power_w,
                self.now_s,
                self.now_s + permit.valid_for_s,
            )

    def _command(self, faults: list[Fault]) -> None:
        for evse, lease in self.leases.items():
            charger, kinds = self.depot.chargers[evse], self._kinds_at(faults, evse)
            power_w = lease.power_w if self.now_s < lease.until_s else charger.evse.fallback_w
            if "ignore" in kinds or "priority" in kinds:
                power_w = charger.evse.max_charge_w
            if "wrong_sign" in kinds:
                power_w = abs(power_w)
            if power_w > 0.0:
                power_w = min(power_w * kinds.get("overdraw", 1.0), kinds.get("underdraw", power_w * 10.0))
            charger.command_w = 0.0 if "reboot" in kinds else power_w

    def _let_leases_run(self) -> None:
        if self.depot.wall_s % self.scenario.tick_s < self.depot.max_step_s:
            return
        self._command(self._active())

    def _play_site_faults(self, faults: list[Fault]) -> None:
        extra_w: dict[str, float] = {}
        for fault in faults:
            if fault.kind == "load":
                extra_w[fault.target] = extra_w.get(fault.target, 0.0) + fault.value
            elif (
                fault.kind == "pack_c" and (battery := self.depot.chargers[fault.target].battery) is not None
            ):
                battery.pack_c = fault.value
        self.depot.extra_w = extra_w

    def _come_and_go(self, wall_s: float) -> None:
        for evse, visit in list(self._plugged.items()):
            if visit.gone_wall_s <= wall_s:
                del self._plugged[evse]
                battery = self.depot.chargers[evse].unplug()
                if battery is not None:
                    self._parked[visit.vehicle] = battery
                    self.panel.left(visit, battery, wall_s)
        while self._to_come and self._to_come[0].arrives_wall_s <= wall_s:
            visit = self._to_come.pop(0)
            battery = self._parked.pop(visit.vehicle, None) or self.scenario.battery(visit.vehicle, 100.0)
            battery.soc_pct = visit.arrival_soc_pct(battery.soc_pct)
            battery.pack_c = max(battery.pack_c, self.scenario.ambient_c + 7.0)
            charger = self.depot.chargers[visit.evse]
            charger.plug(battery)
            self.leases[visit.evse] = Lease()
            self._plugged[visit.evse] = visit
            self.panel.arrived(visit, charger, wall_s)
