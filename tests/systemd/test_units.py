"""The units as systemd itself reads them, without starting anything: this runs wherever systemd's programs
are installed.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from v2g_edge.cli.main import parser
from v2g_edge.host.clock import STATE
from v2g_edge.host.upkeep import trial
from v2g_edge.model.settings import HostSettings
from v2g_edge.model.site import SafetySettings

FOLDER = Path("systemd")
UNITS = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/v2g-edge/bin/v2g-edge"
PYTHON = "/opt/v2g-edge/bin/python3"
SYSTEMS_OWN = ("/usr/bin/python3", "/usr/bin/systemctl")
"""Programs of the system: what watches over an update uses nothing of the package."""
EXPOSURE_MAX = {
    "v2g-edge.service": 15,
    "v2g-edge-failsafe.service": 15,
    "v2g-edge-clock.service": 10,
    "v2g-edge-console.service": 15,
    "v2g-edge-notify.service": 15,
    "v2g-edge-backup.service": 10,
    "v2g-edge-ledger.service": 10,
    "v2g-edge-update.service": 31,
    "v2g-edge-update-trial.service": 22,
}
"""Tenths of systemd's exposure level, 0 (closed) to 100 (open), that a unit may have."""


def settings_of(unit: Path) -> dict[str, list[str]]:
    """All values of each key."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that is there; nothing else is changed."""
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        assert any(program in text for program in (PROGRAM, PYTHON, *SYSTEMS_OWN))
        there = text.replace(PROGRAM, sys.executable).replace(PYTHON, sys.executable)
        (tmp_path / unit.name).write_text(there, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_understands_every_line(unit: Path, installed: Path) -> None:
    """``verify`` exits 0 for unknown keys: any line of its report is a failure."""
    run = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(installed / unit.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [
        line for line in (run.stderr + run.stdout).splitlines() if "v2g" in line or str(installed) in line
    ]
    assert ours == []
    assert run.returncode == 0


@pytest.mark.parametrize("timer", sorted(FOLDER.glob("*.timer")), ids=lambda timer: str(timer.name))
def test_systemd_understands_every_timer(timer: Path, installed: Path) -> None:
    """And the unit that it starts is there."""
    (installed / timer.name).write_text(timer.read_text(encoding="utf-8"), encoding="utf-8")
    run = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(installed / timer.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in (run.stderr + run.stdout).splitlines() if "v2g" in line] == []
    assert run.returncode == 0


def test_verify_would_find_a_wrong_line(installed: Path) -> None:
    """The test above can fail."""
    unit = installed / "v2g-edge.service"
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHme=yes"), encoding="utf-8")
    run = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert "v2g-edge.service" in run.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_the_sandbox_does_not_open(unit: Path) -> None:
    """systemd's own judgement; a line less raises it."""
    limit = f"--threshold={EXPOSURE_MAX[unit.name]}"
    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", limit, str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-200:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_the_commands_of_the_units_are_commands_of_the_program(unit: Path) -> None:
    """With options that it knows."""
    lines = [
        line for key in ("ExecStart", "ExecStopPost", "ExecReload") for line in settings_of(unit).get(key, [])
    ]
    assert lines
    for line in lines:
        program, *words = line.split()
        if program == PYTHON:
            assert importlib.util.find_spec(words[words.index("-m") + 1]) is not None
            continue
        if program in SYSTEMS_OWN:
            continue
        assert program == PROGRAM
        parser(words[0]).parse_args(words)


def test_the_alias_is_made_when_the_unit_is_enabled(tmp_path: Path) -> None:
    """``v2g-daemon.service`` is the other name of the same unit."""
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS:
        (folder / unit.name).write_text(unit.read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run(
        ["systemctl", f"--root={tmp_path}", "enable", "v2g-edge.service"], check=True, capture_output=True
    )
    assert (folder / "v2g-daemon.service").readlink().name == "v2g-edge.service"
    assert (folder / "multi-user.target.wants/v2g-edge.service").is_symlink()


def test_the_units_and_the_settings_agree() -> None:
    """Folders, the watchdog below the lease, and no restart for a site file that cannot be used."""
    unit = settings_of(FOLDER / "v2g-edge.service")
    assert HostSettings().state_dir == f"/var/lib/{unit['StateDirectory'][0]}"
    assert HostSettings().socket == f"/run/{unit['RuntimeDirectory'][0]}/control.sock"
    assert 3 * HostSettings().tick_s < float(unit["WatchdogSec"][0]) < SafetySettings().lease_s
    assert float(unit["TimeoutStopSec"][0]) <= 10.0
    assert unit["RestartPreventExitStatus"] == ["2"]
    assert unit["OnFailure"] == ["v2g-edge-failsafe.service"]
    assert unit["ProtectClock"] == ["yes"]
    assert (
        "v2g-edge-clock.service" in unit["Wants"][0].split()
    )  # or the daemon would take its clock for a wrong one
    writer = settings_of(FOLDER / "v2g-edge-clock.service")
    assert Path("/run") / writer["RuntimeDirectory"][0] / "state" == STATE
    assert writer["ExecStart"][0].split()[-1] == str(STATE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_what_a_unit_says_of_its_documentation_is_there(unit: Path) -> None:
    """The package puts each page of docs/ into its own folder; `systemctl help` opens them."""
    pages = settings_of(unit)["Documentation"][0].split()
    files = [
        page.removeprefix("file:///usr/share/doc/v2g-edge/") for page in pages if page.startswith("file:")
    ]
    assert "man:v2g-edge(1)" in pages
    assert files
    assert [name for name in files if not Path("docs", name).is_file()] == []


def test_a_reload_needs_no_program_that_a_minimal_debian_lacks() -> None:
    """/bin/kill belongs to procps, which is not there."""
    assert settings_of(FOLDER / "v2g-edge.service")["ExecReload"][0].split()[0] == PROGRAM


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_no_unit_leaves_its_memory_on_the_disk(unit: Path) -> None:
    """An image of the memory holds passwords and keys."""
    assert settings_of(unit)["LimitCORE"] == ["0"]


@pytest.mark.parametrize("name", ["v2g-edge.service", "v2g-edge-failsafe.service"])
def test_what_the_daemon_writes_is_its_own_alone(name: str) -> None:
    """Members of its group may ask the control socket; the state folder holds keys."""
    assert settings_of(FOLDER / name)["UMask"] == ["0077"]


def test_the_user_is_made_as_systemd_reads_it(tmp_path: Path) -> None:
    """In a root of its own, by systemd's own program."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "v2g.conf").write_text(
        (FOLDER / "v2g-edge.sysusers.conf").read_text(encoding="utf-8"), encoding="utf-8"
    )
    run = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(tmp_path / "v2g.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "v2g-edge:x:" in (tmp_path / "etc/passwd").read_text()


def test_the_watch_over_an_update_uses_nothing_of_the_package(tmp_path: Path) -> None:
    """Its copy runs with the system's Python alone, where the update has left it."""
    started = settings_of(FOLDER / "v2g-edge-update-trial.service")["ExecStart"][0].split()
    assert started == ["/usr/bin/python3", "-I", str(trial.FOLDER / "trial.py")]
    copy = tmp_path / "trial.py"
    copy.write_bytes(Path(trial.__file__).read_bytes())
    script = f"import runpy, sys; m = runpy.run_path({str(copy)!r}); print(sorted(sys.modules))"
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-c", script], capture_output=True, text=True, cwd="/", check=True
    )
    assert "v2g_edge" not in done.stdout
    assert "site-packages" not in done.stdout
