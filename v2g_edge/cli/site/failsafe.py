"""``v2g-edge failsafe --config FILE``: opens every discharge-enable contactor. systemd runs it when the daemon has ended badly.

It needs no running daemon, no journal and no charger; it tries each contactor until it answers or ``TRIES`` are used up.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.config import ConfigError, load
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.settings import Settings

TRIES: Final = 5
"""A module that was connected to the dead daemon may take a moment to accept again."""
PAUSE_S: Final = 0.5
"""Between two tries: all tries together stay under the shortest lease that a site would set (5 s)."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("failsafe", help="open every discharge-enable contactor")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument("--unless-clean", action="store_true", help="do nothing after an end that was asked for")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open them; 1 when one did not answer."""
    if arguments.unless_clean and os.environ.get("SERVICE_RESULT", "") == "success":
        return DONE
    try:
        settings = load(arguments.config)
    except ConfigError as error:
        raise CommandError(f"the site file has problems, so no contactor is known:\n{error}", BAD_INPUT) from error
    results = asyncio.run(open_contactors(settings))
    for device, result in results.items():
        print(f"contactor {device}: {'opened' if result == 'accepted' else result}", file=sys.stderr)
    if not results:
        print("no contactor in the site file: chargers fall back by their own dead-man", file=sys.stderr)
    return DONE if all(result == "accepted" for result in results.values()) else FAILED


async def open_contactors(settings: Settings) -> dict[str, str]:
    """What each contactor said, by device id, all asked at the same time."""
    devices = tuple(device for device in settings.devices if device.role == "contactor")
    field = ModbusField(settings.lines, devices, settings.site, Board(settings.site, lambda: None), SystemClock())

    async def drop(device: str) -> tuple[str, str]:
        result = "silent"
        for _ in range(TRIES):
            result = await field.contactors[device].drop()
            if result == "accepted":
                break
            await asyncio.sleep(PAUSE_S)
        return device, result

    try:
        return dict(await asyncio.gather(*map(drop, sorted(field.contactors))))
    finally:
        await field.stop()
