"""``v2g-edge check FILE``: can this site file be used, and does it mean what its author had in mind?"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from v2g_edge.cli.checking.dates import date_problems
from v2g_edge.cli.checking.files import file_problems, state_problems
from v2g_edge.cli.checking.maps import folder_of, map_problems
from v2g_edge.cli.checking.ports import port_problems
from v2g_edge.cli.checking.prices import price_problems
from v2g_edge.cli.checking.probe import probe
from v2g_edge.cli.checking.report import head, lines_of
from v2g_edge.cli.checking.words import in_words
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED
from v2g_edge.config import Problem, Report, inspect
from v2g_edge.config.lines import placed
from v2g_edge.field.modbus.bus import device_problems
from v2g_edge.host.clock import SystemClock


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check", help="every problem of a site file at once, and the site in words"
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--elsewhere", action="store_true", help="the file alone: this is not the machine that it is for"
    )
    parser.add_argument("--probe", action="store_true", help="ask every Modbus device once, too (reads only)")
    parser.add_argument("--strict", action="store_true", help="exit 1 for a warning too")
    parser.add_argument("--json", action="store_true", help="every problem as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: it can be used. 1: it can, and something that it names does not work. 2: nothing can be started
    from it.
    """
    report = inspect(arguments.file)
    around = [] if arguments.elsewhere else list(_around(report, str(arguments.file)))
    if arguments.probe and report.settings is not None:
        around += asyncio.run(probe(report.settings, str(arguments.file), folder_of(report.document)))
    problems = [*report.problems, *_maps(report, str(arguments.file)), *around]
    if report.text:
        problems = placed(problems, report.text, report.document)
    around_errors = [problem for problem in around if problem.level == "error"]
    errors = [problem for problem in problems if problem.level == "error"]
    if arguments.json:
        print(
            json.dumps([msgspec.to_builtins(problem) for problem in problems], indent=2, ensure_ascii=False)
        )
    else:
        _print(arguments.file, report, problems, unusable=len(errors) > len(around_errors))
    if len(errors) > len(around_errors):
        return BAD_INPUT
    return FAILED if around_errors or (arguments.strict and problems) else DONE


def _around(report: Report, file: str) -> list[Problem]:
    """What the file names and this machine has not, or this day is past. The daemon may start without it."""
    wall_s = SystemClock().wall_s()
    document = report.document
    return [
        *file_problems(document, file, wall_s),
        *state_problems(document, file),
        *port_problems(document, file),
        *price_problems(document, file, wall_s),
        *(date_problems(report.settings, file, wall_s) if report.settings is not None else ()),
    ]


def _maps(report: Report, file: str) -> list[Problem]:
    found = list(map_problems(report.document, file))
    if (
        report.settings is not None and not found
    ):  # what else keeps the field from being built, in its own words
        settings = report.settings
        texts = device_problems(settings.lines, settings.devices, folder_of(report.document))
        found = [
            Problem(file, "devices", text, "devices that can be read", "Correct the device.")
            for text in texts
        ]
    return found


def _print(file: Path, report: Report, problems: list[Problem], *, unusable: bool) -> None:
    print(head(str(file), problems) + ("; nothing can be started from this file" if unusable else ""))
    print("\n".join(lines_of(problems, str(file))), end="\n" if problems else "")
    if report.settings is not None and not unusable:
        print()
        print("\n".join(in_words(report.settings)))
