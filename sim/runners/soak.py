"""Many drawn nights, with protocols and on the pure cycle; a failure is shrunk to the least that still fails,
and kept.

A failure is a broken rule, a departure lost that the oracle calls possible, or a run that ends with an
exception. Shrinking takes away one fault or disturbance after the other, then shortens what is left, while
the same rule is still broken.

Each night is kept in ``nights.jsonl`` as soon as it is over, so that a soak of hours can be played in pieces.
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

import msgspec
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


class Job(Struct, frozen=True):
    """One night that is to be played; ``folder`` takes the scenario of a failure, "" keeps none."""

    seed: int
    way: Way
    hours: float
    chargers: int
    folder: str = ""


class Kept(Struct, frozen=True):
    """One line of ``nights.jsonl``."""

    job: Job
    result: Result


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


def _night(job: Job) -> Result:
    """One seed in a process of its own; a failure leaves its scenario in the folder."""
    scenario = drawn(job.seed, hours=job.hours, chargers=job.chargers)
    result = play(scenario, job.way)
    if result.broken and job.folder:
        rule = result.broken[0]
        least = shrunk(scenario, lambda smaller: rule in play(smaller, job.way).broken)
        name, folder = f"{job.way}-{job.seed}-{rule}", Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_scenario(replace(least, name=name), folder / f"{name}.json")
    return result


def _played(file: Path) -> dict[Job, Result]:
    """What an earlier piece of this soak has played; the last line may have been cut off with it."""
    if not file.exists():
        return {}
    found = {}
    for line in file.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            kept = msgspec.json.decode(line, type=Kept)
            found[kept.job] = kept.result
    return found


def soak(
    seeds: int,
    pure_seeds: int,
    hours: float,
    chargers: int,
    jobs: int,
    folder: Path,
    first_seed: int = 1,
    *,
    resume: bool = False,
) -> int:
    """Play all seeds, print and keep the report. 0: nothing failed; 1: something did. ``resume``: leave out
    what the folder says was played; otherwise the soak begins anew.
    """
    nights = range(first_seed, first_seed + max(seeds, pure_seeds))
    todo = [Job(seed, "pure", 14.0, chargers, str(folder)) for seed in nights[:pure_seeds]]
    todo += [Job(seed, "protocol", hours, chargers, str(folder)) for seed in nights[:seeds]]
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "nights.jsonl"
    known = _played(kept) if resume else {}
    results = [known[job] for job in todo if job in known]
    encode = msgspec.json.Encoder().encode
    kept.write_bytes(b"".join(encode(Kept(*each)) + b"\n" for each in known.items()))
    with (
        ProcessPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool,
        kept.open("ab", buffering=0) as file,
    ):
        running = {pool.submit(_night, job): job for job in todo if job not in known}
        for done in as_completed(running):
            result = done.result()
            results.append(result)
            file.write(encode(Kept(running[done], result)) + b"\n")
            if result.broken:
                print(
                    f"{result.way} seed {result.seed}: {', '.join(result.broken)} {result.said}".rstrip(),
                    flush=True,
                )
            elif len(results) % 50 == 0:
                print(f"{len(results)} of {len(todo)} nights played", file=sys.stderr, flush=True)
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
