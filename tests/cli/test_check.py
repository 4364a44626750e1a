"""`v2g-edge check`."""

import re
import shutil
from pathlib import Path

import pytest

from v2g_edge.cli.main import main


def test_the_example_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """What people copy can be started."""
    assert main(["check", "etc/site.example.toml"]) == 0
    assert "no problem" in capsys.readouterr().out


def test_one_report_with_every_problem(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2; an unknown key, a negative limit and a text for a number in one go."""
    text = site.read_text().replace("export_limit_w = 90000.0", "export_limit_w = -5.0").replace("unit = 2", "units = 2")
    site.write_text(text.replace("nominal_v = 230.0", 'nominal_v = "230"'))
    assert main(["check", str(site)]) == 2
    report = capsys.readouterr().out
    assert "3 problems" in report
    for word in ("feeders.hall.export_limit_w", "devices.relay.units", "Did you mean unit?", "grid.nominal_v"):
        assert word in report


def test_a_register_map_that_is_not_there_is_a_problem(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found before anything is started."""
    site.write_text(site.read_text().replace('map = "quasar1"', 'map = "quasar9"'))
    assert main(["check", str(site)]) == 2
    assert "quasar9" in capsys.readouterr().out
    assert main(["run", "--config", str(site)]) == 2


def test_a_map_of_the_sites_own_is_found_below_its_state_folder(site: Path, tmp_path: Path) -> None:
    """A charger of an unknown make needs a file, not a release."""
    state = tmp_path / "state"
    text = site.read_text().replace('map = "quasar1"', 'map = "ours"')
    site.write_text(re.sub(r'state_dir = "[^"]*"', f'state_dir = "{state}"', text))
    assert main(["check", str(site)]) == 2
    (state / "maps").mkdir(parents=True)
    shutil.copy("v2g_edge/field/modbus/maps/quasar1.toml", state / "maps" / "ours.toml")
    assert main(["check", str(site)]) == 0


def test_a_price_file_that_cannot_be_used_is_reported_line_by_line_with_1(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon would start without a plan of its own: not what whoever set the key had in mind."""
    prices = tmp_path / "prices.csv"
    prices.write_text("hour,price\n2026-01-01 00:00:00,ten\n")
    site.write_text(site.read_text() + f'\n[prices]\nfile = "{prices}"\n')
    assert main(["check", str(site)]) == 1
    report = capsys.readouterr().out
    assert f"{prices}:2: expected" in report
    assert "no problem" not in report
    prices.write_text("hour,price\n2026-01-01 00:00:00,10\n")
    assert main(["check", str(site)]) == 0
