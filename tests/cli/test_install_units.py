"""``v2g-edge install-units`` lays what systemd understands, for the programs of this environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from v2g_edge.cli.main import main
from v2g_edge.cli.site import units

PROGRAMS = f"{Path(sys.executable).parent}/"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this environment lay where the units see it."""
    monkeypatch.setattr(units, "HIDDEN", ())


@pytest.mark.usefixtures("seen")
def test_an_image_gets_units_users_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # again after an upgrade
        assert main(["install-units", "--root", str(tmp_path)]) == 0
    place = tmp_path / "etc/systemd/system"
    laid = {path.name for path in place.iterdir()}
    assert {"v2g-edge.service", "v2g-edge-failsafe.service", "v2g-edge-ledger.timer"} <= laid
    assert not any(name.startswith("v2g-edge-update") for name in laid)
    said = "".join(path.read_text(encoding="utf-8") for path in place.iterdir())
    assert f"ExecStart={PROGRAMS}v2g-edge run" in said
    assert "/opt/v2g-edge" not in said
    assert "u v2g-edge " in (tmp_path / "etc/sysusers.d/v2g-edge.conf").read_text(encoding="utf-8")
    assert "/etc/v2g-edge/secrets" in (tmp_path / "etc/tmpfiles.d/v2g-edge.conf").read_text(encoding="utf-8")
    assert f"{len(laid)} units are in {place}" in capsys.readouterr().out


def test_systemd_understands_what_is_laid(tmp_path: Path) -> None:
    """Each program that the units name is there."""
    units.lay(units.shipped(), tmp_path, PROGRAMS)
    place = tmp_path / "etc/systemd/system"
    names = [str(path) for path in sorted(place.glob("*.service"))]
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", *names], capture_output=True, text=True, check=False
    )
    assert [line for line in (done.stderr + done.stdout).splitlines() if "v2g" in line] == []


def test_the_wheel_carries_every_unit() -> None:
    """As data files, in the folder where the command looks."""
    root = Path(__file__).parents[2]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{units.SHIPPED}" = ["systemd/*"]' in text
    assert units.shipped() == root / "systemd"


@pytest.mark.usefixtures("seen")
def test_the_units_of_the_package_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / units.PACKAGE_UNIT
    there.parent.mkdir(parents=True)
    there.write_text("")
    assert main(["install-units", "--root", str(tmp_path)]) == 2
    assert "the Debian package has laid its units" in capsys.readouterr().err


def test_an_environment_that_the_sandbox_hides_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/anna/venv/bin/python3")
    assert main(["install-units", "--root", str(tmp_path)]) == 2
    assert "/home/anna/venv/bin is hidden from the units" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_only_root_lays_units_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert main(["install-units"]) == 1
    assert "sudo v2g-edge install-units" in capsys.readouterr().err
