"""The day plan: the structured interior point and HiGHS's on the same problems, in turns; CPU seconds of
one core.
"""

import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.planner.bus_depot import write_files
from tests.planner.depots import DATA, depot
from v2g_edge.planner import highs, interior
from v2g_edge.planner.problem import Problem, Solution, settled

SIZES = ((50, 192, "≤ 0.35 s, 2 ×", 3), (200, 96, "≤ 0.35 s, 6 ×", 3), (1_000, 96, "≤ 1.5 s, 9 ×", 1))
MEMORY = "import sys; from tests.bench.planner import worker_mib; sys.stdout.write(str(worker_mib()))"


def _took(solve: Callable[[Problem], Solution], calm: Problem) -> tuple[float, Solution]:
    gc.collect()
    begun = time.process_time()
    found = solve(calm)
    return time.process_time() - begun, found


def worker_mib() -> float:
    """Peak memory of a process that plans a thousand vehicles."""
    interior.solve(settled(depot(1, 1_000, 96, day="2023-07-01"))[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _command() -> list[tuple[str, float, str, str, float, float, str]]:
    """The whole command for the bus depot of the shared data, where that is there: CPU of its process."""
    if not DATA.is_dir():
        return []
    with tempfile.TemporaryDirectory(prefix="v2g-edge-bench-") as folder:
        words = [sys.executable, "-m", "v2g_edge.cli", *write_files(Path(folder))]
        took = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(words, capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    used_s = statistics.median(took)
    return [("v2g-edge plan, bus depot, CPU of the command", used_s, "s", "goal", 2.0, 2.0 / used_s, "≤ 2 s")]


def rows() -> list[tuple[str, float, str, str, float, float, str]]:
    """One row a size, and the memory."""
    table = []
    for count, slots, goal, times in SIZES:
        calm, _ = settled(depot(1, count, slots, day="2023-07-01"))
        mine, theirs, gaps = [], [], []
        for _ in range(times):
            first, found = _took(interior.solve, calm)
            second, best = _took(lambda each: highs.solve(each, limit_s=300.0, method="ipm"), calm)
            mine.append(first)
            theirs.append(second)
            gaps.append(abs(found.cost - best.cost) / abs(best.cost))
        ours, base = statistics.median(mine), statistics.median(theirs)
        name = f"day plan, {count} × {slots}, gap {max(gaps):.0e}"
        table.append((name, ours, "s", "HiGHS interior point", base, base / ours, goal))
    table += _command()
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, check=True, text=True)
    mib = float(done.stdout)
    table.append(("peak memory, 1000 × 96", mib, "MiB", "goal", 120.0, 120.0 / mib, "≤ 120 MB"))
    return table
