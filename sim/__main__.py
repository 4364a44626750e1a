"""``python -m sim run|demo|serve|stand-in|soak|rehearse|from-journal``: play a scenario and report.
``--help`` of each command says the rest.
"""

import argparse
import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from sim.runners.demo import SCALE, run_demo
from sim.runners.from_journal import from_journal
from sim.runners.rehearse import rehearse, world_of
from sim.runners.report import as_text, kept
from sim.runners.runner import run_scenario
from sim.runners.serve import serve
from sim.runners.soak import as_lines, play, soak, summary
from sim.runners.stand_in import stand_in
from sim.scenarios.mixed import mixed
from sim.scenarios.night import night
from sim.scenarios.played import read_played
from sim.scenarios.scenario import METER_PORT, RELAY_PORT, Scenario, read_scenario, speaking
from sim.scenarios.services import SERVICES
from sim.scenarios.spice_ev import BadScenario, import_spice_ev
from sim.scenarios.worldfile import presets, read_world
from sim.virtual.clock import LoopClock, unstamp
from sim.world.depot import Depot
from v2g_edge.config import ConfigError, load

NAMED = {"night": night, "mixed": mixed, **SERVICES}
"""Scenarios by name, each from a seed."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every promise held; 1: one did not; 2: the input is not usable."""
    args = _parser().parse_args(arguments)
    try:
        code: int = args.do(args)
    except (BadScenario, ConfigError, ValueError, OSError) as fault:
        print(f"sim: {fault}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim", description="The simulated depot.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_run(commands.add_parser("run", help="play a scenario in virtual time, daemon included, and report"))
    _add_demo(
        commands.add_parser("demo", help="one night, daemon and simulator as processes over real sockets")
    )
    _add_soak(
        commands.add_parser(
            "soak", help="many drawn nights with faults on all cores; what fails is shrunk and kept as a file"
        )
    )
    _add_rehearse(
        commands.add_parser(
            "rehearse", help="a calm night and a tour of faults for a site file, as a report with pictures"
        )
    )
    _add_from_journal(
        commands.add_parser("from-journal", help="turn the journal of a real night into a scenario file")
    )
    _add_serve(
        commands.add_parser(
            "serve", help="the simulator alone, over real sockets, for a daemon that runs elsewhere"
        )
    )
    _add_stand_in(
        commands.add_parser(
            "stand-in", help="the devices of a site file, in real time, for the daemon that runs by it"
        )
    )
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--scenario", default="night", help=f"{', '.join(NAMED)}, or a scenario file (default: night)"
    )
    what.add_argument("--site", type=Path, help="a site file: a night of its vehicles at its devices")
    what.add_argument(
        "--import-spice-ev",
        metavar="FILE",
        type=Path,
        help="a SpiceEV scenario; needs --connector and --prices",
    )
    what.add_argument(
        "--world", help=f"a world that ships ({', '.join(presets())}), or a TOML file that describes one"
    )
    parser.add_argument("--connector", help="grid connector of the SpiceEV scenario")
    parser.add_argument("--prices", type=Path, help="CSV of UTC hour and price per MWh")
    parser.add_argument("--one-way", action="store_true", help="SpiceEV: no vehicle may discharge")
    parser.add_argument("--seed", type=int, default=7, help="seed of the night (default: 7)")
    parser.add_argument(
        "--ocpp",
        choices=("1.6", "2.0.1", "2.1"),
        help="what the stations speak (default: as the scenario says)",
    )
    parser.add_argument("--report", type=Path, help="write the report as JSON")
    parser.add_argument("--state-dir", type=Path, help="keep the daemon's journal here")
    parser.add_argument("--verbose", action="store_true", help="show the daemon's log")
    parser.add_argument(
        "--pure", action="store_true", help="on the pure cycle, without protocols: seconds instead of minutes"
    )
    parser.set_defaults(do=_run)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=7, help="seed of the night (default: 7)")
    parser.add_argument("--scale", type=float, default=SCALE, help=f"times real time (default: {SCALE:g})")
    parser.add_argument(
        "--every", type=float, default=5.0, help="real seconds between two tables (default: 5)"
    )
    parser.set_defaults(do=lambda args: run_demo(args.seed, args.scale, args.every))


def _add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=int, default=100, help="drawn nights with protocols (default: %(default)s)"
    )
    parser.add_argument(
        "--pure", type=int, default=2_000, help="drawn nights on the pure cycle (default: %(default)s)"
    )
    parser.add_argument(
        "--hours", type=float, default=14.0, help="length of a night with protocols (default: %(default)s)"
    )
    parser.add_argument(
        "--chargers", type=int, default=12, help="chargers of the depot (default: %(default)s)"
    )
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=0, help="processes at once (default: one a core)")
    parser.add_argument(
        "--out", type=Path, default=Path("soak"), help="folder of the report and of failing scenarios"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on: leave out the nights that the folder says were played"
    )
    parser.set_defaults(
        do=lambda args: soak(
            args.seeds,
            args.pure,
            args.hours,
            args.chargers,
            args.jobs,
            args.out,
            args.first,
            resume=args.resume,
        )
    )


