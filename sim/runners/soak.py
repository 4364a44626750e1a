"""Many drawn nights, with protocols and on the pure cycle; a failure is shrunk to the least that still fails,
and kept.

A failure is a broken rule, a departure lost that the oracle calls possible, or a run that ends with an
exception. Shrinking takes away one fault or disturbance after the other, then shortens what is left, while
the same rule is still broken.
"""

import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.runners.runner import run_scenario
from sim.scenarios.drawn import drawn
from sim.scenarios.scenario import Scenario, write_scenario

Way = Literal["protocol", "pure"]

TICK_S: Final = 60.0
"""Of the pure cycle."""

SHRINK_MOST: Final = 40
"""Runs that shrinking one failure may take."""

SHORTEST_S: Final = 10.0
LOST: Final = "departure_lost"
CRASHED: Final = "crashed"


class Result(Struct, frozen=True):
    """One night. ``broken``: rules, ``departure_lost``, or ``crashed`` with what was raised in ``said``."""

    seed: int
    way: Way
    broken: tuple[str, ...]
    met: int
    lost: int
    impossible: int
    lacking_h: float
    held_h: float
    held_by_rule: dict[str, float]
    export_lost_kwh: float
    took_s: float
    said: str = ""


def play(scenario: Scenario, way: Way) -> Result:
    """One night and what came of it; never raises for what the product does."""
    began_s = time.perf_counter()
    try:
        met, lost, impossible, broken, figures = _pure(scenario) if way == "pure" else _protocol(scenario)
    except Exception as fault:  # noqa: BLE001 - whatever ends a run is a finding
        said = f"{type(fault).__name__}: {fault}"
        return Result(
            scenario.seed, way, (CRASHED,), 0, 0, 0, 0.0, 0.0, {}, 0.0, time.perf_counter() - began_s, said
        )
    names = tuple(sorted({*broken, *((LOST,) if lost else ())}))
    lacking_h, held, export_kwh = figures
    took_s = time.perf_counter() - began_s
    return Result(
        scenario.seed,
        way,
        names,
        met,
        lost,
        impossible,
        lacking_h,
        sum(held.values()),
        held,
        export_kwh,
        took_s,
    )


Played = tuple[int, int, int, set[str], tuple[float, dict[str, float], float]]


def _pure(scenario: Scenario) -> Played:
    panel = PureRun(slowed(scenario, TICK_S)).play()
    verdicts = [departure.verdict for departure in panel.departures]
    counted = [verdicts.count(verdict) for verdict in ("met", "missed_possible", "missed_impossible")]
    found = panel.availability.figures
    figures = found.lacking_h, found.held_h, sum(found.export_lost_kwh.values())
    return counted[0], counted[1], counted[2], {violation.rule for violation in panel.violations}, figures


def _protocol(scenario: Scenario) -> Played:
    report = run_scenario(scenario)
    counted, found = report["departures"], report["availability"]
    figures = found["lacking_h"], found["held_h_by_rule"], sum(found["export_lost_kwh_by_rule"].values())
    broken = {violation["rule"] for violation in report["violations"]}
    return counted["met"], counted["missed_possible"], counted["missed_impossible"], broken, figures


def shrunk(scenario: Scenario, fails: Callable[[Scenario], bool], most: int = SHRINK_MOST) -> Scenario:
    """The shortest schedule of faults found that still fails, within ``most`` runs."""
    left = most
    changed = True
    while changed and left > 0:
        changed = False
        for smaller in _smaller(scenario):
            left -= 1
            if fails(smaller):
                scenario, changed = smaller, True
                break
            if left <= 0:
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterable[Scenario]:
    for n in range(len(scenario.faults)):
        yield replace(scenario, faults=scenario.faults[:n] + scenario.faults[n + 1 :])
    for n in range(len(scenario.disturbances)):
        yield replace(scenario, disturbances=scenario.disturbances[:n] + scenario.disturbances[n + 1 :])
    for n, fault in enumerate(scenario.faults):
        if fault.duration_s > SHORTEST_S:
            shorter = replace(fault, duration_s=max(fault.duration_s / 4.0, SHORTEST_S))
            yield replace(scenario, faults=(*scenario.faults[:n], shorter, *scenario.faults[n + 1 :]))


