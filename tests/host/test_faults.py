"""A loop that stands still says where."""

import time

import pytest
from structlog.testing import capture_logs

from v2g_edge.host import faults
from v2g_edge.host.faults import StallWatch

LIMIT_LOOKS = 10_000


def stand_still(watch: StallWatch) -> None:
    """Until the watch has noticed."""
    for _ in range(LIMIT_LOOKS):
        if watch.stalls:
            return
        time.sleep(0.001)  # what a blocking call does to the loop
    raise AssertionError("nobody noticed")


async def test_a_stall_is_written_down_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "LOOK_S", 0.01)
    watch = StallWatch()
    with capture_logs() as lines:
        watch.start()
        stand_still(watch)
        watch.stop()
    assert lines[0]["event"] == "loop_stalled"
    assert "stand_still" in lines[0]["stack"]


async def test_a_watch_that_is_stopped_counts_nothing() -> None:
    watch = StallWatch()
    watch.start()
    watch.stop()
    assert watch.stalls == 0
    assert watch._ended.is_set()
