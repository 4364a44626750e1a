"""``python -m tests.systemd.boot`` (as root; ``make test-systemd``): the package under a real systemd, in a
clean root.

Exit 0 says that every promise was seen, with its figures; exit 77 that this machine cannot show them, and
why. With ``--where-possible``, a machine that cannot says so loudly and is no failure. ``--told`` shows
nothing anew: it says loudly whether the promises were seen with the sources as they are, or how to see them.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.processes import running
from tests.systemd.artifacts import BUILD, clean_root, repositories, state_of_sources
from tests.systemd.box import booted
from tests.systemd.promises import COILS_PORT, PROMISES

CANNOT: Final = 77
"""What test programs say that were not run (automake's convention)."""

SEEN: Final = BUILD / "seen.json"
"""When all promises were last seen, and with which sources."""

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


def told() -> str:
    """Whether the promises were seen with these sources; else how they can be."""
    if SEEN.exists():
        seen = json.loads(SEEN.read_text())
        if seen["sources"] == state_of_sources():
            return f"The package was seen under a real systemd at {seen['at']}, with these sources."
    reason = missing()
    can = f"here it cannot: {reason}" if reason else "as root, in ten to twenty minutes"
    return f"*** NOT SEEN WITH THESE SOURCES: THE PACKAGE UNDER A REAL SYSTEMD (make test-systemd: {can}) ***"


def main() -> int:
    """Shows all promises in one box; 1 at the first that does not hold, or when the box does not boot."""
    if "--told" in sys.argv[1:]:
        print(f"\n{told()}\n", file=sys.stderr)
        return 0
    reason, sources = missing(), state_of_sources()
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
    SEEN.write_text(json.dumps({"sources": sources, "at": datetime.now(UTC).isoformat(timespec="minutes")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