def _night(job: tuple[int, Way, float, int, str]) -> Result:
    """One seed in a process of its own; a failure leaves its scenario in the folder."""
    seed, way, hours, chargers, folder = job
    scenario = drawn(seed, hours=hours, chargers=chargers)
    result = play(scenario, way)
    if result.broken and folder:
        rule = result.broken[0]
        least = shrunk(scenario, lambda smaller: rule in play(smaller, way).broken)
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_scenario(
            replace(least, name=f"{way}-{seed}-{rule}"), Path(folder) / f"{way}-{seed}-{rule}.json"
        )
    return result


def soak(
    seeds: int, pure_seeds: int, hours: float, chargers: int, jobs: int, folder: Path, first_seed: int = 1
) -> int:
    """Play all seeds, print and keep the report. 0: nothing failed; 1: something did."""
    nights = range(first_seed, first_seed + max(seeds, pure_seeds))
    todo: list[tuple[int, Way, float, int, str]] = []
    todo += [(seed, "pure", 14.0, chargers, str(folder)) for seed in nights[:pure_seeds]]
    todo += [(seed, "protocol", hours, chargers, str(folder)) for seed in nights[:seeds]]
    results = []
    with ProcessPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool:
        for done in as_completed([pool.submit(_night, job) for job in todo]):
            result = done.result()
            results.append(result)
            if result.broken:
                print(
                    f"{result.way} seed {result.seed}: {', '.join(result.broken)} {result.said}".rstrip(),
                    flush=True,
                )
            elif len(results) % 50 == 0:
                print(f"{len(results)} of {len(todo)} nights played", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    report = summary(results)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(as_lines(report))
    return 1 if any(result.broken for result in results) else 0


def summary(results: list[Result]) -> dict[str, Any]:
    """The distribution, by way."""
    found: dict[str, Any] = {}
    for way in ("protocol", "pure"):
        mine = sorted((result for result in results if result.way == way), key=lambda result: result.seed)
        if not mine:
            continue
        broken: Counter[str] = Counter(rule for result in mine for rule in result.broken)
        held: Counter[str] = Counter()
        for result in mine:
            held.update(result.held_by_rule)
        shares = sorted(
            100.0 * result.held_h / result.lacking_h if result.lacking_h else 0.0 for result in mine
        )
        lacking_h = sum(result.lacking_h for result in mine)
        found[way] = {
            "nights": len(mine),
            "failed_seeds": [result.seed for result in mine if result.broken],
            "broken": dict(sorted(broken.items())),
            "departures": {
                "met": sum(result.met for result in mine),
                "lost": sum(result.lost for result in mine),
                "impossible": sum(result.impossible for result in mine),
            },
            "held_pct": round(100.0 * sum(held.values()) / lacking_h, 3) if lacking_h else 0.0,
            "held_pct_of_nights": {f"p{p}": round(_quantile(shares, p), 3) for p in (50, 90, 99, 100)},
            "held_h_by_rule": {rule: round(hours, 2) for rule, hours in held.most_common()},
            "export_lost_kwh": round(sum(result.export_lost_kwh for result in mine), 1),
            "took_s": round(sum(result.took_s for result in mine), 1),
        }
    return found


def _quantile(values: list[float], percent: int) -> float:
    return values[min(math.ceil(percent / 100.0 * len(values)), len(values)) - 1] if values else 0.0


def as_lines(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = []
    for way, found in report.items():
        departures = found["departures"]
        lines += [
            (
                f"{way}: {found['nights']} nights, {len(found['failed_seeds'])} failed, {found['took_s']:.0f}"
                " s of one core"
            ),
            (
                f"  departures {departures['met']} met, {departures['lost']} lost, {departures['impossible']}"
                " impossible"
            ),
            (
                f"  held back {found['held_pct']} % of the vehicle-hours, by nights"
                f" {found['held_pct_of_nights']}"
            ),
            f"  by rule {found['held_h_by_rule']}",
            f"  broken {found['broken'] or 'nothing'}",
        ]
    return "\n".join(lines)
