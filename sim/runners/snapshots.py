"""Snapshots of a depot without protocols: what the board would hold, the faults of meters, contacts, links
and packs included.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.scenarios.aggregator import Asked, Dispatcher
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Charger, noise_pct, shown_soc_pct
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.service import Signal
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import (
    CommandState,
    ContactState,
    EvseState,
    GridSample,
    Link,
    MeterState,
    Operator,
    Snapshot,
    TemperatureState,
    VehiclePhases,
    VehicleState,
)

if TYPE_CHECKING:
    from sim.runners.pure import Lease

UNSEEN = frozenset({"offline", "half_open", "vanish", "reboot"})
"""The link of such a station is gone."""

SEEN_W = 1_000.0
"""What must flow before currents show which phases carry it."""

OLD = frozenset({"meter_silent", "meter_slow", "meter_busy", "meter_reset"})
NONSENSE = frozenset({"meter_nan", "meter_garbage", "meter_swapped"})


class SnapshotTaker:
    """Takes one snapshot a tick; what is silent keeps its last reading, which grows old."""

    def __init__(self, scenario: Scenario, site: Site, depot: Depot) -> None:
        self._scenario = scenario
        self._site = site
        self._depot = depot
        self._dispatcher = Dispatcher(scenario.aggregator) if scenario.aggregator else None
        self._seq = 0
        self._evses: dict[str, EvseState] = {}
        self._meter = MeterState()
        self._contact = ContactState()
        self._proven: set[str] = set()
        self._root = next(feeder.id for feeder in site.feeders if not feeder.parent)
        self._grid = {site.grid.meter}
        self._under = {feeder.meter: feeder.id for feeder in site.feeders if feeder.meter}

    def take(
        self,
        now_s: float,
        faults: list[Fault],
        kinds: Mapping[str, Mapping[FaultKind, float]],
        plugged: Mapping[str, Visit],
        leases: Mapping[str, "Lease"],
    ) -> Snapshot:
        """The picture of this instant."""
        asked = self._dispatcher.asked(self._depot.wall_s) if self._dispatcher else Asked()
        self._seq += 1
        wall_s = self._depot.wall_s
        for evse in self._site.evses:
            self._look_at(
                self._depot.chargers[evse.id], now_s, kinds[evse.id], plugged.get(evse.id), leases[evse.id]
            )
        site: dict[str, float] = {fault.kind: fault.value for fault in faults}
        samples = self._look_at_meter(now_s, wall_s, site)
        self._look_at_contact(now_s, wall_s, site)
        return Snapshot(
            seq=self._seq,
            now_s=now_s,
            wall_s=wall_s + site.get("clock_step", 0.0),
            clock_synced="clock_unsynced" not in site,
            evses=tuple(self._evses[evse.id] for evse in self._site.evses),
            meters=tuple(
                self._meter if meter in self._grid else self._sub_meter(meter, now_s)
                for meter in self._site.meters
            ),
            contacts=tuple(self._contact for _ in self._site.contacts),
            temperatures=tuple(
                TemperatureState(Link(True, True, now_s), Reading(20.0, now_s))
                for _ in self._site.temperatures
            ),
            operator=Operator(
                stop="operator_stop" in site,
                export_hold="operator_hold" in site,
                limits=asked.limits,
                signals=tuple(
                    (service, Signal(value, now_s - (wall_s - at_wall_s), every_s))
                    for service, value, at_wall_s, every_s in asked.signals
                ),
            ),
            grid_samples=samples,
        )

    def _look_at(
        self,
        charger: Charger,
        now_s: float,
        kinds: Mapping[FaultKind, float],
        visit: Visit | None,
        lease: "Lease",
    ) -> None:
        name, before = charger.evse.id, self._evses.get(charger.evse.id, EvseState())
        if kinds.keys() & UNSEEN:
            link = Link(False, before.link.ever_seen, before.link.last_seen_s)
            self._evses[name] = EvseState(
                link, before.status, "", before.power_w, vehicle=before.vehicle, command=before.command
            )
            return
        if "mute" in kinds:
            return
        if lease.power_w < 0.0 and charger.power_w < 0.0:
            self._proven.add(name)
        power_w = -charger.power_w if "turned_meter" in kinds else charger.power_w
        power: Measured = before.power_w if "stuck_meter" in kinds else Reading(power_w, now_s)
        if "stuck_meter" in kinds and isinstance(power, Reading):
            power = Reading(power.value, now_s)
        if "quiet_power" in kinds:
            power = Unknown("not told")
        ack = "none" if lease.sent_s == 0.0 else "rejected" if "reject" in kinds else "accepted"
        self._evses[name] = EvseState(
            link=Link(True, True, now_s),
            status="occupied" if charger.battery else "available",
            power_w=power,
            energy_import_wh=Reading(charger.import_wh, now_s),
            energy_export_wh=Reading(charger.export_wh, now_s),
            dead_man_ok=True,
            proven_discharge=name in self._proven,
            vehicle=self._vehicle(charger, now_s, kinds, visit, before),
            command=CommandState(lease.power_w, ack, lease.sent_s, lease.until_s),  # type: ignore[arg-type]
            priority="priority" in kinds,
        )

    def _vehicle(
        self,
        charger: Charger,
        now_s: float,
        kinds: Mapping[FaultKind, float],
        visit: Visit | None,
        before: EvseState,
    ) -> VehicleState | None:
        battery = charger.battery
        if battery is None or visit is None:
            return None
        error_pct = kinds.get("wrong_soc", 0.0) + noise_pct(kinds.get("noisy_soc", 0.0), self._seq)
        shown_pct = shown_soc_pct(battery.soc_pct, error_pct, kinds.get("stepped_soc", 0.0))
        soc: Measured = Reading(shown_pct, now_s)
        if "quiet_soc" in kinds:
            soc = before.vehicle.soc_pct if before.vehicle is not None else Unknown("not told")
        return VehicleState(
            session=f"{visit.vehicle} {visit.arrives_wall_s:.0f}",
            vehicle=visit.identity,
            plugged_wall_s=visit.arrives_wall_s,
            soc_pct=soc,
            capacity_wh=Reading(battery.capacity_wh, now_s),
            departure_wall_s=Reading(visit.departs_wall_s, now_s),
            target_soc_pct=Reading(visit.target_soc_pct, now_s),
            max_charge_w=Reading(min(battery.charge_limit_w(), charger.rated_w()), now_s),
            max_discharge_w=Reading(min(battery.max_discharge_w, charger.evse.max_discharge_w), now_s),
            pack_c=Reading(battery.pack_c, now_s),
            phases=self._phases(charger, kinds, before),
        )

    def _phases(self, charger: Charger, kinds: Mapping[FaultKind, float], before: EvseState) -> VehiclePhases:
        """The phases on which a vehicle was seen to draw; "quiet_phases": its station shows no currents."""
        if before.vehicle is None or "quiet_phases" in kinds:
            return ""
        if abs(charger.power_w) < SEEN_W or len(charger.evse.phases) == len("L1"):
            return before.vehicle.phases
        return "L1" if charger.own_phase_w()[1] == 0.0 else "L1L2L3"

    def _look_at_meter(
        self, now_s: float, wall_s: float, site: Mapping[str, float]
    ) -> tuple[GridSample, ...]:
        if site.keys() & OLD:
            return ()
        link, root = Link(True, True, now_s), self._root
        if site.keys() & NONSENSE:
            bad = Unknown("no number")
            self._meter = MeterState(link, bad, (bad, bad, bad), (bad, bad, bad), bad)
            return (GridSample(now_s, (bad, bad, bad), bad),)
        if "meter_stuck" in site:
            repeats = self._meter.repeats + max(int(self._scenario.tick_s), 1)
            self._meter = self._read(now_s, self._meter, repeats)
            return (GridSample(now_s, self._meter.phase_voltage_v, self._meter.frequency_hz),)
        grid, hz = self._depot.grid, Reading(self._depot.grid.frequency_hz(wall_s), now_s)
        scale, shift_w = site.get("meter_scaled", 1.0), site.get("meter_shifted", 0.0)
        shown = [power_w * scale + shift_w / 3.0 for power_w in self._depot.phase_w(root)]
        if "meter_spike" in site:
            shown = [site["meter_spike"] / 3.0] * 3
        phases = Reading(shown[0], now_s), Reading(shown[1], now_s), Reading(shown[2], now_s)
        volts = tuple(Reading(grid.voltage_v(wall_s, phase), now_s) for phase in range(3))
        energy = Reading(self._depot.import_wh[root], now_s), Reading(self._depot.export_wh[root], now_s)
        self._meter = MeterState(
            link, Reading(sum(shown), now_s), phases, (volts[0], volts[1], volts[2]), hz, *energy
        )
        return (GridSample(now_s, self._meter.phase_voltage_v, hz),)

    def _sub_meter(self, meter: str, now_s: float) -> MeterState:
        """A meter other than the grid's: always true."""
        on_l1, on_l2, on_l3 = self._depot.phase_w(self._under.get(meter, self._root))
        volts = Reading(self._site.grid.nominal_v, now_s)
        phases = Reading(on_l1, now_s), Reading(on_l2, now_s), Reading(on_l3, now_s)
        power = Reading(on_l1 + on_l2 + on_l3, now_s)
        return MeterState(Link(True, True, now_s), power, phases, (volts, volts, volts))

    def _read(self, now_s: float, last: MeterState, repeats: int) -> MeterState:
        """The last answer once more."""

        def again(measured: Measured) -> Measured:
            return Reading(measured.value, now_s) if isinstance(measured, Reading) else measured

        a, b, c = (again(each) for each in last.phase_power_w)
        u, v, w = (again(each) for each in last.phase_voltage_v)
        energy = again(last.energy_import_wh), again(last.energy_export_wh)
        link = Link(True, True, now_s)
        return MeterState(
            link, again(last.power_w), (a, b, c), (u, v, w), again(last.frequency_hz), *energy, repeats
        )

    def _look_at_contact(self, now_s: float, wall_s: float, site: Mapping[str, float]) -> None:
        if "contact_silent" in site:
            return
        closed = self._depot.grid.relay_closed(wall_s)
        closed = "contact_open" not in site and ("contact_welded" in site or closed)
        self._contact = ContactState(Link(True, True, now_s), Reading(float(closed), now_s))
