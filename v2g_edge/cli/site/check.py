"""``v2g-edge check FILE``: can this site file be used?"""

import argparse
from pathlib import Path
from typing import Any

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED
from v2g_edge.cloud.prices import PriceFile
from v2g_edge.config import ConfigError, load
from v2g_edge.field.modbus.bus import device_problems


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("check", help="report every problem of a site file at once")
    parser.add_argument("file", type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One report on stdout; 2 when the file cannot be used, 1 when it can but its price file cannot."""
    try:
        settings = load(arguments.file)
    except ConfigError as error:
        _head(arguments.file, len(error.problems))
        for problem in error.problems:
            print(f"  {problem.key}\n    found    {problem.found}\n    allowed  {problem.allowed}\n    {problem.mend}\n")
        return BAD_INPUT
    devices = device_problems(settings.lines, settings.devices, Path(settings.host.state_dir) / "maps")
    if devices:
        _head(arguments.file, len(devices))
        print("\n".join(f"  {problem}" for problem in devices))
        return BAD_INPUT
    site = settings.site
    grid = site.grid.profile
    prices = PriceFile(settings.prices).read()
    if prices:
        print(f"{arguments.file}: prices.file cannot be used; the daemon starts, and makes no plan of its own\n")
        print("\n".join(f"  {line}" for line in prices.splitlines()))
        return FAILED
    print(f"{arguments.file}: no problem")
    print(f"  {site.name}: {len(site.evses)} outlets, {len(site.feeders)} feeders, {len(site.vehicles)} vehicles")
    export = "allowed" if site.grid.export_allowed else "not allowed"
    print(f"  grid code {site.grid.code} ({grid.status if grid else 'none'}), export {export}")
    print("  with all chargers at their fallback and all base loads at their worst, every feeder holds")
    return DONE


def _head(file: Path, count: int) -> None:
    print(f"{file}: {count} problem{'s' if count > 1 else ''}; nothing can be started from this file\n")
