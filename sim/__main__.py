"""``python -m sim run``: play a scenario and report. ``--help`` of each command says the rest."""

import argparse
import json
import sys
import time
from pathlib import Path

from sim.night import night
from sim.report import as_text, kept
from sim.runner import run_scenario
from sim.scenario import Scenario, read_scenario
from sim.spice_ev import BadScenario, import_spice_ev


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: every promise held; 1: one did not; 2: the input is not usable."""
    args = _parser().parse_args(arguments)
    try:
        code: int = args.do(args)
    except (BadScenario, ValueError, OSError) as fault:
        print(f"sim: {fault}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim", description="The simulated depot.")
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="play a scenario in virtual time, daemon included, and report")
    what = run.add_mutually_exclusive_group()
    what.add_argument("--scenario", default="night", help="'night', or a scenario file (default: night)")
    what.add_argument("--import-spice-ev", metavar="FILE", type=Path, help="a SpiceEV scenario; needs --connector and --prices")
    run.add_argument("--connector", help="grid connector of the SpiceEV scenario")
    run.add_argument("--prices", type=Path, help="CSV of UTC hour and price per MWh")
    run.add_argument("--one-way", action="store_true", help="SpiceEV: nobody may discharge")
    run.add_argument("--seed", type=int, default=7, help="seed of the night (default: 7)")
    run.add_argument("--report", type=Path, help="write the report as JSON")
    run.add_argument("--state-dir", type=Path, help="keep the daemon's journal here")
    run.add_argument("--verbose", action="store_true", help="show the daemon's log")
    run.set_defaults(do=_run)
    return parser


def _run(args: argparse.Namespace) -> int:
    scenario = _scenario(args)
    began_s = time.perf_counter()
    report = run_scenario(scenario, args.state_dir, quiet=not args.verbose)
    took_s = time.perf_counter() - began_s
    if args.report:
        args.report.write_text(json.dumps(report, indent=2) + "\n")
    print(as_text(report))
    print(f"took       {took_s:.1f} s")
    return 0 if kept(report) else 1


def _scenario(args: argparse.Namespace) -> Scenario:
    if args.import_spice_ev:
        if not args.connector or not args.prices:
            raise ValueError("--import-spice-ev needs --connector NAME and --prices FILE")
        return import_spice_ev(args.import_spice_ev, args.connector, args.prices, bidirectional=not args.one_way)
    return night(args.seed) if args.scenario == "night" else read_scenario(Path(args.scenario))


if __name__ == "__main__":
    sys.exit(main())
