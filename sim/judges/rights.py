"""Which outlets may move at all: judges of the right to discharge, and of standing orders, by the physics and
the site file alone.

- ``discharge_not_authorised``: a vehicle discharges that may not, or that the site file does not know
- ``discharge_without_dead_man``: an outlet discharges that nothing would stop if its controller fell silent
- ``export_blind``: anybody discharges though the grid meter or the grid contact gives nothing, or wall time
  is a guess
- ``discharge_on_hold``, ``moves_when_stopped``: an order stands and is not followed
"""

from typing import Final

from sim.judges.book import Book
from sim.judges.checkers import FLOW_W
from sim.judges.effects import Effects
from sim.scenarios.scenario import Scenario
from sim.world.depot import Depot

MUTE_METER: Final = frozenset(
    {"meter_silent", "meter_nan", "meter_garbage", "meter_busy", "meter_reset", "contact_silent"}
)
HOLD: Final = frozenset({"operator_hold"})
STOP: Final = frozenset({"operator_stop"})
UNTOLD: Final = MUTE_METER | {"clock_unsynced"}

ACT_S: Final = 15.0
"""An order, or a silence that has become too old, ends a discharge within this: a tick, a message, a slow
station.
"""


class Rights:
    """Give ``look`` to ``Depot.watchers``. What it finds goes to ``book``."""

    def __init__(self, scenario: Scenario, book: Book, effects: Effects | None = None) -> None:
        self._scenario = scenario
        self._book = book
        self._effects = effects or Effects(scenario)
        self._may = {vehicle.id for vehicle in scenario.site.vehicles if vehicle.may_discharge}
        safety, blink_s = scenario.site.safety, 2.0 * scenario.tick_s
        self._blind_s = max(safety.meter_max_age_s, safety.contact_max_age_s) + ACT_S + blink_s
        self._act_s = ACT_S + blink_s
        self._away = frozenset({"stall", "suspend", "restart", "reboot_host"})

    def look(self, depot: Depot, _dt_s: float) -> None:
        """Judge the present instant."""
        wall_s, note, follows = depot.wall_s, self._book.note, self._book.follows
        out_w = moved_w = 0.0
        for charger in depot.chargers.values():
            evse, power_w = charger.evse, charger.power_w
            if power_w == 0.0 and not follows:
                continue
            moved_w = max(moved_w, abs(power_w))
            out_w = max(out_w, -power_w)
            discharges = power_w < -FLOW_W
            if not discharges and not follows:
                continue
            barred = discharges and (charger.battery is None or charger.battery.id not in self._may)
            note("discharge_not_authorised", evse.id, wall_s, barred, 0.0, power_w, 0.0, "W")
            unguarded = discharges and (evse.dead_man == "none" or evse.discharge_by == "none")
            note("discharge_without_dead_man", evse.id, wall_s, unguarded, 0.0, power_w, 0.0, "W")
        out = out_w > FLOW_W
        if not out and moved_w <= FLOW_W and not follows:
            return
        blind = out and self._effects.any_of(UNTOLD, wall_s, 0.0)
        note("export_blind", "site", wall_s, blind, self._blind_s, out_w, 0.0, "W")
        if self._effects.any_of(self._away, wall_s, 60.0):
            return  # an order reaches no charger while there is no controller: the leases end by themselves
        held = out and self._effects.any_of(HOLD, wall_s, 0.0)
        note("discharge_on_hold", "site", wall_s, held, self._act_s, out_w, 0.0, "W")
        stopped = moved_w > FLOW_W and self._effects.any_of(STOP, wall_s, 0.0)
        note("moves_when_stopped", "site", wall_s, stopped, self._act_s, moved_w, 0.0, "W")
