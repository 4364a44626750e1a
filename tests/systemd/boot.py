"""``python -m tests.systemd.boot`` (as root): the units under a real systemd, booted in namespaces of its own.

Not part of ``pytest``, because it needs root, an overlay and a cgroup v2 tree, which not every machine that runs the tests
grants. It never passes without having run: exit 0 says that every promise below was seen, with its figures.
"""

# ruff: noqa: T201 - it is a command: printing is its job
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.config.small import TEXT
from tests.processes import start

UNIT = "v2g-edge.service"
BOX = Path(__file__).with_name("box.sh")


class Box:
    """The booted system: ``run`` is a command inside it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *words: str, check: bool = True) -> str:
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--wd=/"]
        done = subprocess.run([*enter, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def show(self, key: str, unit: str = UNIT) -> str:
        return self.run("systemctl", "show", unit, f"--property={key}", "--value").strip()

    def journal(self, *words: str) -> list[dict[str, str]]:
        lines = self.run("journalctl", "--no-pager", "--output=json", *words, check=False).splitlines()
        return [json.loads(line) for line in lines]

    def main_pid(self) -> int:
        """As the box counts; 0 while the unit is down."""
        return int(self.show("MainPID"))

    def signal_main(self, number: signal.Signals) -> int:
        pid = self.main_pid()
        assert pid > 0, "the unit is down"
        self.run("kill", f"-{int(number)}", str(pid))
        return pid

    def back(self, old: int) -> bool:
        """Another process runs and has told that it is ready."""
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
def booted(folder: Path) -> Iterator[Box]:
    """A box with the units installed; it and all in it are gone afterwards."""
    site = folder / "site.toml"
    site.write_text(TEXT.replace('host = "192.0.2.10"', 'host = "127.0.0.1"\nport = 1'), encoding="utf-8")
    work = folder / "box"
    work.mkdir()
    log = (folder / "log").open("wb")
    command = [str(BOX), str(work), sysconfig.get_path("purelib"), str(site)]
    outer = start(command, stdout=log, stderr=log, start_new_session=True)
    try:
        box = Box(_systemd_below(outer, folder / "log"))
        until(lambda: "active" in box.run("systemctl", "is-active", "v2g-box.target", check=False).split(), 30)
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


def starts(box: Box) -> str:
    """`systemctl start` returns after the first whole tick, and the daemon is its own user without a capability."""
    begun_s = time.monotonic()
    box.run("systemctl", "start", UNIT)
    took_s = time.monotonic() - begun_s
    assert box.show("ActiveState") == "active"
    assert "outlets connected" in box.show("StatusText")
    status = box.run("cat", f"/proc/{box.main_pid()}/status")
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    user = box.run("ps", "-o", "user=", "-p", str(box.main_pid())).strip()
    assert user == "v2g-edge", user
    assert '"site": "small"' in box.run("/opt/v2g-edge/bin/v2g-edge", "status", "--json")
    resident_kib = int(status.partition("VmRSS:")[2].split()[0])
    return f"{took_s:.2f} s to the first tick, {resident_kib / 1024:.0f} MiB resident"


def logs_fields(box: Box) -> str:
    """journald has each key of an event as a field."""
    (entry,) = box.journal("V2G_EVENT=started")
    assert entry["V2G_SITE"] == "small"
    assert entry["_SYSTEMD_UNIT"] == UNIT
    assert entry["PRIORITY"] == "6"
    return "V2G_EVENT=started V2G_SITE=small"


def reads_the_clock(box: Box) -> str:
    """The daemon's sandbox refuses to ask and to set the clock; the small unit beside it has asked a moment ago."""
    skip = ("Exec", "Type", "Notify", "Watchdog", "Restart", "Timeout", "KillMode", "Syslog", "StateD", "RuntimeD", "LoadC")
    text = Path("systemd/v2g-edge.service").read_text(encoding="utf-8").partition("[Service]")[2].partition("[Install]")[0]
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", *skip))]
    code = "import ctypes,time\nc=ctypes.CDLL(None)\nb=ctypes.create_string_buffer(512)\nprint(c.adjtimex(b))\n"
    code += "try:\n time.clock_settime(0, time.time()); print('set')\nexcept PermissionError: print('refused')\n"
    code += "print(time.monotonic(), *open('/run/v2g-edge-clock/state').read().split())"
    options = [f"--property={line}" for line in lines]
    out = box.run("systemd-run", "--pipe", "--wait", "--quiet", *options, "/usr/bin/python3", "-c", code).split()
    assert out[:2] == ["-1", "refused"], out
    age_s = float(out[2]) - float(out[4])
    assert 0.0 <= age_s < 5.0, out
    return f"asking and setting are refused; v2g-edge-clock said {out[3]} {age_s:.1f} s ago"


