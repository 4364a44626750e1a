"""Case E10: nobody makes the log turn over, and what was left out is counted."""

from typing import Any

import pytest
import structlog

from v2g_edge.host.loglimit import (
    ALL_BURST,
    ALL_PER_S,
    SOURCE_BURST,
    SOURCE_PER_S,
    SOURCES_MAX,
    TELL_S,
    VALUE_MAX,
    LogLimit,
)


class Log:
    """What is left of lines that come at given times."""

    def __init__(self) -> None:
        self.now = 100.0
        self.limit = LogLimit(lambda: self.now)
        self.written: list[dict[str, Any]] = []

    def line(self, event: str, method: str = "info", **keys: Any) -> bool:
        try:
            self.written.append(dict(self.limit(None, method, {"event": event, **keys})))
        except structlog.DropEvent:
            return False
        return True

    def characters(self) -> int:
        return sum(len(str(entry)) for entry in self.written)


@pytest.mark.parametrize("per_s", [1_460, 5_800, 11_600])
@pytest.mark.parametrize("source", ["peer", "station", "subject"])
def test_e10_log_flood(per_s: int, source: str) -> None:
    """One source, at the rates of the case and doubled, for a minute."""
    log = Log()
    with structlog.testing.capture_logs() as told:
        for n in range(60 * per_s):
            log.now += 1.0 / per_s
            log.line("station_refused", **{source: "10.0.0.9", "why": f"no station {n!r} in the site file"})
    assert log.characters() <= 3 * (SOURCE_BURST + 60.0 * SOURCE_PER_S)
    assert sum(entry["in_all"] for entry in told) >= 60 * per_s - len(log.written) - TELL_S * per_s - per_s
    assert {entry["most_by"] for entry in told} == {f"{source} 10.0.0.9"}


@pytest.mark.parametrize("sources", [500, 1_000])
def test_e10_many_sources_together_have_an_end_too(sources: int) -> None:
    """Ten lines a second of each."""
    log = Log()
    for _ in range(100):
        log.now += 0.1
        for n in range(sources):
            log.line("station_payload_odd", station=f"CP{n}", problems="x" * 500)
    assert log.characters() <= 2 * (ALL_BURST + 10.0 * ALL_PER_S)


@pytest.mark.parametrize("size", [860_000, 1_720_000])
def test_e10_a_line_has_an_end(size: int) -> None:
    """Whatever its values are."""
    log = Log()
    for value in ("x" * size, ["y" * size], {"z": "z" * size}, 10 ** (size // 100)):
        assert log.line("station_odd", station="CP1", value=value)
    assert all(len(str(entry["value"])) < VALUE_MAX + 100 for entry in log.written)


def test_other_sources_and_ours_are_heard_while_one_floods() -> None:
    log = Log()
    for _ in range(10_000):
        log.line("station_refused", peer="10.0.0.9", why="w" * 100)
    assert log.line("station_refused", peer="10.0.0.10", why="w")
    assert log.line("started", site="depot")
    assert log.line("transaction_store_failed", "error", peer="10.0.0.9"), "errors have a share of their own"


def test_a_source_that_was_quiet_is_heard_again() -> None:
    log = Log()
    for _ in range(10_000):
        log.line("station_refused", peer="10.0.0.9", why="w" * 100)
    assert not log.line("station_refused", peer="10.0.0.9")
    log.now += 5.0
    assert log.line("station_refused", peer="10.0.0.9")


def test_sources_without_number_do_not_make_it_grow() -> None:
    log = Log()
    for n in range(3 * SOURCES_MAX):
        log.now += 1.0
        log.line("station_refused", peer=f"fe80::{n:x}")
    assert len(log.limit._sources) == SOURCES_MAX


def test_what_is_short_stays_as_it_is() -> None:
    log = Log()
    fault = ValueError("x")
    log.line("any", station="CP1", n=1, f=1.5, b=True, none=None, text="a", rows=[1], fault=fault)
    (entry,) = log.written
    assert entry == {
        "event": "any", "station": "CP1", "n": 1, "f": 1.5, "b": True, "none": None, "text": "a", "rows": [1],
        "fault": fault,
    }  # fmt: skip