def _add_rehearse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=Path, required=True, help="the site file")
    parser.add_argument(
        "--out", type=Path, default=Path("rehearsal"), help="folder of report.md and report.html"
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of arrivals and charges (default: %(default)s)"
    )
    parser.set_defaults(do=lambda args: rehearse(args.site, args.out, args.seed))


def _add_from_journal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journal", type=Path, help="a journal.db, or a copy of one")
    parser.add_argument(
        "--out", type=Path, default=Path("incident.json"), help="the scenario file (default: %(default)s)"
    )
    parser.set_defaults(do=lambda args: from_journal(args.journal, args.out))


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario", default="night", help=f"{', '.join(NAMED)}, or a scenario file (default: night)"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the night (default: 7)")
    parser.add_argument(
        "--url", default="ws://127.0.0.1:8081", help="where the stations dial in (default: %(default)s)"
    )
    parser.add_argument(
        "--meter-port",
        type=int,
        default=METER_PORT,
        help="Modbus port of the grid meter (default: %(default)s)",
    )
    parser.add_argument(
        "--relay-port",
        type=int,
        default=RELAY_PORT,
        help="Modbus port of the grid relay (default: %(default)s)",
    )
    parser.add_argument(
        "--clock-start", help="the played time to begin with, ISO 8601 (default: the scenario's start)"
    )
    parser.add_argument("--clock-scale", type=float, default=1.0, help="times real time (default: 1)")
    parser.add_argument(
        "--clock-origin", type=float, help="CLOCK_MONOTONIC at the start, to share it with the daemon"
    )
    parser.add_argument("--report", type=Path, help="write the physical part of the report as JSON")
    parser.set_defaults(do=_serve)


def _add_stand_in(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=Path, required=True, help="the site file")
    parser.add_argument("--soc", type=float, default=40.0, help="charge on arrival, %% (default: 40)")
    parser.add_argument("--ocpp", choices=("1.6", "2.0.1", "2.1"), default="2.0.1", help="(default: 2.0.1)")
    parser.add_argument(
        "--connected", action="append", default=[], help="a station that is there, and is left alone"
    )
    parser.set_defaults(do=_stand_in)


def _stand_in(args: argparse.Namespace) -> int:
    """Ended with Ctrl-C it has done what it was asked."""
    with suppress(KeyboardInterrupt):
        asyncio.run(stand_in(args.site, frozenset(args.connected), args.soc, args.ocpp))
    return 0


def _run(args: argparse.Namespace) -> int:
    own = load(args.site) if args.site else None
    scenario = world_of(own, args.seed) if own else _scenario(args)
    if args.ocpp:
        scenario = speaking(scenario, args.ocpp)
    if args.pure:
        return _run_pure(scenario)
    began_s = time.perf_counter()
    watch = _Hours(scenario).look
    report = run_scenario(scenario, args.state_dir, quiet=not args.verbose, own=own, watch=watch)
    took_s = time.perf_counter() - began_s
    if args.report:
        args.report.write_text(json.dumps(report, indent=2) + "\n")
    print(as_text(report))
    print(f"took       {took_s:.1f} s")
    return 0 if kept(report) else 1


class _Hours:
    """Says each played hour that time goes on: a night takes minutes."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._began_s = time.perf_counter()
        self._said = 0

    def look(self, depot: Depot, _step_s: float) -> None:
        """See ``sim.runners.runner.play``."""
        hours = int((depot.wall_s - self._scenario.start_wall_s) // 3_600.0)
        if hours > self._said:
            self._said = hours
            of, took_s = self._scenario.duration_s / 3_600.0, time.perf_counter() - self._began_s
            print(f"played {hours} of {of:g} h in {took_s:.0f} s", file=sys.stderr, flush=True)


def _run_pure(scenario: Scenario) -> int:
    result = play(scenario, "pure")
    print(as_lines(summary([result])))
    if result.said:
        print(result.said, file=sys.stderr)
    return 1 if result.broken else 0


def _serve(args: argparse.Namespace) -> int:
    scenario = _named(args)
    start_wall_s = unstamp(args.clock_start) if args.clock_start else scenario.start_wall_s

    async def main() -> None:
        clock = LoopClock(start_wall_s, args.clock_scale, args.clock_origin)
        await serve(scenario, clock, args.url, args.meter_port, args.relay_port, args.report)

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        return 130
    return 0


def _scenario(args: argparse.Namespace) -> Scenario:
    if args.import_spice_ev:
        if not args.connector or not args.prices:
            raise ValueError("--import-spice-ev needs --connector NAME and --prices FILE")
        return import_spice_ev(
            args.import_spice_ev, args.connector, args.prices, bidirectional=not args.one_way
        )
    if args.world:
        return read_world(args.world, args.seed)
    return _named(args)


def _named(args: argparse.Namespace) -> Scenario:
    if args.scenario in NAMED:
        return NAMED[args.scenario](args.seed)
    path = Path(args.scenario)
    return read_played(path)[0] if path.suffix == ".toml" else read_scenario(path)


if __name__ == "__main__":
    sys.exit(main())
