"""`python -m tests.planner.weeks [PRESET [WEEK]]`: what each policy costs, beside what foresight would."""

import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from tests.planner.weeks.foresight import KEPT, NONE, base_kw_of, buy_of, least_cost, sell_of
from tests.planner.weeks.held import sold_of, sold_twice
from tests.planner.weeks.play import Course, Yard, one_way
from tests.planner.weeks.policies import TERMS, ByPlan, at_once, optimised, plain
from tests.planner.weeks.presets import PRESETS, Week, week_of
from v2g_edge.planner.build import Outlook

WEEKS: Final = 8
MOST_OVER_PCT: Final = 1.5
CENT: Final = 0.01


class Costs(NamedTuple):
    """Money of a week: by policy, and what one would need who knows all of it, with and without margins."""

    name: str
    optimum: float
    managed: float
    greedy: float
    uncontrolled: float
    foresight: float
    bare: float
    short: tuple[tuple[str, str, float], ...]
    twice: tuple[str, ...]

    @property
    def over_pct(self) -> float:
        """How far the optimum is above perfect foresight, in percent of it."""
        return 100.0 * (self.optimum - self.foresight) / abs(self.foresight)

    def faults(self) -> list[str]:
        """What does not hold of this week."""
        found = [
            *self.twice[:3],
            *(f"{len(self.twice)} quarter hours in which something is sold twice",)[: len(self.twice)],
        ]
        found += [f"{policy}: {who} left {pct:.2f} % short" for policy, who, pct in self.short]
        if self.optimum > self.managed + CENT:
            found.append("the optimum costs more than managed charging")
        if self.managed > self.uncontrolled + CENT:
            found.append("managed charging costs more than charging at once")
        if self.over_pct > MOST_OVER_PCT:
            found.append(f"{self.over_pct:.2f} % above perfect foresight")
        return [f"{self.name}: {each}" for each in found]


def cost_of(week: Week, course: Course) -> float:
    """The bill by the meters and the wear of what left the batteries; a battery that ends above its goal is
    worth what energy mostly costs.
    """
    count = len(course.quarters)
    buy = buy_of(week, count)
    net = np.array([sum(q.in_kwh.values()) - sum(q.out_kwh.values()) for q in course.quarters])
    net += base_kw_of(week) / 4.0
    out_kwh = sum(sum(q.out_kwh.values()) for q in course.quarters)
    goal_pct = week.visits[0].target_soc_pct + KEPT.above_pct
    kind, evse = week.site.vehicle_types[0], week.site.evses[0]
    over_kwh = sum(pct - goal_pct for pct in course.end_pct.values()) * kind.capacity_wh / 1e5
    bill = float((buy * net.clip(min=0.0) + sell_of(buy) * net.clip(max=0.0)).sum())
    return bill + TERMS.wear_per_kwh * out_kwh - float(np.median(buy)) / evse.efficiency * over_kwh


def costs_of(week: Week) -> Costs:
    """All policies on one week."""
    courses = {
        "optimum": Yard(week, week.site).play(ByPlan(optimised())),
        "managed": Yard(week, one_way(week.site)).play(ByPlan(optimised())),
        "greedy": Yard(week, week.site).play(ByPlan(plain)),
        "uncontrolled": Yard(week, week.site).play(at_once),
    }
    sold = sold_of(week)
    server = ByPlan(optimised(Outlook(reserves=sold)))
    serving = Yard(week, week.site).play(server)
    twice = tuple(sold_twice(week, serving, server, sold))
    money = {name: cost_of(week, course) for name, course in courses.items()}
    courses["serving"] = serving
    short = tuple((name, *each) for name, course in courses.items() for each in course.short)
    bounds = least_cost(week, KEPT), least_cost(week, NONE)
    return Costs(week.name, **money, foresight=bounds[0], bare=bounds[1], short=short, twice=twice)


COLUMNS: Final = ("optimum", "managed", "greedy", "at once", "foresight", "over %", "bare")


def main(arguments: Sequence[str]) -> int:
    """0 when every week holds."""
    presets = [each for each in PRESETS if not arguments or each.name == arguments[0]]
    weeks = [int(arguments[1])] if len(arguments) > 1 else range(WEEKS)
    faults = []
    sys.stdout.write(f"{'week':42}" + "".join(f"{each:>10}" for each in COLUMNS) + "\n")
    for preset in presets:
        for seed in weeks:
            begun = time.process_time()
            c = costs_of(week_of(preset, seed))
            faults += c.faults()
            figures = (c.optimum, c.managed, c.greedy, c.uncontrolled, c.foresight, c.over_pct, c.bare)
            row = "".join(f"{each:10.2f}" for each in figures)
            sys.stdout.write(f"{c.name:42}{row}  {time.process_time() - begun:.0f} s\n")
            sys.stdout.flush()
    sys.stdout.write("".join(f"{each}\n" for each in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
