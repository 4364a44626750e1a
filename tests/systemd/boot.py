"""``python -m tests.systemd.boot`` (as root; ``make test-systemd``): the package under a real systemd, in a
clean root.

Exit 0 says that every promise was seen, with its figures; exit 77 that this machine cannot show them, and
why. With ``--where-possible``, a machine that cannot says so loudly and is no failure.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.processes import running
from tests.systemd.artifacts import clean_root, repositories
from tests.systemd.box import booted
from tests.systemd.promises import COILS_PORT, PROMISES

CANNOT: Final = 77
"""What test programs say that were not run (automake's convention)."""

NEEDED: Final = ("nsenter", "unshare", "mmdebstrap", "dpkg-buildpackage", "dh", "apt-ftparchive", "gpg")


def missing() -> str:
    """Why this machine cannot boot a box; empty where it can."""
    if os.geteuid() != 0:
        return "it needs root"
    programs = [name for name in NEEDED if not shutil.which(name)]
    if programs:
        return f"programs are missing: {', '.join(programs)}"
    if (
        "cgroup2" not in Path("/proc/filesystems").read_text()
        or "overlay" not in Path("/proc/filesystems").read_text()
    ):
        return "the kernel has no cgroup2 or no overlay"
    return ""


def main() -> int:
    """Shows all promises in one box; 1 at the first that does not hold, or when the box does not boot."""
    reason = missing()
    if reason:
        print(f"\n*** THE PACKAGE WAS NOT TESTED UNDER A REAL SYSTEMD: {reason} ***\n", file=sys.stderr)
        return 0 if "--where-possible" in sys.argv[1:] else CANNOT
    with tempfile.TemporaryDirectory(prefix="v2g-edge-boot-") as name:
        folder = Path(name)
        shared = folder / "shared"
        shared.mkdir()
        shared.chmod(0o755)
        repositories(shared)
        with booted(folder, clean_root(), shared) as box:
            coils = ["nsenter", f"--net=/proc/{box.pid}/ns/net", sys.executable, "-m", "tests.systemd.coils"]
            with running([*coils, str(COILS_PORT), str(shared / "coils")]):
                for promise in PROMISES:
                    try:
                        print(f"{promise.__name__:36} {promise(box)}", flush=True)
                    except AssertionError as error:
                        log = box.run("journalctl", "--no-pager", "-n", "60", check=False)
                        print(f"{promise.__name__:36} FAILED: {error}\n{log}", file=sys.stderr)
                        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
