"""``v2g-edge failsafe --config FILE``: opens every discharge-enable contactor. systemd runs it whenever the
daemon has ended.

It needs no running daemon, no journal, no charger and no site file that can be read: what the last good start
knew of contactors stands in ``rescue.json`` of the state folder. It opens what either of the two names.
"""

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED
from v2g_edge.config import ConfigError, load
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.failsafe import open_contactors
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.rescuefile import RescueFile
from v2g_edge.model.settings import HostSettings, OpenableContactor
from v2g_edge.wiring.parts import build_modbus

STATE_DIR: Final = re.compile(r'^\s*state_dir\s*=\s*["\']([^"\']+)["\']', re.MULTILINE)
"""The one key that is looked for in a site file that cannot be read as one."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("failsafe", help="open every discharge-enable contactor")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the site file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open them; 1 when one did not answer."""
    contactors, fault = known_contactors(arguments.config)
    if fault:
        print(f"the site file does not say which contactors there are:\n{fault}", file=sys.stderr)
    results = asyncio.run(open_contactors(contactors, SystemClock()))
    for device, result in results.items():
        print(f"contactor {device}: {result}", file=sys.stderr)
    if not results and fault:
        print("no start before this one has kept any contactor either", file=sys.stderr)
        return BAD_INPUT
    if not results:
        print("no contactor in the site file: chargers fall back by their own dead-man", file=sys.stderr)
    return DONE if all(result == "opened" for result in results.values()) else FAILED


def known_contactors(site_file: Path) -> tuple[list[OpenableContactor], str]:
    """All contactors that the site file or the last good start knows; and why the site file says nothing,
    "" where it does.
    """
    fault, found = "", list[OpenableContactor]()
    try:
        settings = load(site_file)
        found += build_modbus(settings, Board(settings.site, lambda: None), SystemClock()).openable()
        folders = [Path(settings.host.state_dir)]
    except (ConfigError, ValueError, OSError) as error:
        fault, folders = str(error), _state_dirs(site_file)
    for folder in folders:
        kept = RescueFile(folder).load().value or ()
        places = {(each.line, each.unit, each.coil) for each in found}
        found += [each for each in kept if (each.line, each.unit, each.coil) not in places]
    return found, fault


def _state_dirs(site_file: Path) -> list[Path]:
    """Where the state folder may be: as the broken file seems to say, as systemd says, and the usual
    place.
    """
    try:
        said = STATE_DIR.findall(site_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        said = []
    places = [
        *said,
        *filter(None, os.environ.get("STATE_DIRECTORY", "").split(":")),
        HostSettings().state_dir,
    ]
    return [Path(place) for place in dict.fromkeys(places)]
