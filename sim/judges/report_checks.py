"""Judges of what a controller says against what is there. They get ``Told``, see the physics, and use no
product code.

- ``ramp``: a permit rises away from zero faster than the site's ramp; the least that a charger can is one
  step
- ``permit_not_in_force``: an obedient charger in reach is commanded otherwise than it is permitted, for
  longer than ``SETTLED_S``: leases that are not renewed, orders that are not the permit
- ``disobedience_unnoticed``: a charger moves more than it was permitted lately, and no row says so in time
- ``alarm_without_cause``: an alarm or a trip of a device at which nothing is wrong, nor was lately
- ``latch_outlives_cause``: an hour after the last fault something is still held
- ``ledger_short``: less is booked as taken out of a vehicle today than was taken
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from sim.judges.book import Book
from sim.judges.checkers import FLOW_W
from sim.judges.effects import Effects
from sim.judges.reported import Told
from sim.scenarios.fault import CONTACT, CONTROLLER, METER, STATION
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit
from sim.world.depot import Depot
from sim.world.physics import Battery, Charger

SETTLED_S: Final = 45.0
"""From a permit to its effect: a message, a slow station, a third of a lease until small raises are sent."""

NOTICE_S: Final = 120.0
"""Beyond ``obey_within_s``: reports come each 10 s, a retry of a refused profile and a restart take their
time.
"""

COMMAND_W: Final = 1_500.0
COMMAND_SHARE: Final = 0.1

OUTLIVES_S: Final = 3_600.0
LEDGER_PCT: Final = 1.5

AFTER_S: Final = 3_600.0
"""An alarm may come this long after its cause: a latch that returns at a failed retry."""

SETTLING_S: Final = 180.0
"""At the beginning of a run and after a restart nothing is known yet, and that is reported."""

NOTICES: Final = frozenset(
    {"disobedient", "charger_silent", "priority_charging", "charger_faulted", "charger_impaired"}
)

SITE_CAUSES: Final[dict[str, frozenset[str]]] = {
    "grid_relay_silent": CONTACT | CONTROLLER,
    "grid_relay_open": CONTACT,
    "grid_fault": METER | CONTACT | CONTROLLER,
    "meter_silent": METER | CONTROLLER,
    "meter_frozen": METER,
    "meter_implausible": METER | STATION | {"load"},
    "meter_reversed": METER | STATION,
}
"""Faults that justify an alarm of a meter or of the site, by its kind. A disturbance of the grid justifies
those of the grid.
"""

OF_THE_GRID: Final = frozenset({"grid_relay_open", "grid_fault", "meter_silent", "meter_frozen"})
OF_AN_OUTLET: Final = frozenset(
    {"disobedient", "charger_silent", "priority_charging", "charger_faulted", "charger_impaired"}
)
JUDGED: Final = frozenset(SITE_CAUSES) | OF_AN_OUTLET
SHORT: Final = frozenset({"departure_short", "departure_impossible", "departure_overdue", "vehicle_unknown"})
"""What tells people that a vehicle will not have what it needs, in time to send another."""
SHORT_PCT: Final = 2.0
"""A vehicle that leaves with less than this missing has enough for its line."""


class _Permitted(Struct):
    """What an outlet was permitted in one tick or several in a row: the least and the most in W, and whether
    the lease was renewed; ``last_wall_s`` is the last of those ticks.
    """

    permitted: tuple[float, float, bool]
    last_wall_s: float


def _span(kept: Iterable[_Permitted]) -> tuple[float, float, bool]:
    """The least and the most of all, and whether each was renewed."""
    least_w, most_w, renewed = zip(*[each.permitted for each in kept], strict=True)
    return min(least_w), max(most_w), all(renewed)


class ReportChecks:
    """Give ``look`` to ``Depot.watchers``, let it ``hear`` each tick, ``finish`` at the end. What it finds
    goes to ``book``.
    """

    def __init__(self, scenario: Scenario, book: Book, effects: Effects | None = None) -> None:
        self._scenario = scenario
        self._book = book
        self._effects = effects or Effects(scenario)
        self._told: Told | None = None
        self._since_wall_s = scenario.start_wall_s
        self._permits: dict[str, deque[_Permitted]] = {evse.id: deque() for evse in scenario.site.evses}
        self._fallbacks_w = {evse.id: evse.fallback_w for evse in scenario.site.evses}
        self._least_w = {each.id: (each.min_discharge_w, each.min_charge_w) for each in scenario.site.evses}
        self._spans: dict[str, tuple[float, float, bool]] = {}
        self._taken: dict[tuple[str, int], float] = {}
        self._soc: dict[str, float] = {}
        self._memory_s = SETTLED_S + 2 * scenario.tick_s
        self._session_wall_s: dict[str, float] = {}
        self._warned: set[str] = set()

    def arrived(self, visit: Visit) -> None:
        """A vehicle was plugged in: what it used on the road is nothing that was taken from it here."""
        self._soc.pop(visit.vehicle, None)
        self._warned.discard(visit.evse)

    def left(self, visit: Visit, battery: Battery, wall_s: float) -> None:
        """A vehicle was unplugged. Where it left short, on time, and that could be known, people must have
        been told.
        """
        needed_pct = visit.target_soc_pct - self._effects.told_too_much_pct(visit.evse)
        early = visit.gone_wall_s < visit.departs_wall_s or self._effects.clock_behind_s() > 0.0
        untold = battery.soc_pct < needed_pct - SHORT_PCT and visit.evse not in self._warned and not early
        self._book.note(
            "short_untold", visit.evse, wall_s, untold, 0.0, battery.soc_pct, visit.target_soc_pct, "%"
        )
        self._book.note("short_untold", visit.evse, wall_s, False, 0.0, 0.0, 0.0, "%")

    def hear(self, told: Told) -> None:
        """One tick of the controller."""
        if told.restarted:
            self._since_wall_s = told.wall_s
            self._spans.clear()
            for kept in self._permits.values():
                kept.clear()
        before, self._told = self._told, told
        self._look_at_ramps(before, told)
        for evse, permit in told.permits.items():
            kept = self._permits[evse]
            permitted = permit.least_w, permit.most_w, permit.renew
            if kept and kept[-1].permitted == permitted:
                kept[-1].last_wall_s = told.wall_s
            else:
                kept.append(_Permitted(permitted, told.wall_s))
            while kept[0].last_wall_s < told.wall_s - self._memory_s:
                kept.popleft()
            self._spans[evse] = permitted if len(kept) == 1 else _span(kept)
        for event in told.events:
            if event.kind in SHORT:
                self._warned.add(event.subject)
            if (
                event.severity in {"alarm", "trip"}
                and not event.kind.endswith(".cleared")
                and event.kind in JUDGED
            ):
                unjust = not self._is_justified(event.kind, event.subject, told.wall_s)
                self._book.note(
                    "alarm_without_cause",
                    f"{event.subject}:{event.kind}",
                    told.wall_s,
                    unjust,
                    0.0,
                    1.0,
                    0.0,
                    "",
                )

    def look(self, depot: Depot, _dt_s: float) -> None:
        """Judge the present instant."""
        told, wall_s = self._told, depot.wall_s
        for charger in depot.chargers.values():
            self._count(charger, wall_s)
        if told is None or wall_s - told.wall_s > 10.0 + 2 * self._scenario.tick_s:
            return
        for charger in depot.chargers.values():
            if charger.battery is None:
                self._session_wall_s.pop(charger.evse.id, None)
            else:
                self._session_wall_s.setdefault(charger.evse.id, wall_s)
                self._look_at_charger(charger, told, wall_s)

    def finish(self, depot: Depot) -> None:
        """At the end: what is held without a cause any more, and whether the ledger has all that was taken
        today.
        """
        told = self._told
        if told is None:
            return
        wall_s = depot.wall_s
        if wall_s - self._effects.last_end_wall_s() >= OUTLIVES_S:
            plugged = {name for name, c in depot.chargers.items() if c.battery is not None}
            for held in sorted(told.held, key=lambda each: (each.row, each.subject)):
                late = held.row in JUDGED and (held.row not in OF_AN_OUTLET or held.subject in plugged)
                self._book.note(
                    "latch_outlives_cause", f"{held.subject}:{held.row}", wall_s, late, 0.0, 1.0, 0.0, ""
                )
        day = int(wall_s // 86_400)
        for (vehicle, that_day), true_pct in sorted(self._taken.items()):
            if that_day != day:
                continue
            taken_pct = told.taken_pct.get(vehicle, 0.0)
            short = taken_pct < true_pct - LEDGER_PCT and not any(
                f.kind in {"wrong_soc", "noisy_soc"} for f in self._scenario.faults
            )
            self._book.note("ledger_short", vehicle, wall_s, short, 0.0, taken_pct, true_pct, "%")

    def _look_at_ramps(self, before: Told | None, told: Told) -> None:
        if before is None or told.restarted:
            return
        most_w = self._scenario.site.safety.ramp_up_w_per_s * (told.wall_s - before.wall_s) * 1.05 + FLOW_W
        for evse, permit in told.permits.items():
            last = before.permits.get(evse)
            if last is not None and (last.power_w != permit.power_w or self._book.follows):
                from_w = last.power_w if last.power_w * permit.power_w > 0.0 else 0.0
                rise_w = abs(permit.power_w) - abs(from_w)
                begins_w = self._least_w[evse][permit.power_w > 0.0] + FLOW_W if from_w == 0.0 else 0.0
                allowed_w = max(most_w, begins_w)
                steep = rise_w > allowed_w and not 0.0 <= permit.power_w <= self._fallbacks_w[evse] + FLOW_W
                self._book.note("ramp", evse, told.wall_s, steep, 0.0, rise_w, allowed_w, "W")

    def _look_at_charger(self, charger: Charger, told: Told, wall_s: float) -> None:
        evse = charger.evse
        span = self._spans.get(evse.id)
        if span is None or wall_s - max(self._session_wall_s[evse.id], self._since_wall_s) < SETTLING_S:
            return
        least_w, most_w, renewed = span
        follows, command_w, power_w = self._book.follows, charger.command_w, charger.power_w
        if (
            not follows
            and least_w <= command_w <= most_w
            and min(least_w, 0.0) <= power_w <= max(most_w, 0.0)
        ):
            return  # within what was permitted, as nearly always
        troubled = self._effects.any_at(evse.id, wall_s, SETTLING_S) or self._effects.refuses(evse.id, wall_s)
        if not renewed or troubled:
            # Without a lease, refused or not renewed, the default rules: it is counted so.
            most_w = max(most_w, evse.fallback_w)
        slack_w = COMMAND_W + COMMAND_SHARE * max(abs(least_w), abs(most_w))
        sound = not troubled and not self._effects.is_dark(wall_s)
        off_w = max(command_w - most_w, least_w - command_w)
        apart = sound and off_w > slack_w
        self._book.note("permit_not_in_force", evse.id, wall_s, apart, 0.0, command_w, most_w, "W")
        # What a vehicle does not take is its own affair.
        beyond = max(power_w - max(most_w, 0.0), min(least_w, 0.0) - power_w) > slack_w
        named = beyond and any(held.subject == evse.id and held.row in NOTICES for held in told.held)
        grace_s = self._scenario.site.safety.obey_within_s + NOTICE_S
        self._book.note(
            "disobedience_unnoticed",
            evse.id,
            wall_s,
            beyond and not named,
            grace_s,
            power_w,
            most_w,
            "W",
        )

    def _is_justified(self, kind: str, subject: str, wall_s: float) -> bool:
        if wall_s - self._since_wall_s < SETTLING_S:
            return True
        if kind in OF_AN_OUTLET:
            return self._effects.any_at(subject, wall_s, AFTER_S) or (
                kind == "charger_silent" and self._effects.any_of(CONTROLLER, wall_s, SETTLING_S)
            )
        if kind in OF_THE_GRID and self._effects.is_disturbed(wall_s):
            return True
        return self._effects.any_of(SITE_CAUSES[kind], wall_s, AFTER_S)

    def _count(self, charger: Charger, wall_s: float) -> None:
        battery = charger.battery
        if battery is None:
            return
        before_pct = self._soc.get(battery.id, battery.soc_pct)
        if charger.power_w < 0.0:
            day = (battery.id, int(wall_s // 86_400))
            self._taken[day] = self._taken.get(day, 0.0) + max(before_pct - battery.soc_pct, 0.0)
        self._soc[battery.id] = battery.soc_pct
