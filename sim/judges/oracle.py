"""Which departures were physically possible, with the faults that were played: a depot charged with
everything known.

The oracle plays all stays again with physics of its own copy: from plug-in on each vehicle charges with all
that its pack, its outlet and the feeders leave, the vehicle with the least time to spare first, never
discharging, and with what the faults leave possible (``sim.judges.effects``). It does not foresee what will
befall one outlet: when such a fault begins, it has no more in the vehicle than the product had, which may
wait for a cheaper hour as long as there is time. A vehicle that takes less than it showed before, or less
than a sixth of its plate, shows that when it is told more; until then the oracle does not know it either. It
grants the product ``CONTROL_SHARE`` of the feeders and
``Scenario.allowed_late_s`` at plug-in.
"""

import copy
import math
from typing import Final

from msgspec import Struct

from sim.judges.effects import Effects
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.physics import Charger
from v2g_edge.model.site import Feeder

STEP_S: Final = 60.0

CONTROL_SHARE: Final = 0.93
"""Of a feeder's limit: margin (2 %), live base load held at its peaks, steps of permits and ramps."""

SOC_SLACK_PCT: Final = 0.5
"""A 10 s report of a 100 kW unit is 0.1 points of a 280 kWh pack; the rest is rounding of what vehicles
report.
"""

LATE_LEAVING_S: Final = 1.0


class Stay(Struct):
    """A vehicle as it arrived: ``charger`` is a copy of the outlet with its pack at that moment.

    ``onsets``: (UTC, SoC) as a fault of its outlet began. ``shown_w``: the most that it was seen to charge
    with; ``known_w``: as little as it has turned out to take.
    """

    visit: Visit
    arrived_wall_s: float
    charger: Charger
    onsets: list[tuple[float, float]] = []
    shown_w: float = 0.0
    known_w: float = math.inf


class Prospect(Struct, frozen=True):
    """``best_soc_pct`` is what all means reach, ``needed_pct`` what the product could know to be needed."""

    best_soc_pct: float
    needed_pct: float

    @property
    def possible(self) -> bool:
        """Whether the departure could be met."""
        return self.best_soc_pct >= self.needed_pct - SOC_SLACK_PCT


def prospects(scenario: Scenario, stays: list[Stay]) -> list[Prospect]:
    """What was possible for each stay, all of them together."""
    if not stays:
        return []
    effects = Effects(scenario)
    twins = [copy.deepcopy(stay.charger) for stay in stays]
    leaves = [_leaves_wall_s(stay.visit, effects) for stay in stays]
    needed = [stay.visit.target_soc_pct - effects.told_too_much_pct(stay.visit.evse) for stay in stays]
    wall_s, end_wall_s = min(stay.arrived_wall_s for stay in stays), max(leaves)
    while wall_s < end_wall_s:
        for stay, twin in zip(stays, twins, strict=True):
            for onset_wall_s, soc_pct in stay.onsets:
                if wall_s <= onset_wall_s < wall_s + STEP_S and twin.battery is not None:
                    twin.battery.soc_pct = min(twin.battery.soc_pct, soc_pct)
        present = [
            n
            for n, stay in enumerate(stays)
            if stay.arrived_wall_s + scenario.allowed_late_s <= wall_s < leaves[n]
            and not _full(twins[n], needed[n])
        ]
        if present:
            _charge(
                scenario,
                effects,
                [(stays[n], twins[n], needed[n], leaves[n]) for n in present],
                stays,
                leaves,
                wall_s,
            )
        wall_s += STEP_S
    return [Prospect(_soc(twin), need) for twin, need in zip(twins, needed, strict=True)]


def _leaves_wall_s(visit: Visit, effects: Effects) -> float:
    """No product can know that a vehicle will leave before its time; one that stays longer may be charged
    on.
    """
    return max(visit.departs_wall_s, visit.gone_wall_s) - effects.clock_behind_s()


def _soc(charger: Charger) -> float:
    return charger.battery.soc_pct if charger.battery is not None else 0.0


def _full(charger: Charger, needed_pct: float) -> bool:
    return _soc(charger) >= min(needed_pct + SOC_SLACK_PCT, 100.0)


def _charge(
    scenario: Scenario,
    effects: Effects,
    wanting: list[tuple[Stay, Charger, float, float]],
    stays: list[Stay],
    leaves: list[float],
    wall_s: float,
) -> None:
    room_w = _room(scenario, effects, stays, leaves, wall_s)
    parents = {feeder.id: feeder.parent for feeder in scenario.site.feeders}
    for _, charger, _, _ in sorted(
        wanting, key=lambda w: (w[3] - wall_s - _takes_s(w[1], w[2]), w[0].visit.evse)
    ):
        evse = charger.evse
        most_w = effects.most_w(evse.id, evse.max_charge_w, evse.fallback_w, wall_s)
        path, feeder = [], evse.feeder
        while feeder:
            path.append(feeder)
            feeder = parents[feeder]
        shares = charger.phase_shares()
        if not effects.takes_its_rating(evse.id, wall_s):
            most_w = max(min(most_w, *(room_w[name].left_w(shares) for name in path)), 0.0)
        charger.command_w = most_w
        charger.power_w = charger.reachable_w()
        charger.step(STEP_S)
        if not effects.takes_its_rating(evse.id, wall_s):
            for name in path:
                room_w[name].take(charger.power_w, shares)


