"""``v2g-edge simulate``: simulated stations, meters and vehicles for the daemon that runs here, as its site
file describes them.

The simulator is a program of its own: it is started as a process, and nothing of it is loaded here.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.cli.site.rehearse import simulator

SITE: Final = Path("/etc/v2g-edge/site.toml")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="stand in for the stations and meters of the site file that are not there yet",
        description="Stands in for the devices of the site file until Ctrl-C: its charging stations dial in"
        " and a vehicle is plugged in at each outlet; devices on lines of this machine (127.0.0.1) answer."
        " Stations that are connected and lines that lead elsewhere are left alone.",
    )
    parser.add_argument(
        "--site", type=Path, default=SITE, metavar="FILE", help="the site file (default: %(default)s)"
    )
    parser.add_argument(
        "--soc",
        type=float,
        default=40.0,
        metavar="PCT",
        help="charge of the vehicles on arrival (default: %(default)s)",
    )
    parser.add_argument(
        "--ocpp",
        choices=("1.6", "2.0.1", "2.1"),
        default="2.0.1",
        help="what the stations speak (default: %(default)s)",
    )
    add_socket(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> NoReturn:
    """Becomes the simulator, so that signals reach it. Exit code 0: it was ended, 2: it cannot be played."""
    if not 0.0 <= arguments.soc <= 100.0:
        raise CommandError(f"--soc {arguments.soc:g}: allowed are 0 to 100", BAD_INPUT)
    stations = ask(arguments.socket, "ocpp")["stations"]
    words = [sys.executable, "-m", simulator(), "stand-in", "--site", str(arguments.site)]
    words += ["--soc", f"{arguments.soc:g}", "--ocpp", arguments.ocpp]
    for station in stations:
        if station["connected"]:
            words += ["--connected", station["station"]]
    os.execv(words[0], words)  # noqa: S606 - our own program
