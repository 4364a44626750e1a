"""``v2g-edge install-units``: lays the systemd units where v2g-edge was installed with pip.

The Debian package brings its own; those that install packages (``v2g-edge-update*``) stay with it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import v2g_edge
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError

SHIPPED: Final = "share/v2g-edge/systemd"
PACKAGED: Final = "/opt/v2g-edge/bin/"
"""Where the Debian package has its programs, and what the units name."""
PACKAGE_UNIT: Final = "lib/systemd/system/v2g-edge.service"
APT_ONLY: Final = "v2g-edge-update"
HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - compared, nothing is made there
"""What the units' sandbox does not see (ProtectHome=, PrivateTmp=)."""
TOLD: Final = """{count} units are in {place}, and run {program}. Next:
  v2g-edge init --template vans /etc/v2g-edge/site.toml
  chown root:v2g-edge /etc/v2g-edge/site.toml; chmod 640 /etc/v2g-edge/site.toml
  v2g-edge check /etc/v2g-edge/site.toml
  systemctl enable --now v2g-edge v2g-edge-console v2g-edge-backup.timer v2g-edge-ledger.timer"""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "install-units", help="lay the systemd units, where v2g-edge was installed with pip"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="FOLDER",
        help="of an image that is not running (default: this machine)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Units, users and folders; on this machine systemd takes them at once."""
    root: Path = arguments.root
    here = root == Path("/")
    if here and os.geteuid() != 0:
        raise CommandError("only root can lay units: sudo v2g-edge install-units")
    if (root / PACKAGE_UNIT).exists():
        raise CommandError(
            f"{root / PACKAGE_UNIT} is there: the Debian package has laid its units", BAD_INPUT
        )
    program = Path(sys.executable).parent
    if any(program.is_relative_to(folder) for folder in HIDDEN):
        raise CommandError(
            f"{program} is hidden from the units by their sandbox; install v2g-edge into an environment in"
            " /opt: python3 -m venv /opt/v2g-edge; /opt/v2g-edge/bin/pip install v2g-edge",
            BAD_INPUT,
        )
    count = lay(shipped(), root, f"{program}/")
    if here:
        for words in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"], ["systemctl", "daemon-reload"]):
            _do(words)
    print(TOLD.format(count=count, place=root / "etc/systemd/system", program=program / "v2g-edge"))
    return DONE


def shipped() -> Path:
    """The folder of the units: of the installation, or of a checkout."""
    for folder in (Path(sys.prefix) / SHIPPED, Path(v2g_edge.__file__).parents[1] / "systemd"):
        if (folder / "v2g-edge.service").exists():
            return folder
    raise CommandError(f"{Path(sys.prefix) / SHIPPED}: no units are there; install v2g-edge anew")


def lay(source: Path, root: Path, programs: str) -> int:
    """Write every unit for programs in ``programs``, and what makes users and folders. How many units."""
    places = {folder: root / "etc" / folder for folder in ("systemd/system", "sysusers.d", "tmpfiles.d")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    units = [path for path in sorted(source.iterdir()) if path.suffix in {".service", ".timer"}]
    units = [path for path in units if not path.name.startswith(APT_ONLY)]
    for path in units:
        text = path.read_text(encoding="utf-8").replace(PACKAGED, programs)
        # The pages and manuals of the package are not there.
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE)
        (places["systemd/system"] / path.name).write_text(text, encoding="utf-8")
    for kind in ("sysusers", "tmpfiles"):
        target = places[f"{kind}.d"] / "v2g-edge.conf"
        target.write_text((source / f"v2g-edge.{kind}.conf").read_text(encoding="utf-8"), encoding="utf-8")
    return len(units)


def _do(words: list[str]) -> None:
    program = shutil.which(words[0])
    if program is None:
        raise CommandError(f"there is no {words[0]} on this machine; the units are laid", FAILED)
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)  # noqa: S603 - systemd's own
    if done.returncode:
        raise CommandError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}", FAILED)
