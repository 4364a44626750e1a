"""`v2g-edge capacity` against a running daemon, and against one that was killed in between."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import daemon
from v2g_edge.cli.live.capacity import lines_of
from v2g_edge.cli.main import main


def test_the_daemon_answers_refuses_and_keeps_its_ledger_over_a_kill(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is plugged in there, so nothing can be sold; what an earlier life sold still stands."""
    control, ledger = str(site.parent / "control.sock"), site.parent / "state" / "offers.json"
    with daemon(site, "--clock-start", "2026-01-05T12:00:00+00:00"):
        assert main(["capacity", "--socket", control]) == 0
        assert "could be sold: +0.0 kW" in capsys.readouterr().out
        assert (
            main(["capacity", "--socket", control, "book", "r1", "--service", "reserve", "--kw", "10"]) == 1
        )
        assert "nothing booked as r1" in capsys.readouterr().out
        assert main(["capacity", "--socket", control, "cancel", "r1"]) == 2
        assert "nothing is booked as 'r1'" in capsys.readouterr().err
        assert main(["capacity", "--minutes", "9999", "--socket", control]) == 2
        assert "at most 86400" in capsys.readouterr().err
    offer = {"request": "r0", "service": "reserve", "until_wall_s": 4e9, "evse_w": [["b1", 5000.0]]}
    ledger.write_text(json.dumps({"offers": [offer]}))
    with daemon(site, "--clock-start", "2026-01-05T12:00:00+00:00"):
        assert main(["capacity", "--json", "--socket", control]) == 0
        assert [each["id"] for each in json.loads(capsys.readouterr().out)["open"]] == ["r0"]
        assert main(["capacity", "--socket", control, "cancel", "r0"]) == 0
    assert json.loads(ledger.read_text().partition("\n#crc32")[0])["offers"] == []
    assert os.listdir(ledger.parent).count("offers.json") == 1


def test_bookings_stand_in_a_table() -> None:
    offer = {
        "id": "r1",
        "service": "reserve",
        "until_wall_s": 1_000.0,
        "power_w": 30_000.0,
        "evse_w": {"b1": 30_000.0},
    }
    lines = lines_of({"offer": offer, "booked": True, "open": [offer]}, "book")
    assert lines[0].startswith("booked as r1: +30.0 kW of export until ")
    assert lines[-1].split()[:3] == ["r1", "reserve", "+30.0"]
