"""`v2g-edge events`: by time and by name."""

import argparse
from typing import Any

import pytest

from v2g_edge.cli.live.events import chosen
from v2g_edge.cli.outcome import CommandError

EVENTS: list[dict[str, Any]] = [
    {
        "wall_s": 1_000.0,
        "subject": "E01",
        "kind": "charger_silent",
        "severity": "alarm",
        "text": "silent for 31 s",
    },
    {
        "wall_s": 2_000.0,
        "subject": "E02",
        "kind": "departure_short",
        "severity": "alarm",
        "text": "VAN-07 lacks 3 kWh",
    },
    {"wall_s": 3_000.0, "subject": "site", "kind": "clock", "severity": "info", "text": "set"},
]


def asked(**words: str) -> list[float]:
    arguments = argparse.Namespace(**({"since": None, "until": None, "vehicle": None} | words))
    return [event["wall_s"] for event in chosen(EVENTS, "Europe/Berlin", arguments)]


def test_a_span_of_time_is_chosen() -> None:
    """Ends included."""
    assert asked(since="1970-01-01T00:30:00+00:00") == [2_000.0, 3_000.0]
    assert asked(since="1970-01-01T01:30:00") == [2_000.0, 3_000.0], "without an offset it is the site's time"
    assert asked(until="1970-01-01T00:33:20+00:00") == [1_000.0, 2_000.0]


def test_a_name_is_found_as_subject_and_in_the_words() -> None:
    """Whole names only, whatever their case."""
    assert asked(vehicle="e01") == [1_000.0]
    assert asked(vehicle="van-07") == [2_000.0]
    assert asked(vehicle="VAN-0") == []


def test_a_time_that_is_none_is_refused() -> None:
    """With an example."""
    with pytest.raises(CommandError, match="write it like"):
        asked(since="yesterday")
