"""`make plan-study`: 300 seeded depots through both solvers. How far their costs are apart, and whether each
rounded plan can be driven on the simulator's chargers and batteries without passing a feeder or missing a
departure.

`python -m tests.planner.study [FIRST [LAST]]`.
"""

import sys
import time
from dataclasses import dataclass, field

from tests.planner.depots import varied
from tests.planner.playback import play
from tests.planner.test_highs import physical
from v2g_edge.planner import highs, interior
from v2g_edge.planner.day import softened
from v2g_edge.planner.problem import Problem, Solution, settled
from v2g_edge.planner.rounding import rounded

MOST_GAP = 1e-4
"""A hundredth of a per cent of the optimum."""


@dataclass
class Tally:
    """What has been seen so far. ``spent_s``: CPU of HiGHS and of the interior point."""

    gap: float = 0.0
    stalled: int = 0
    departures: int = 0
    out_of_reach: int = 0
    worst_pct: float = 0.0
    bad: list[str] = field(default_factory=list)
    spent_s: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def text(self, depots: int) -> str:
        """In one line a fact."""
        highs_s, interior_s = self.spent_s
        lines = (
            f"{depots} depots: costs of both solvers at most {100.0 * self.gap:.4f} % apart,"
            f" the interior point gave up {self.stalled} times",
            f"{self.departures} departures in the plans of both: {self.out_of_reach} do not fit the feeders;"
            f" the worst of the others left {self.worst_pct:.2f} % of its battery below its plan",
            f"{len(self.bad)} complaints",
            f"HiGHS {highs_s:.1f} s, interior point {interior_s:.1f} s of one core",
        )
        return "\n".join(lines) + "\n"


def examine(seed: int, tally: Tally) -> None:
    """One depot through both solvers, and both plans through the physics."""
    calm, missed = settled(varied(seed))
    begun = time.process_time()
    best = highs.solve(calm, limit_s=300.0)
    between = time.process_time()
    answers = [best]
    try:
        answers.append(interior.solve(calm))
    except interior.StalledError as why:
        tally.stalled += 1
        sys.stdout.write(f"seed {seed}: {why}\n")
    tally.spent_s[0] += between - begun
    tally.spent_s[1] += time.process_time() - between
    gap = abs(answers[-1].cost - best.cost) / max(abs(best.cost), 1.0)
    tally.gap = max(tally.gap, gap)
    tally.out_of_reach += len(missed) + len(best.short_kwh)
    if gap > MOST_GAP:
        tally.bad.append(f"seed {seed}: the costs are {100.0 * gap:.3f} % apart")
    for answer in answers:
        tally.bad += [f"seed {seed}, {answer.solver}: {text}" for text in complaints(calm, answer, tally)]


def complaints(calm: Problem, answer: Solution, tally: Tally) -> list[str]:
    """What chargers could not be told, and what the physics says against the plan."""
    found = []
    if answer.short_kwh:
        calm = softened(calm, answer)
    try:
        physical(calm, answer.charge_kw, answer.discharge_kw)
    except AssertionError as fault:
        found.append(str(fault).splitlines()[0])
    played = play(calm, rounded(calm, answer.charge_kw, answer.discharge_kw))
    tally.departures += sum(pack.deadline >= 0 for pack in calm.packs)
    tally.worst_pct = max(tally.worst_pct, played.worst_pct)
    return [*found, *played.missed, *played.broken]


def main(first: int = 0, last: int = 300) -> int:
    """0 when nothing is more than 0.01 % apart, nothing is unphysical and no possible departure is missed."""
    tally = Tally()
    for seed in range(first, last):
        said = len(tally.bad)
        examine(seed, tally)
        for text in tally.bad[said:]:
            sys.stdout.write(f"{text}\n")
        if (seed + 1 - first) % 25 == 0:
            sys.stdout.write(f"… {seed + 1 - first}\n")
            sys.stdout.flush()
    sys.stdout.write(tally.text(last - first))
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
