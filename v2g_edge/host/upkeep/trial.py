"""Watches a version that was just installed, and puts the version before back where it does not become
healthy.

This file is copied out of the package before the new version is installed, and runs with the system's own
Python from the copy: it uses nothing of v2g-edge and no library, so no fault of the new version is its fault
too. ``v2g-edge-update-trial.service`` runs it after an installation, and at a boot in the middle of one.

Healthy: the daemon that answers on the control socket is the new version, whole ticks end, and at least as
many outlets are connected as before; three times in a row. Exit code 0: the new version stays, or there was
nothing to watch; 1: the version before is back.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path("/var/lib/v2g-edge-update")
"""root's own: a package that lies here is installed as root."""
PENDING: Final = "pending.json"
LAST: Final = "last.json"
BLOCKED: Final = "blocked.json"
UNIT: Final = "v2g-edge.service"

HEALTHY_IN_S: Final = 300.0
"""From the end of the installation, or from a boot, to a healthy daemon: chargers dial again within two
minutes of a lost link.
"""
LOOK_S: Final = 5.0
GOOD_LOOKS: Final = 3
RESTARTS_MAX: Final = 3
"""So many restarts of the unit are a verdict: waiting longer keeps the depot at its fallback."""
ANSWER_S: Final = 4.0
INSTALL_S: Final = 900.0
"""For dpkg on a slow card."""
ANSWER_MAX: Final = 1 << 20


def main(folder: Path = FOLDER) -> int:
    """Judge what is pending in ``folder``."""
    try:
        pending = json.loads((folder / PENDING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        say(3, f"{folder / PENDING}: cannot be read ({error}); the installed version stays")
        return finish(folder, {}, "", "the note of the update cannot be read")
    # What a power cut has left half done must be whole before anything else can be installed.
    run("dpkg", "--configure", "-a", "--force-confold")
    fault = "its installation was cut short" if pending["stage"] == "installing" else watch(pending)
    if not fault:
        say(5, f"v2g-edge {pending['new']} is healthy and stays")
        return finish(folder, pending, pending["new"], "")
    say(3, f"v2g-edge {pending['new']} {fault}: back to {pending['old']}")
    block(folder, pending["new"], fault)
    if not put_back(pending):
        say(2, f"v2g-edge {pending['old']} could not be put back: apt install {pending['kept']} as root")
        return 1  # the note stays: the next boot, or the next update, tries again
    return finish(folder, pending, pending["old"], f"{pending['new']} {fault}")


def watch(pending: dict[str, Any]) -> str:
    """Why the new version does not stay; "" where it is healthy."""
    end_s, good, found = time.monotonic() + HEALTHY_IN_S, 0, ""
    restarts = property_of("NRestarts")
    while time.monotonic() < end_s:
        found = ailment(pending)
        good = 0 if found else good + 1
        if good >= GOOD_LOOKS:
            return ""
        if property_of("ActiveState") == "failed":
            return "failed to start"
        if int(property_of("NRestarts") or 0) >= int(restarts or 0) + RESTARTS_MAX:
            return f"ended {RESTARTS_MAX} times"
        time.sleep(LOOK_S)  # the pace of a program of its own that only watches
    return f"was not healthy within {HEALTHY_IN_S:g} s ({found})"


def ailment(pending: dict[str, Any]) -> str:
    """What is the matter now; "" for nothing."""
    health = asked(pending["socket"])
    if health is None:
        return "the daemon does not answer"
    if str(health.get("version")) != upstream(pending["new"]):
        return f"version {health.get('version')} answers"
    if not health.get("ready"):
        return "no whole tick ends"
    if int(health.get("links_up", 0)) < int(pending["links"]):
        return f"{health.get('links_up')} outlets are connected, {pending['links']} were before"
    return ""


def upstream(version: str) -> str:
    """The program's version in a package's: 0.3.0 of 0.3.0~deb12u1."""
    return version.partition("~")[0].partition("-")[0]


def asked(path: str) -> dict[str, Any] | None:
    """The daemon's own word on its health; None where nothing answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(path)
            connection.sendall(b'{"id": 1, "method": "health"}\n')
            line = b""
            while not line.endswith(b"\n") and len(line) < ANSWER_MAX:
                part = connection.recv(65_536)
                if not part:
                    break
                line += part
        result = json.loads(line)["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if isinstance(result, dict) else None


def put_back(pending: dict[str, Any]) -> bool:
    """Install the kept package of the version before; dpkg alone where apt cannot."""
    kept = str(pending["kept"])
    apt = (
        "apt-get",
        "install",
        "-y",
        "--allow-downgrades",
        "--reinstall",
        "-o",
        "Dpkg::Options::=--force-confold",
    )
    done = run(*apt, "-o", "DPkg::Lock::Timeout=120", kept) or run(
        "dpkg", "--force-confold", "--install", kept
    )
    run("systemctl", "reset-failed", UNIT)
    return run("systemctl", "start", UNIT) and done


def block(folder: Path, version: str, fault: str) -> None:
    """Never take this version again by itself."""
    blocked: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        blocked = json.loads((folder / BLOCKED).read_text(encoding="utf-8"))
    write(folder / BLOCKED, {**blocked, version: fault})


def finish(folder: Path, pending: dict[str, Any], version: str, fault: str) -> int:
    """Write down how it ended, and end the pending update."""
    write(
        folder / LAST,
        {"version": version, "tried": pending.get("new", ""), "fault": fault, "wall_s": time.time()},
    )
    (folder / PENDING).unlink(missing_ok=True)
    return 1 if fault else 0


def write(path: Path, value: dict[str, Any]) -> None:
    """Replace a file whole; on the disk when this returns."""
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    fresh.replace(path)


def property_of(key: str) -> str:
    """A property of the daemon's unit; "" where systemd does not answer."""
    try:
        command = ("systemctl", "show", UNIT, f"--property={key}", "--value")
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def run(*command: str) -> bool:
    """Whether the command ended well; what it wrote goes to the log."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(command, env=environment, timeout=INSTALL_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        say(3, f"{command[0]}: {error}")
        return False
    return done.returncode == 0


def say(priority: int, text: str) -> None:
    """To the log, with its priority (sd-daemon(3))."""
    print(f"<{priority}>{text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
