"""A plan that looks at prices and at nothing else: out in the dear hours, in in the cheap ones, every charger
at full power.

It knows neither departures nor limits nor batteries. So it asks for what a sound depot must refuse, night
after night.
"""

from typing import Final

from sim.scenarios.scenario import Scenario
from v2g_edge.model.plan import Plan, Slot

HOUR_S: Final = 3_600.0
DEAR: Final = 0.3
CHEAP: Final = 0.4
"""Shares of the hours in which it sells and buys."""


def trade(scenario: Scenario, wall_s: float, revision: int) -> Plan | None:
    """The plan from ``wall_s`` to the end of the known prices; None where none are known."""
    prices = [price for price in scenario.prices if price.start_wall_s + HOUR_S > wall_s]
    if not prices:
        return None
    ranked = sorted(price.per_kwh for price in prices)
    cheap, dear = ranked[int(CHEAP * (len(ranked) - 1))], ranked[int((1.0 - DEAR) * (len(ranked) - 1))]
    evses = sorted(scenario.site.evses, key=lambda evse: evse.id)
    slots = []
    for price in prices:
        start_wall_s = max(price.start_wall_s, wall_s)
        sells, buys = price.per_kwh >= dear, price.per_kwh <= cheap
        powers = ((e.id, -e.max_discharge_w if sells else e.max_charge_w if buys else 0.0) for e in evses)
        slots.append(Slot(start_wall_s, price.start_wall_s + HOUR_S, tuple(powers)))
    return Plan(revision, "local", wall_s, slots[0].start_wall_s, slots[-1].end_wall_s, tuple(slots))
