"""`make plan-study`: 300 seeded depots through both solvers; how far they are apart, and whether every
rounded plan is physical.

`python -m tests.planner.study [FIRST [LAST]]`.
"""

import sys
import time

from tests.planner.depots import varied
from tests.planner.test_highs import physical
from v2g_edge.planner import highs, interior
from v2g_edge.planner.problem import settled


def main(first: int = 0, last: int = 300) -> int:
    """0 when nothing is more than 0.01 % apart, nothing is unphysical and no possible departure is missed."""
    worst, stalled, bad, spent = 0.0, 0, 0, [0.0, 0.0]
    for seed in range(first, last):
        calm, missed = settled(varied(seed))
        begun = time.process_time()
        best = highs.solve(calm, limit_s=300.0)
        between = time.process_time()
        spent[0] += between - begun
        answers = [best]
        try:
            answers.append(interior.solve(calm))
        except interior.StalledError as why:
            stalled += 1
            sys.stdout.write(f"seed {seed}: {why}\n")
        spent[1] += time.process_time() - between
        gap = abs(answers[-1].cost - best.cost) / max(abs(best.cost), 1.0)
        worst = max(worst, gap)
        try:
            for answer in answers:
                physical(calm, answer.charge_kw, answer.discharge_kw)
        except AssertionError as fault:
            bad += 1
            sys.stdout.write(f"seed {seed}: {str(fault).splitlines()[0]}\n")
        bad += bool(missed or best.short_kwh or gap > 1e-4)
    sys.stdout.write(
        f"{last - first} depots: largest gap {worst:.1e}, {stalled} stalled, {bad} bad; "
        f"HiGHS {spent[0]:.1f} s, interior point {spent[1]:.1f} s of one core\n"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