def _takes_s(charger: Charger, needed_pct: float) -> float:
    """How long it would take at the present power; the taper is behind it for all alike."""
    battery = charger.battery
    if battery is None:
        return 0.0
    power_w = min(charger.evse.max_charge_w, battery.charge_limit_w() / charger.efficiency)
    return (needed_pct - battery.soc_pct) / 100.0 * battery.capacity_wh / max(power_w, 1.0) * 3_600.0


class _Room:
    """What is left of one feeder, in all and on each phase.

    Attributes:
        total_w: Left of its limit in W.
        phase_w: Left on each phase; None where no limit by phase was commissioned.
    """

    def __init__(self, total_w: float, phase_w: list[float] | None) -> None:
        self.total_w = total_w
        self.phase_w = phase_w

    def left_w(self, shares: tuple[float, float, float]) -> float:
        """What a charger may take whose power spreads over the phases like this."""
        if self.phase_w is None:
            return self.total_w
        by_phase = (left_w / share for left_w, share in zip(self.phase_w, shares, strict=True) if share > 0.0)
        return min(self.total_w, *by_phase)

    def take(self, power_w: float, shares: tuple[float, float, float]) -> None:
        """So much is in use."""
        self.total_w -= power_w
        if self.phase_w is not None:
            for phase, share in enumerate(shares):
                self.phase_w[phase] -= share * power_w


def _room(
    scenario: Scenario, effects: Effects, stays: list[Stay], leaves: list[float], wall_s: float
) -> dict[str, _Room]:
    """What is left of each feeder for charging, by id."""
    feeders = scenario.site.feeders
    taken_w = {feeder.id: _base_w(scenario, effects, feeder, wall_s) for feeder in feeders}
    phase_w = {feeder.id: _base_by_phase(scenario, effects, feeder, wall_s) for feeder in feeders}
    for stay, leaves_wall_s in zip(stays, leaves, strict=True):
        evse = stay.charger.evse
        if stay.arrived_wall_s <= wall_s < leaves_wall_s and effects.takes_its_rating(evse.id, wall_s):
            taken_w[evse.feeder] += stay.charger.rated_w()
            for phase, share in enumerate(stay.charger.phase_shares()):
                phase_w[evse.feeder][phase] += share * stay.charger.rated_w()
    children: dict[str, list[str]] = {feeder.id: [] for feeder in feeders}
    for feeder in feeders:
        if feeder.parent:
            children[feeder.parent].append(feeder.id)

    def total(feeder: str) -> float:
        return taken_w[feeder] + sum(total(child) for child in children[feeder])

    def on(phase: int, feeder: str) -> float:
        return phase_w[feeder][phase] + sum(on(phase, child) for child in children[feeder])

    rooms = {}
    for feeder in feeders:
        by_phase = None
        if feeder.current is not None:
            limit_w = CONTROL_SHARE * feeder.current.import_a * scenario.site.grid.nominal_v
            by_phase = [limit_w - on(phase, feeder.id) for phase in range(3)]
        rooms[feeder.id] = _Room(CONTROL_SHARE * feeder.import_limit_w - total(feeder.id), by_phase)
    return rooms


def _base_w(scenario: Scenario, effects: Effects, feeder: Feeder, wall_s: float) -> float:
    """The building on one feeder: as commissioned where no meter measures it, as it is where one does."""
    actual_w = sum(load.power_w(wall_s) for load in scenario.loads if load.feeder == feeder.id)
    actual_w += effects.extra_w(feeder.id, wall_s)
    return max(actual_w, feeder.base_load_max_w if not feeder.meter or effects.is_blind(wall_s) else 0.0)


def _base_by_phase(scenario: Scenario, effects: Effects, feeder: Feeder, wall_s: float) -> list[float]:
    """The same on each phase: what was commissioned may hang on any one of them, as far as its current there
    was not measured.
    """
    actual_w = [effects.extra_w(feeder.id, wall_s) / 3.0] * 3
    for load in scenario.loads:
        if load.feeder == feeder.id:
            for phase, power_w in enumerate(load.phase_w(wall_s)):
                actual_w[phase] += power_w
    if feeder.meter and not effects.is_blind(wall_s):
        return actual_w
    known_a = None if feeder.current is None else feeder.current.base_load_a
    most_w = feeder.base_load_max_w
    if known_a is not None:
        most_w = min(most_w, known_a * scenario.site.grid.nominal_v)
    return [max(each_w, most_w) for each_w in actual_w]
