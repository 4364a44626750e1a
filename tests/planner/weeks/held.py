"""Whether a week sold a kW or a kWh twice, by its meters alone: what a plan gives away as energy may not be
what it holds for a service at the same time.

Checked outside the planner, from the metered energies and charges of each quarter hour and from what the
plans said that they held. Up-power is what chargers could still give beside what flows; it must last for its
hours above the floors. Down-power is what they could still take, and must fit below the ceilings.
"""

from typing import Final

from tests.planner.weeks.play import Course, Quarter
from tests.planner.weeks.policies import ByPlan
from tests.planner.weeks.presets import Week
from v2g_edge.planner.exchange import Held

SOLD_SHARE: Final = 0.15
"""Of all chargers' power: so much is sold of each service."""
FLOW_KW: Final = 0.5
FLOW_SHARE: Final = 0.03
"""A quarter hour's mean differs from its power by ramps, and by a charge that ends earlier than forecast;
what differs by more is news, and planned anew (``wiring.dayplan``).
"""
STORED_SHARE: Final = 0.0025
"""A charge that is forecast is off by a quarter of a percent after an evening."""


def sold_of(week: Week) -> tuple[Held, ...]:
    """Frequency response both ways for a quarter hour, and a reserve of an hour upwards."""
    kw = SOLD_SHARE * sum(evse.max_discharge_w for evse in week.site.evses) / 1e3
    return Held("fcr", kw, kw, 0.25), Held("reserve", kw, 0.0, 1.0)


def sold_twice(week: Week, course: Course, pilot: ByPlan, sold: tuple[Held, ...]) -> list[str]:
    """Each quarter hour in which less was there than the plan in force said that it held."""
    found = []
    for quarter in course.quarters:
        held = _held(pilot, quarter.start_wall_s, sold)
        there = _there(week, quarter)
        stored_kwh = len(quarter.soc_pct) * week.site.vehicle_types[0].capacity_wh / 1e3
        for name, wanted, has in zip(("up kW", "down kW", "up kWh", "down kWh"), held, there, strict=True):
            off = STORED_SHARE * stored_kwh if name.endswith("kWh") else 0.0
            if wanted > has + FLOW_KW + FLOW_SHARE * wanted + off:
                found.append(
                    f"{week.name}, {quarter.start_wall_s:.0f}: {wanted:.1f} {name} held, {has:.1f} there"
                )
    return found


def _held(pilot: ByPlan, wall_s: float, sold: tuple[Held, ...]) -> tuple[float, float, float, float]:
    """What the plan in force holds: what was sold, less what it said is not there; nothing after its end."""
    report = next((report for at_s, report in reversed(pilot.reports) if at_s <= wall_s), None)
    if report is None or not report.edges[0] <= wall_s < report.edges[-1]:
        return 0.0, 0.0, 0.0, 0.0
    lacks = {(name, way): 0.0 for name in ("fcr", "reserve") for way in ("up", "down")}
    for name, way, from_s, until_s, kw in report.not_held:
        if from_s <= wall_s < until_s:
            lacks[name, way] = kw
    up = {each.name: max(each.up_kw - lacks[each.name, "up"], 0.0) for each in sold}
    down = {each.name: max(each.down_kw - lacks[each.name, "down"], 0.0) for each in sold}
    up_kwh = sum(up[each.name] * each.hours for each in sold)
    down_kwh = sum(down[each.name] * each.hours for each in sold)
    return sum(up.values()), sum(down.values()), up_kwh, down_kwh


def _there(week: Week, quarter: Quarter) -> tuple[float, float, float, float]:
    """What the vehicles that stood there could have given and taken beside what flowed."""
    kind = week.site.vehicle_types[0]
    up = down = up_kwh = down_kwh = 0.0
    for evse in week.site.evses:
        soc_pct = quarter.soc_pct.get(evse.id)
        if soc_pct is None:
            continue
        flows_kw = 4.0 * (quarter.in_kwh[evse.id] - quarter.out_kwh[evse.id])
        up += evse.max_discharge_w / 1e3 + flows_kw
        down += evse.max_charge_w / 1e3 - flows_kw
        per_pct = kind.capacity_wh / 1e5
        up_kwh += max(soc_pct - kind.min_soc_pct, 0.0) * per_pct * evse.efficiency
        down_kwh += max(kind.max_soc_pct - soc_pct, 0.0) * per_pct / evse.efficiency
    return up, down, up_kwh, down_kwh
