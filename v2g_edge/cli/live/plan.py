"""``v2g-edge plan``: the plan that is followed now, or one made from files; and, with a verb, a plan file
for the daemon.
"""

import argparse
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.live.plan_file import add_verbs
from v2g_edge.cli.live.plan_fleet import HELP
from v2g_edge.cli.live.plan_plot import plan_svg
from v2g_edge.cli.live.plan_table import plan_lines
from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.planner.report import Report


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "plan", help="the plan that is followed now; validate or publish another, forget its revision"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    parser.add_argument("--json", action="store_true", help="as JSON, with everything that is expected of it")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also as a picture (SVG)")
    offline = parser.add_argument_group("from files", "without a daemon: all three together")
    offline.add_argument(
        "--site", type=Path, metavar="FILE", help="the site file; its [prices] say fees and wear"
    )
    offline.add_argument(
        "--prices", type=Path, metavar="FILE", help="prices, in any form that [prices] takes"
    )
    offline.add_argument("--fleet", type=Path, metavar="FILE", help=HELP)
    offline.add_argument("--at", metavar="TIME", help="plan from this time on (ISO 8601; default: now)")
    offline.add_argument(
        "--promises", action="store_true", help="also what each departure an hour earlier would cost"
    )
    add_socket(parser)
    parser.set_defaults(run=run)
    verbs.add_parser("show", help="the same as without a verb; options stand before it")
    add_verbs(verbs)


def run(arguments: argparse.Namespace) -> int:
    """Print it as people read it."""
    files = (arguments.site, arguments.prices, arguments.fleet)
    if any(files) and not all(files):
        raise CommandError("a plan from files needs --site, --prices and --fleet", BAD_INPUT)
    zone: ZoneInfo | None = None
    promises: list[tuple[str, float]] = []
    report: Report | None
    if all(files):
        from v2g_edge.cli.live.plan_offline import plan_from_files  # noqa: PLC0415 - the solver loads for half a second

        plan, report, zone, promises, name = plan_from_files(arguments)
    else:
        answer = ask(arguments.socket, "plan")
        plan = answer["plan"]
        report = msgspec.convert(answer["report"], Report) if answer.get("report") else None
        name = "v2g-edge"
    if arguments.plot:
        _plot(arguments.plot, plan, report, zone, name)
    if arguments.json:
        told = msgspec.to_builtins(report)
        print(json.dumps({"plan": plan, "report": told, "promises": dict(promises)}, indent=2))
        return DONE
    print("\n".join(plan_lines(plan, report, zone)))
    for evse, cost in promises:
        print(f"leaving an hour earlier: {evse} costs {cost:.2f}")
    return DONE


def _plot(
    path: Path, plan: dict[str, Any] | None, report: Report | None, zone: ZoneInfo | None, name: str
) -> None:
    if path.suffix.lower() != ".svg":
        raise CommandError(
            f"{path}: the picture is an SVG; end the name with .svg (browsers and office programs read it)",
            BAD_INPUT,
        )
    if plan is None or report is None or not report.edges:
        raise CommandError("there is no optimised plan to draw now; `v2g-edge plan` says what is followed")
    try:
        path.write_text(plan_svg(plan, report, zone, name), encoding="utf-8")
    except OSError as fault:
        raise CommandError(f"{path}: cannot be written: {fault}", BAD_INPUT) from fault
