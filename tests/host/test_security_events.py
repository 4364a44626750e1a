"""Security events are counted, also those that the log leaves out, with the time until each was told."""

import re
from pathlib import Path

import pytest
import structlog

from v2g_edge.connection_limits import TELL_S, ConnectionLimiter
from v2g_edge.host.loglimit import LogLimit
from v2g_edge.security_events import SECURITY_EVENTS, SecurityEvents

SOURCES = [path.read_text(encoding="utf-8") for path in Path("v2g_edge").rglob("*.py")]


class Silent:
    def put_out(self) -> None:
        return None


@pytest.mark.parametrize("name", SECURITY_EVENTS)
def test_every_one_is_a_line_that_is_written_and_stands_on_its_page(name: str) -> None:
    """A name that nobody writes would never be counted."""
    assert any(re.search(rf'\.(info|warning|error)\(\s*"{name}"', text) for text in SOURCES), name
    assert f"`{name}`" in Path("docs/security.md").read_text(encoding="utf-8")


def test_lines_of_this_kind_are_counted_and_others_pass() -> None:
    seen = SecurityEvents()
    for _ in range(3):
        entry = {"event": "station_refused", "peer": "10.0.0.9"}
        assert seen(None, "warning", dict(entry)) == entry
    seen(None, "info", {"event": "station_connected"})
    assert seen.counts == {"station_refused": 3}
    assert seen.slowest_s == {"station_refused": 0.0}


@pytest.mark.parametrize("dials", [2_000, 4_000])
def test_a_flood_of_dials_is_told_within_ten_seconds_of_its_first(dials: int) -> None:
    keeper, seen = ConnectionLimiter(0), SecurityEvents()
    with structlog.testing.capture_logs() as told:
        for n in range(dials):
            keeper.enters(Silent(), "10.0.0.9", 100.0 + 30.0 * n / dials)  # type: ignore[arg-type]
    for entry in told:
        seen(None, "warning", entry)
    assert seen.counts["connections_turned_away"] >= 2
    assert 0.0 < seen.slowest_s["connections_turned_away"] <= TELL_S + 1.0


def test_a_flood_of_lines_is_told_within_ten_seconds_of_its_first() -> None:
    now = [100.0]
    limit, seen = LogLimit(lambda: now[0]), SecurityEvents()
    with structlog.testing.capture_logs() as told:
        for _ in range(30_000):
            now[0] += 0.001
            try:
                limit(None, "info", {"event": "x", "peer": "10.0.0.9", "text": "y" * 500})
            except structlog.DropEvent:
                continue
    for entry in told:
        seen(None, "warning", entry)
    assert seen.counts["log_lines_left_out"] >= 2
    assert seen.slowest_s["log_lines_left_out"] <= 11.0
