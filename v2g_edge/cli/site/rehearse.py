"""``v2g-edge rehearse --site FILE``: a calm night and a tour of faults at the depot of a site file, played in
minutes, as a report with pictures.

The simulator is a program of its own: it is started as a process, and nothing of it is loaded here.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.outcome import FAILED, CommandError

SIMULATOR: Final = "sim"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rehearse", help="play a calm night and a tour of faults at the depot of a site file"
    )
    parser.add_argument("--site", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("rehearsal"),
        metavar="FOLDER",
        help="where report.md, report.html and the pictures go (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of arrivals and charges (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every vehicle left charged and nothing was broken; 1: the report says what was lost."""
    words = [sys.executable, "-m", simulator(), "rehearse", "--site", str(arguments.site)]
    words += ["--out", str(arguments.out), "--seed", str(arguments.seed)]
    return subprocess.run(words, check=False).returncode  # noqa: S603 - our own program


def simulator() -> str:
    """The simulator's package. CommandError where it is not installed."""
    if importlib.util.find_spec(SIMULATOR) is None:
        raise CommandError(
            "the simulator is not installed here (Python finds no package `sim`); run the command in a"
            " checkout of v2g-edge, or install the package anew",
            FAILED,
        )
    return SIMULATOR
