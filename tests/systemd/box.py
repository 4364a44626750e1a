"""A real systemd, booted in namespaces of its own over a root folder that stays as it is."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.processes import start

UNIT: Final = "v2g-edge.service"
BOX: Final = Path(__file__).with_name("box.sh")
PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Box:
    """The booted system: ``run`` is a command inside it."""

    def __init__(self, pid: int, shared: Path) -> None:
        self.pid = pid
        self.shared = shared

    def run(self, *words: str, check: bool = True, env: tuple[str, ...] = ()) -> str:
        """What the command wrote to standard output; an AssertionError with what it said where it failed."""
        enter = [
            "nsenter",
            f"--target={self.pid}",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--cgroup",
            "--wd=/",
        ]
        command = [*enter, "env", "-i", PATH, "DEBIAN_FRONTEND=noninteractive", *env, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        return done.stdout

    def code(self, *words: str) -> int:
        """The exit code alone."""
        return int(self.run("sh", "-c", '"$@" >/dev/null 2>&1; echo $?', "sh", *words))

    def write(self, path: str, text: str) -> None:
        """Replaces a file in the box."""
        (self.shared / "text").write_text(text, encoding="utf-8")
        self.run("sh", "-c", f"cat /srv/shared/text >{path}")

    def show(self, key: str, unit: str = UNIT) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={key}", "--value").strip()

    def journal(self, *words: str) -> list[dict[str, str]]:
        """Entries of the box's journal."""
        lines = self.run("journalctl", "--no-pager", "--output=json", *words, check=False).splitlines()
        return [json.loads(line) for line in lines]

    def main_pid(self) -> int:
        """As the box counts; 0 while the unit is down."""
        return int(self.show("MainPID"))

    def signal_main(self, number: signal.Signals) -> int:
        """Sends the daemon a signal and gives the process id that it had."""
        pid = self.main_pid()
        assert pid > 0, "the unit is down"
        self.run("systemctl", "kill", "--kill-whom=main", f"--signal={number.name}", UNIT)
        return pid

    def back(self, old: int) -> bool:
        """Another process runs and has said that it is ready."""
        return self.main_pid() not in (0, old) and self.show("ActiveState") == "active"


def until(what: Callable[[], bool], limit_s: float) -> float:
    """How long it took."""
    start_s = time.monotonic()
    while not what():
        if time.monotonic() - start_s > limit_s:
            raise AssertionError(f"not within {limit_s:g} s")
        time.sleep(0.05)  # between two looks at another machine, with a limit above
    return time.monotonic() - start_s


@contextlib.contextmanager
def booted(folder: Path, root: Path, shared: Path) -> Iterator[Box]:
    """A box over ``root``; it and all that is in it are gone afterwards."""
    work = folder / "box"
    work.mkdir()
    log = (folder / "log").open("wb")
    outer = start(
        [str(BOX), str(work), str(root), str(shared)], stdout=log, stderr=log, start_new_session=True
    )
    try:
        box = Box(_systemd_below(outer, folder / "log"), shared)
        until(
            lambda: "active" in box.run("systemctl", "is-active", "v2g-box.target", check=False).split(), 30
        )
        yield box
    finally:
        outer.kill()  # unshare's --kill-child ends PID 1 of the box, and the kernel everything else in it
        outer.wait()
        log.close()
        group = Path((work / "cgroup").read_text().strip()) if (work / "cgroup").exists() else None
        if group is not None:
            until(lambda: _removed(group), 10)


def _removed(group: Path) -> bool:
    """Sub-groups first; the kernel refuses while something still lives in one."""
    with contextlib.suppress(OSError):
        for path in sorted(group.rglob("*/"), reverse=True):
            if path.is_dir():
                path.rmdir()
        group.rmdir()
    return not group.exists()


def _systemd_below(outer: "subprocess.Popen[bytes]", log: Path) -> int:
    def child() -> int:
        text = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()
        pid = int(text.split()[0]) if text.split() else 0
        return pid if pid and Path(f"/proc/{pid}/comm").read_text().strip() == "systemd" else 0

    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        if outer.poll() is not None:
            raise AssertionError(f"the box did not boot: {log.read_text()}")
        with contextlib.suppress(OSError):
            if pid := child():
                return pid
        time.sleep(0.05)  # until the box has a first process, with a limit above
    raise AssertionError("the box did not boot in 30 s")
