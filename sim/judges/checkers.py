"""Independent judges of the physical truth. They see what flows, never what the daemon believes, and share no
code with it.

What counts, and from when (tolerances are for metering and ramps, not for the daemon's comfort):

- a feeder, or one phase of it, carries more than its limit, either way: above 1 % for longer than 5 s, or
  above 10 % at once; or above 1 % again and again, so that a bucket of 30 s runs over which empties ten times
  slower than it fills
- a vehicle discharges though the grid relay is open, or frequency or voltage is outside the window, for
  longer than ``Scenario.reaction_s``; or again before the grid was healthy for ``Scenario.enter_service_s``
- a vehicle discharges below its SoC floor, or deeper than allowed for one event or one UTC day: by more than
  0.5 points
- a vehicle discharges, or charges above the fallback, outside its pack temperature window by more than 0.5 °C
  for 120 s
- a charger moves more than its rating by 1 %
- a charger that had no message of its controller for a lease and 5 s of ramp is not at its default:
  discharges or charges above it
- at departure the SoC is more than 0.5 points below the target though an oracle that knows the faults would
  have reached it (``sim.judges.oracle``): a missed departure, counted apart
"""

import copy
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sim.judges.book import Book
from sim.judges.effects import Effects
from sim.judges.oracle import SOC_SLACK_PCT, Stay, prospects
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Battery, Charger
from v2g_edge.model.site import Evse, VehicleType

FLOW_W: Final = 300.0
"""Below this nothing flows: standby and measuring noise of a 50-100 kW unit."""

FEEDER_SOON: Final = (1.01, 5.0)
FEEDER_AT_ONCE: Final = (1.10, 0.0)
"""(share of the limit, seconds). A gG fuse carries 110 % for many minutes: this is the operator's
patience, not the fuse's.
"""

BLINK_S: Final = 5.0
"""A run with longer ticks than this is played in minutes: its controller sees a load two ticks late, as it
may.
"""

OFTEN_S: Final = 30.0
OFTEN_EMPTIES: Final = 0.1
"""A controller that is over, cuts, and is over again heats a breaker as one that stays over."""

UNSEEN_SHARE: Final = 1.0 / 6.0
"""Of its plate: what a vehicle may be reckoned with before it has charged (16 A on one phase of 22 kW)."""

LATE_S: Final = 60.0
"""A vehicle that leaves this much before its time leaves early."""

TEMPERATURE_SLACK_C: Final = 0.5
TEMPERATURE_S: Final = 120.0
LEASE_RAMP_S: Final = 5.0