def gives_credentials(box: Box) -> str:
    """The password is there for the daemon, under the path that a site file names."""
    where = f"/run/credentials/{UNIT}/secrets_CP-A"
    mode = box.run("nsenter", f"--target={box.main_pid()}", "--mount", "--", "stat", "-c", "%U %a", where).strip()
    assert mode.split()[1] in ("400", "440"), mode
    return f"{where} ({mode})"


def restarts_after_a_kill(box: Box) -> str:
    """kill -9: the contactors are opened, and another daemon ticks."""
    old = box.signal_main(signal.SIGKILL)
    took_s = until(lambda: box.back(old), 30)
    assert box.journal("-u", UNIT, "--grep=contactor in the site file"), "ExecStopPost did not run"
    return f"ticks again {took_s:.2f} s after kill -9"


def restarts_after_a_hang(box: Box) -> str:
    """A daemon that no longer ticks is ended by the watchdog, and another one starts."""
    old = box.signal_main(signal.SIGSTOP)
    took_s = until(lambda: box.back(old), 60)
    assert box.journal("-u", "init.scope", "--grep=Watchdog timeout") or box.journal("--grep=watchdog"), "no watchdog in the log"
    return f"ticks again {took_s:.2f} s after it stopped"


def ends_cleanly(box: Box) -> str:
    """`systemctl stop` is a success, leaves contactors alone and no socket behind."""
    before = len(box.journal("-u", UNIT, "--grep=contactor in the site file"))
    begun_s = time.monotonic()
    box.run("systemctl", "stop", UNIT)
    took_s = time.monotonic() - begun_s
    assert box.show("Result") == "success"
    assert len(box.journal("-u", UNIT, "--grep=contactor in the site file")) == before
    assert not box.run("sh", "-c", "ls /run/v2g-edge 2>/dev/null || true").strip()
    return f"{took_s:.2f} s"


def gives_up_on_a_bad_file(box: Box) -> str:
    """A site file with a problem: no restart, and the failsafe unit has run."""
    box.run("sh", "-c", "echo '[[nonsense]]' >> /etc/v2g-edge/site.toml")
    box.run("systemctl", "start", UNIT, check=False)
    until(lambda: box.show("ActiveState") == "failed", 30)
    until(lambda: bool(box.journal("-u", "v2g-edge-failsafe.service", "--grep=contactor")), 30)
    assert box.show("NRestarts") == "0"
    return "failed at once, failsafe ran"


PROMISES = (
    starts,
    logs_fields,
    reads_the_clock,
    gives_credentials,
    restarts_after_a_kill,
    restarts_after_a_hang,
    ends_cleanly,
    gives_up_on_a_bad_file,
)


def main() -> int:
    """Play all promises in one box; 1 at the first that does not hold, or when no box can be booted."""
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        print("boot: needs root and util-linux", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="v2g-edge-boot-") as folder, booted(Path(folder)) as box:
        for promise in PROMISES:
            try:
                print(f"{promise.__name__:28} {promise(box)}", flush=True)
            except AssertionError as error:
                log = box.run("journalctl", "--no-pager", "-n", "40", check=False)
                print(f"{promise.__name__:28} FAILED: {error}\n{log}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
