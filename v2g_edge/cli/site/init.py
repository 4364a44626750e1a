"""``v2g-edge init --template NAME FILE``: a site file to begin with, short enough to be read whole. It
overwrites nothing.
"""

import argparse
from importlib import resources
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError

FOLDER: Final = "cli/site/templates"
TEMPLATES: Final = {
    "vans": "AC charging points that only charge, one fuse, one meter",
    "buses": "bidirectional DC chargers, meter and relay, prices, an export window",
    "mixed": "two feeders, AC, DC and a charger by registers",
    "quasar": "one bidirectional charger by registers, one car",
}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("init", help="write a site file to begin with")
    parser.add_argument(
        "--template",
        choices=tuple(TEMPLATES),
        required=True,
        help="; ".join(f"{k}: {v}" for k, v in TEMPLATES.items()),
    )
    parser.add_argument("file", type=Path, help="the site file to write; one that is there is left alone")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write it, and say what comes next."""
    try:
        with arguments.file.open("x", encoding="utf-8") as file:
            file.write(template(arguments.template))
    except FileExistsError as error:
        raise CommandError(
            f"{arguments.file} is there already, and stays as it is; name another file", BAD_INPUT
        ) from error
    except OSError as error:
        raise CommandError(
            f"{arguments.file} cannot be written: {error.strerror or error}", BAD_INPUT
        ) from error
    print(f"{arguments.file}: written. Mend the lines marked with <<, then: v2g-edge check {arguments.file}")
    return DONE


def template(name: str) -> str:
    """A template as it ships."""
    return resources.files("v2g_edge").joinpath(FOLDER, f"{name}.toml").read_text(encoding="utf-8")
