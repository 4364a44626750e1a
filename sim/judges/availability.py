"""Availability as a figure: vehicle-hours in which charging was wanted, possible and safe, and did not flow.

Wanted: the vehicle lacks charge, and either the controller itself wishes to charge it or its time is running
out. Possible and safe: nothing is wrong at the outlet, and all feeders above it have room for what is missing
(or the missing part, where they have less). What does not flow counts in proportion, on the account of the
limit that the controller names.
"""

from typing import Final

from msgspec import Struct

from sim.judges.effects import Effects
from sim.judges.reported import Told
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Charger

SOC_DONE_PCT: Final = 0.5
SHARE_SLACK: Final = 0.1
"""Less than this share of what is wanted is rounding, ramps and margins."""

SETTLE_S: Final = 60.0
"""After plug-in: protocol, first report, ramp."""

PATIENCE: Final = 1.1
"""Time is running out when this times the time at full power is left."""

JOULES_PER_KWH: Final = 3.6e6


class Figures(Struct):
    """``lacking_h``: vehicle-hours plugged in below target. ``held_h`` of them did not flow, by rule;
    export in kWh likewise.
    """

    lacking_h: float = 0.0
    held_h: dict[str, float] = {}
    export_lost_kwh: dict[str, float] = {}

    @property
    def held_pct(self) -> float:
        """Share of the vehicle-hours that did not flow."""
        return 100.0 * sum(self.held_h.values()) / self.lacking_h if self.lacking_h else 0.0


class Availability:
    """Give ``look`` to ``Depot.watchers`` and ``hear`` what the controller says; report arrivals and
    departures to it.
    """

    def __init__(self, scenario: Scenario, effects: Effects | None = None) -> None:
        self.figures = Figures()
        self._effects = effects or Effects(scenario)
        self._visits: dict[str, tuple[Visit, float]] = {}
        self._told: Told | None = None
        self._parents = {feeder.id: feeder.parent for feeder in scenario.site.feeders}
        self._limits_w = {feeder.id: feeder.import_limit_w for feeder in scenario.site.feeders}
        self._limits_a = {f.id: f.current.import_a for f in scenario.site.feeders if f.current is not None}

    def arrived(self, visit: Visit, wall_s: float) -> None:
        """A vehicle was plugged in."""
        self._visits[visit.evse] = visit, wall_s

    def left(self, visit: Visit) -> None:
        """A vehicle was unplugged."""
        self._visits.pop(visit.evse, None)

    def hear(self, told: Told) -> None:
        """The controller's latest tick."""
        self._told = told

    def look(self, depot: Depot, dt_s: float) -> None:
        """Judge the last ``dt_s``."""
        told = self._told
        if told is None:
            return
        for evse, (visit, since_wall_s) in self._visits.items():
            charger = depot.chargers[evse]
            if charger.battery is None or depot.wall_s - since_wall_s < SETTLE_S:
                continue
            permit = told.permits.get(evse)
            if permit is not None and permit.wish_w < 0.0 and permit.power_w > permit.wish_w:
                lost_kwh = (min(permit.power_w, 0.0) - permit.wish_w) * dt_s / JOULES_PER_KWH
                rule = permit.bound_by.rule
                self.figures.export_lost_kwh[rule] = self.figures.export_lost_kwh.get(rule, 0.0) + lost_kwh
            needed_pct = visit.target_soc_pct - self._effects.told_too_much_pct(evse)
            if charger.battery.soc_pct < needed_pct - SOC_DONE_PCT:
                self.figures.lacking_h += dt_s / 3_600.0
                self._judge(depot, charger, visit, needed_pct, dt_s)

    def _judge(self, depot: Depot, charger: Charger, visit: Visit, needed_pct: float, dt_s: float) -> None:
        evse, battery, wall_s = charger.evse, charger.battery, depot.wall_s
        permit = self._told.permits.get(evse.id) if self._told else None
        if battery is None:
            return
        full_w = min(charger.rated_w(), battery.charge_limit_w() / charger.efficiency)
        takes_s = (needed_pct - battery.soc_pct) / 100.0 * battery.capacity_wh / max(full_w, 1.0) * 3_600.0
        presses = visit.departs_wall_s - wall_s <= PATIENCE * takes_s
        wished_w = permit.wish_w if permit is not None else 0.0
        asked_w = full_w if presses else max(wished_w, 0.0)
        if asked_w < evse.min_charge_w or charger.power_w > (1.0 - SHARE_SLACK) * asked_w:
            return
        wanted_w = min(asked_w, self._effects.most_w(evse.id, evse.max_charge_w, evse.fallback_w, wall_s))
        wanted_w = min(wanted_w, full_w)
        missing_w = min(wanted_w - max(charger.power_w, 0.0), self._room_w(depot, charger))
        if wanted_w < evse.min_charge_w or missing_w < SHARE_SLACK * wanted_w:
            return
        rule = "no permit" if permit is None else permit.bound_by.rule
        if rule == "wish" and presses and wished_w < wanted_w:
            rule = "not wished"
        self.figures.held_h[rule] = self.figures.held_h.get(rule, 0.0) + missing_w / wanted_w * dt_s / 3_600.0

    def _room_w(self, depot: Depot, charger: Charger) -> float:
        """What every feeder above has left for a charger, a tenth of its limit kept for what moves."""
        feeder = charger.evse.feeder
        room_w, shares = self._limits_w[feeder], charger.phase_shares()
        while feeder:
            room_w = min(room_w, 0.9 * self._limits_w[feeder] - depot.feeder_w[feeder])
            limit_a = self._limits_a.get(feeder)
            if limit_a is not None:
                for share, phase_w in zip(shares, depot.phase_w(feeder), strict=True):
                    if share:
                        room_w = min(room_w, (0.9 * limit_a * depot.grid.nominal_v - phase_w) / share)
            feeder = self._parents[feeder]
        return room_w
