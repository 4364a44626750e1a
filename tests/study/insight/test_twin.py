"""The digital twin: a recorded night played again by the depot's own rules, under other terms."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.study.examples import printed

NIGHT = "--from 2026-01-13 --until 2026-01-15"


def replayed(folder: Path, *words: str) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """The ways of one night by name, and the night."""
    options = f" --journal journal.db --prices prices.csv {NIGHT} --replay --format json {' '.join(words)}"
    (night,) = json.loads(printed("whatif", options, folder))
    return {way["name"]: way for way in night["ways"]}, night


@pytest.mark.slow
def test_the_rules_lie_between_charging_as_it_comes_and_the_best_there_was(example_month: Path) -> None:
    """Under the night's own terms: every vehicle leaves charged, dearer than with hindsight, and cheaper than
    without any management; about as much is given as really was.
    """
    ways, night = replayed(example_month)
    assert ways["V2G"]["cost"] < ways["rules"]["cost"] < ways["uncontrolled"]["cost"]
    assert (night["left"], night["short"]) == (4, 0)
    assert 0.3 * ways["metered"]["out_kwh"] < ways["rules"]["out_kwh"] < 2.0 * ways["metered"]["out_kwh"]


@pytest.mark.slow
def test_other_terms_bind_the_rules(example_month: Path) -> None:
    """No export, a shallow cap, a narrow connection, small chargers: each is kept, and departures with it."""
    plain, _ = replayed(example_month)
    none, night = replayed(example_month, "--no-export")
    assert none["rules"]["out_kwh"] == none["V2G"]["out_kwh"] == 0.0
    assert night["short"] == 0
    shallow, _ = replayed(example_month, "--depth-cap", "0.05")
    assert 0.0 < shallow["rules"]["out_kwh"] < 0.5 * plain["rules"]["out_kwh"]
    narrow, night = replayed(example_month, "--connection-kw", "160")
    assert narrow["rules"]["peak_kw"] <= 160.0 < plain["rules"]["peak_kw"]
    assert night["short"] == 0
    small, _ = replayed(example_month, "--charger-kw", "20")
    assert small["rules"]["peak_kw"] < 0.6 * plain["rules"]["peak_kw"]


def test_a_replay_needs_the_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger alone does not know what the rules would have seen."""
    from tests.study.ledger.test_book import booked, hour  # noqa: PLC0415
    from v2g_edge.cli.main import main  # noqa: PLC0415

    booked(list(hour()), tmp_path / "l.db").close()
    (tmp_path / "p.csv").write_text("Datetime,Price (EUR/MWh)\n2027-01-15T00:00Z,0.1\n")
    words = ["whatif", "--ledger", str(tmp_path / "l.db"), "--prices", str(tmp_path / "p.csv"), "--replay"]
    assert main(words) == 2
    assert "--replay needs the journal: name it with --journal" in capsys.readouterr().err
