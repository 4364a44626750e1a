"""What a person in a hurry is told of an installation, and what leaves the house in a dump."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import daemon
from v2g_edge.cli.main import main
from v2g_edge.cli.site.doctor import cleaned, health_rows, update_rows

WELL = {
    "ready": True,
    "version": "1",
    "tick_age_s": 0.4,
    "links_up": 2,
    "links": 2,
    "clock_synchronised": True,
    "acting": [],
    "journal_lost": 0,
    "machine": {
        "disk_free_bytes": 50e9,
        "disk_total_bytes": 100e9,
        "memory_bytes": 90_000_000,
        "temperature_c": 40.0,
        "certificates": {"/a.pem": 90 * 86_400.0},
    },
}


def test_a_well_depot_has_nothing_to_mend() -> None:
    assert [row for row in health_rows(WELL, 0.0) if row.mend] == []


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("ready", False, "daemon"),
        ("links_up", 1, "chargers"),
        ("clock_synchronised", False, "clock"),
        ("acting", ["grid_fault"], "safety table"),
        ("journal_lost", 3, "journal"),
    ],
)
def test_each_trouble_is_one_row_with_its_mend(key: str, value: object, what: str) -> None:
    assert [row.what for row in health_rows({**WELL, key: value}, 0.0) if row.mend] == [what]


def test_without_a_daemon_it_says_what_to_start(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--config", str(site), "--socket", str(site.parent / "none")]) == 1
    out = capsys.readouterr().out
    assert "ok  site file" in out
    assert "systemctl start v2g-edge" in out


def test_a_dump_has_no_vehicle_in_it(site: Path, tmp_path: Path) -> None:
    """The site file's vehicle, wherever it is named."""
    bundle = tmp_path / "dump.tar.gz"
    with daemon(site):
        assert (
            main(["dump", str(bundle), "--config", str(site), "--socket", str(site.parent / "control.sock")])
            == 0
        )
    with tarfile.open(bundle) as packed:
        texts = {
            e.name.rpartition("/")[2]: file.read().decode()
            for e in packed
            if (file := packed.extractfile(e)) is not None
        }
    assert {"about.txt", "doctor.txt", "site.toml", "health.json", "status.json", "events.json"} <= set(texts)
    assert json.loads(texts["status.json"])["site"] == "small"
    assert [name for name, text in texts.items() if "bus-1" in text] == []
    assert 'id = "vehicle-1"' in texts["site.toml"]


def test_the_longer_name_goes_first() -> None:
    assert cleaned("bus-1 bus-10", {"bus-1": "vehicle-1", "bus-10": "vehicle-2"}) == "vehicle-1 vehicle-2"


def test_an_update_that_was_taken_back_is_a_row_with_its_mend(tmp_path: Path) -> None:
    last = tmp_path / "last.json"
    assert list(update_rows(last)) == []
    last.write_text("{")
    assert list(update_rows(last)) == []
    last.write_text('{"version": "0.2.0", "tried": "9.1.0", "fault": "9.1.0 failed to start", "wall_s": 1.0}')
    (row,) = update_rows(last)
    assert row.found == "9.1.0 failed to start; 0.2.0 is back"
    assert "v2g-edge-update" in row.mend
    last.write_text('{"version": "9.0.0", "tried": "9.0.0", "fault": "", "wall_s": 1.0}')
    (row,) = update_rows(last)
    assert (row.found, row.mend) == ("9.0.0 is healthy", "")
