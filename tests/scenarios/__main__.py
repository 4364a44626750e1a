"""The seeded night with a fault in the evening (case A1), with protocols, and what came of it.

``python -m tests.scenarios`` plays all fifteen, for minutes each; ``python -m tests.scenarios mute:9:600
late:3:600`` plays the named ones: a kind of fault, at how many of twelve stations, for how many seconds. Each
prints one row as in docs/outside-cases.md; the exit code is 1 where a promise was broken.
"""

# ruff: noqa: T201 - it is a command: printing is its job

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple, get_args

from msgspec.structs import replace

from sim.runners.report import events, kept, read_bodies
from sim.runners.runner import run_scenario
from sim.scenarios.fault import Fault, FaultKind, StationFault
from sim.scenarios.night import CHARGERS, START, night
from sim.scenarios.scenario import Scenario

SEED: Final = 7
BEGINS_S: Final = START.replace(hour=20, minute=6).timestamp()
"""Local time: the evening peak is sold, so that most of the buses are discharging."""
LATE_S: Final = 8.0
"""What a station that is ``late`` waits before it answers."""


COLUMNS: Final = ("fault", "stations", "lasts", "met, lost, impossible", "violations", "quarantines", "CPU")


class Evening(NamedTuple):
    """A fault in the evening: its kind, at how many stations, and how long it lasts."""

    kind: FaultKind
    stations: int
    lasts_s: float


ALL: Final = tuple(
    Evening(kind, stations, 600.0)
    for kind in ("offline", "mute", "reboot", "late", "ignore")
    for stations in (3, 9, CHARGERS)
)


def scenario_of(evening: Evening) -> Scenario:
    """The whole night from half past four to half past six, with the fault in it."""
    calm = night(SEED, quiet=True)
    value = LATE_S if evening.kind == "late" else 0.0
    faults = [
        Fault(evening.kind, station.identity, BEGINS_S, evening.lasts_s, value)
        for station in calm.stations[: evening.stations]
    ]
    return replace(calm, faults=tuple(faults))


def row(evening: Evening, folder: Path) -> tuple[str, bool]:
    """Play it: a row of what came of it, and whether every promise held."""
    began_s = time.process_time()
    report = run_scenario(scenario_of(evening), folder)
    told = events(read_bodies(folder / "journal.db"))
    began, ended = (
        sum(event.kind == kind for event in told) for kind in ("disobedient", "disobedient.cleared")
    )
    found = report["departures"]
    lost, impossible = found["missed_possible"], found["missed_impossible"]
    rules = ", ".join(sorted({violation["rule"] for violation in report["violations"]})) or "0"
    name = f"`{evening.kind}` | {evening.stations} | {evening.lasts_s:.0f} s"
    took_s = time.process_time() - began_s
    cells = f"{found['met']}, {lost}, {impossible} | {rules} | {began} / {ended}"
    return f"| {name} | {cells} | {took_s:.0f} s |", kept(report)


def evening(text: str) -> Evening:
    """KIND:STATIONS:SECONDS."""
    kind, stations, lasts = text.split(":")
    if kind not in get_args(StationFault) or not 1 <= int(stations) <= CHARGERS:
        raise ValueError(text)
    return Evening(kind, int(stations), float(lasts))  # type: ignore[arg-type]


def main() -> int:
    """Play the nights that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("nights", nargs="*", type=evening, help="KIND:STATIONS:SECONDS; all by default")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    all_kept = True
    for each in parser.parse_args().nights or ALL:
        with tempfile.TemporaryDirectory(prefix="v2g-edge-night-") as folder:
            line, held = row(each, Path(folder))
        print(line, flush=True)
        all_kept = all_kept and held
    return 0 if all_kept else 1


if __name__ == "__main__":
    sys.exit(main())