class Departure(Struct, frozen=True):
    """How one vehicle left. ``best_soc_pct`` is what the oracle would have reached.

    ``needed_pct`` is what could be known to be needed: less than the target where the vehicle reported too
    high a charge.

    ``excused``: it left before its time, or the oracle could not serve more vehicles than were served.
    """

    vehicle: str
    evse: str
    wall_s: float
    soc_pct: float
    target_soc_pct: float
    best_soc_pct: float
    needed_pct: float
    excused: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it left with what could be known to be needed."""
        return self.soc_pct >= self.needed_pct - SOC_SLACK_PCT

    @property
    def verdict(self) -> str:
        """``met``, ``missed_possible`` or ``missed_impossible``."""
        if self.is_met:
            return "met"
        lost = self.best_soc_pct >= self.needed_pct - SOC_SLACK_PCT and not self.excused
        return "missed_possible" if lost else "missed_impossible"


class Look(NamedTuple):
    """One look at a flow.

    Attributes:
        wall_s: When, in seconds of UTC.
        dt_s: Since the last look.
        more_s: Patience beyond the usual, for what was played.
        unit: Of the flow and its limits.
        noise: Below this nothing flows, in the same unit.
    """

    wall_s: float
    dt_s: float
    more_s: float
    unit: str
    noise: float


class _Trace:
    """What is followed of one plugged-in vehicle: the top of its discharge event, and SoC lost by
    discharge on this UTC day.
    """

    def __init__(self, battery: Battery) -> None:
        self.last_pct = battery.soc_pct
        self.top_pct = battery.soc_pct


class Checkers:
    """All judges of one run. Give ``look`` to ``Depot.watchers``; tell of arrivals and departures.

    ``heard_wall_s`` tells when a charger last heard its controller; None: never, so that it cannot have lost
    it.
    """

    def __init__(
        self, scenario: Scenario, heard_wall_s: Callable[[str], float | None], effects: Effects | None = None
    ) -> None:
        self.book = Book()
        self._stays: dict[str, Stay] = {}
        self._effects = effects = effects or Effects(scenario)
        self._onsets = {evse.id: effects.onsets_wall_s(evse.id) for evse in scenario.site.evses}
        self._past: list[tuple[Stay, float, float]] = []
        self._settled: list[Departure] = []
        self._scenario = scenario
        self._heard_wall_s = heard_wall_s
        self._evses = {evse.id: evse for evse in scenario.site.evses}
        kinds = {kind.id: kind for kind in scenario.site.vehicle_types}
        self._kinds = {vehicle.id: kinds[vehicle.type] for vehicle in scenario.site.vehicles}
        self._traces: dict[str, _Trace] = {}
        self._day_out: dict[tuple[str, int], float] = {}
        self._over_s: dict[tuple[str, str], float] = {}
        self._blink_s = 2.0 * scenario.tick_s if scenario.tick_s > BLINK_S else 0.0
        self._bad_since: float | None = None
        self._healthy_since = scenario.start_wall_s - scenario.enter_service_s

    def arrived(self, visit: Visit, charger: Charger, wall_s: float) -> None:
        """A vehicle was plugged in: the oracle will need it as it is now."""
        if charger.battery is not None:
            self._traces[visit.evse] = _Trace(charger.battery)
            self._stays[visit.evse] = Stay(visit, wall_s, copy.deepcopy(charger), [])

    def left(self, visit: Visit, battery: Battery, wall_s: float) -> None:
        """A vehicle was unplugged."""
        self._traces.pop(visit.evse, None)
        self._past.append((self._stays.pop(visit.evse), wall_s, battery.soc_pct))

    @property
    def departures(self) -> list[Departure]:
        """All departures so far, each with what the oracle says of it."""
        if len(self._settled) != len(self._past):
            self._settled = self._settle()
        return self._settled

    def _settle(self) -> list[Departure]:
        past = self._past
        stays = [stay for stay, _, _ in past] + list(self._stays.values())
        found = []
        for (stay, wall_s, soc_pct), best in zip(past, prospects(self._scenario, stays), strict=False):
            visit = stay.visit
            early = visit.gone_wall_s < visit.departs_wall_s - LATE_S
            told = (
                visit.vehicle,
                visit.evse,
                wall_s,
                soc_pct,
                visit.target_soc_pct,
                best.best_soc_pct,
                best.needed_pct,
            )
            found.append(Departure(*told, excused=early))
        served = sum(departure.is_met for departure in found)
        could = sum(departure.best_soc_pct >= departure.needed_pct - SOC_SLACK_PCT for departure in found)
        if served >= could < len(found):
            # More wanted than there was: which were served is the product's choice, how many is not.
            return [
                departure if departure.is_met else replace(departure, excused=True) for departure in found
            ]
        return found

    def look(self, depot: Depot, dt_s: float) -> None:
        """Judge the present instant."""
        wall_s = depot.wall_s
        self._look_at_feeders(depot, wall_s, dt_s)
        self._look_at_grid(depot, wall_s)
        for evse, charger in depot.chargers.items():
            battery = charger.battery
            if battery is not None:
                self._look_at_charger(charger, battery, wall_s)
                if self._onsets[evse]:
                    self._note_onsets(evse, battery, wall_s)
                self._note_weakness(charger, battery, wall_s)

    def _note_onsets(self, evse: str, battery: Battery, wall_s: float) -> None:
        """What is in the vehicle as a fault of its outlet begins."""
        onsets, stay = self._onsets[evse], self._stays.get(evse)
        while onsets and onsets[0] <= wall_s:
            began_wall_s = onsets.pop(0)
            if stay is not None and began_wall_s >= stay.arrived_wall_s:
                stay.onsets.append((began_wall_s, battery.soc_pct))

    def _note_weakness(self, charger: Charger, battery: Battery, wall_s: float) -> None:
        """What is in the vehicle when it turns out to take less than could be known: less than it showed in
        this stay, or than the share of its plate that a depot reckons with before it has charged.
        """
        stay = self._stays.get(charger.evse.id)
        if stay is None:
            return
        takes_w = self._effects.takes_at_most_w(charger.evse.id, wall_s)
        if charger.power_w < takes_w - FLOW_W:
            stay.shown_w = max(stay.shown_w, charger.power_w)
            return
        hidden = takes_w < UNSEEN_SHARE * charger.evse.max_charge_w or stay.shown_w > takes_w
        if hidden and takes_w < stay.known_w:
            stay.onsets.append((wall_s, battery.soc_pct))
            stay.known_w = takes_w

    def _look_at_feeders(self, depot: Depot, wall_s: float, dt_s: float) -> None:
        more_s = self._blink_s + self._effects.patience_s(wall_s, self._scenario.site.safety.obey_within_s)
        for feeder in self._scenario.site.feeders:
            limits_w = feeder.import_limit_w, feeder.export_limit_w
            look = Look(wall_s, dt_s, more_s, "W", FLOW_W)
            self._look_at_flow("feeder", feeder.id, depot.feeder_w[feeder.id], limits_w, look)
            if feeder.current is None:
                continue
            limits_a = feeder.current.import_a, feeder.current.export_a
            for phase, power_w in enumerate(depot.phase_w(feeder.id)):
                volts = depot.grid.voltage_v(wall_s, phase)
                look = Look(wall_s, dt_s, more_s, "A", FLOW_W / volts)
                self._look_at_flow("phase", f"{feeder.id} L{phase + 1}", power_w / volts, limits_a, look)

    def _look_at_flow(
        self, kind: str, place: str, flow: float, limits: tuple[float, float], look: "Look"
    ) -> None:
        """One flow, import +, against its limits (import, export), in the unit of ``look``."""
        limit = limits[0] if flow >= 0 else limits[1]
        way, other = ("import", "export") if flow >= 0 else ("export", "import")
        over = abs(flow) > FEEDER_SOON[0] * limit + look.noise
        key = (place, way)
        step_s = look.dt_s if over else -OFTEN_EMPTIES * look.dt_s
        over_s = self._over_s[key] = max(self._over_s.get(key, 0.0) + step_s, 0.0)
        if not over and not self.book.follows:
            return
        for share, patience_s in (FEEDER_SOON, FEEDER_AT_ONCE):
            bad = abs(flow) > share * limit + look.noise
            name = f"{share - 1:.0%}"
            self.book.note(
                f"{kind}_{way}_{name}", place, look.wall_s, bad, patience_s + look.more_s, abs(flow), limit,
                look.unit,
            )  # fmt: skip
            self.book.note(f"{kind}_{other}_{name}", place, look.wall_s, False, 0.0, 0.0, 0.0, look.unit)
        often = over and over_s > OFTEN_S + look.more_s
        self.book.note(f"{kind}_{way}_often", place, look.wall_s, often, 0.0, abs(flow), limit, look.unit)

    def _look_at_grid(self, depot: Depot, wall_s: float) -> None:
        scenario, grid = self._scenario, depot.grid
        low_hz, high_hz = scenario.window_hz
        low_v, high_v = (pu * grid.nominal_v for pu in scenario.window_pu)
        healthy = grid.relay_closed(wall_s) and low_hz <= grid.frequency_hz(wall_s) <= high_hz
        for phase in range(3):
            healthy = healthy and low_v <= grid.voltage_v(wall_s, phase) <= high_v
        if healthy:
            if self._bad_since is not None:
                self._healthy_since, self._bad_since = wall_s, None
        elif self._bad_since is None:
            self._bad_since = wall_s
        out_w = -sum([charger.power_w for charger in depot.chargers.values() if charger.power_w < -FLOW_W])
        flows = out_w > 0
        if not flows and not self.book.follows:
            return
        late = self._bad_since is not None and wall_s - self._bad_since > scenario.reaction_s
        early = self._bad_since is None and wall_s - self._healthy_since < scenario.enter_service_s
        self.book.note("discharge_without_grid", "site", wall_s, flows and late, 0.0, out_w, 0.0, "W")
        self.book.note(
            "discharge_before_enter_service", "site", wall_s, flows and early, 0.0, out_w, 0.0, "W"
        )

    def _look_at_charger(self, charger: Charger, battery: Battery, wall_s: float) -> None:
        evse, power_w, follows = charger.evse, charger.power_w, self.book.follows
        rating_w = evse.max_charge_w if power_w >= 0 else evse.max_discharge_w
        over = abs(power_w) > 1.01 * rating_w + FLOW_W
        if over or follows:
            self.book.note("charger_rating", evse.id, wall_s, over, 0.0, abs(power_w), rating_w, "W")
        kind = self._kinds[battery.id]
        self._look_at_pack(evse, kind, battery, power_w, wall_s)
        heard_wall_s = self._heard_wall_s(evse.id)
        alone = (
            heard_wall_s is not None
            and wall_s - heard_wall_s > self._scenario.site.safety.lease_s + LEASE_RAMP_S
        )
        # A charger that takes more than its setpoint does so at its default, too.
        astray = (
            alone
            and not self._effects.takes_its_rating(evse.id, wall_s)
            and not -FLOW_W <= power_w <= evse.fallback_w + FLOW_W
        )
        if astray or follows:
            self.book.note("lease", evse.id, wall_s, astray, 0.0, power_w, evse.fallback_w, "W")

    def _look_at_pack(
        self, evse: Evse, kind: VehicleType, battery: Battery, power_w: float, wall_s: float
    ) -> None:
        trace = self._traces.get(evse.id)
        if trace is None:
            trace = self._traces[evse.id] = _Trace(battery)
        soc_pct, discharges = battery.soc_pct, power_w < -FLOW_W
        trace.top_pct = soc_pct if power_w > FLOW_W else max(trace.top_pct, soc_pct)
        day = (battery.id, int(wall_s // 86_400))
        if trace.last_pct > soc_pct:
            self._day_out[day] = self._day_out.get(day, 0.0) + (trace.last_pct - soc_pct)
        trace.last_pct = soc_pct
        moved = discharges or power_w > evse.fallback_w + FLOW_W
        if not moved and not self.book.follows:
            return
        note = self.book.note
        slack_pct = SOC_SLACK_PCT + self._within_a_tick_pct(battery, power_w)
        below = discharges and soc_pct < kind.min_soc_pct - slack_pct
        note("soc_floor", evse.id, wall_s, below, 0.0, soc_pct, kind.min_soc_pct, "%")
        depth_pct = trace.top_pct - soc_pct
        deep = discharges and depth_pct > kind.depth_per_event_pct + slack_pct
        note("depth_per_event", evse.id, wall_s, deep, 0.0, depth_pct, kind.depth_per_event_pct, "%")
        out_pct = self._day_out.get(day, 0.0)
        much = discharges and out_pct > kind.depth_per_day_pct + slack_pct
        note("depth_per_day", evse.id, wall_s, much, 0.0, out_pct, kind.depth_per_day_pct, "%")
        hot = moved and battery.pack_c > kind.pack_max_c + TEMPERATURE_SLACK_C
        cold = moved and battery.pack_c < kind.pack_min_c - TEMPERATURE_SLACK_C
        note("pack_hot", evse.id, wall_s, hot, TEMPERATURE_S, battery.pack_c, kind.pack_max_c, "°C")
        note("pack_cold", evse.id, wall_s, cold, TEMPERATURE_S, battery.pack_c, kind.pack_min_c, "°C")

    def _within_a_tick_pct(self, battery: Battery, power_w: float) -> float:
        """What flows until a controller of minutes can see it: 0.6 points of 265 kWh at 100 kW."""
        if self._scenario.tick_s <= BLINK_S:
            return 0.0
        return 100.0 * abs(power_w) * self._scenario.tick_s / 3_600.0 / battery.capacity_wh
