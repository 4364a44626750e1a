"""After a power cut all stations boot at once: so many are taken, the others wait a while, each a
different one.
"""

import pytest

from v2g_edge.field.ocpp.wire.boot_throttle import (
    BOOTS_MAX,
    OWN_MAX,
    SPREAD_S,
    WAIT_S,
    WINDOW_S,
    BootThrottle,
)


def test_an_ordinary_day_keeps_nobody_waiting() -> None:
    storm = BootThrottle()
    assert [storm.pending_s(f"s{n}", 1.01 * n * WINDOW_S / BOOTS_MAX) for n in range(5 * BOOTS_MAX)] == [
        0
    ] * 5 * BOOTS_MAX


def test_those_that_wait_take_no_place_and_all_are_taken_when_they_come_back() -> None:
    storm, waiting, now_s, boots = BootThrottle(), [f"CS{n:04}" for n in range(4 * BOOTS_MAX)], 0.0, 0
    while waiting:
        told = {name: storm.pending_s(name, now_s) for name in waiting}
        boots += len(waiting)
        assert list(told.values()).count(0) <= BOOTS_MAX
        waiting = [name for name, wait_s in told.items() if wait_s]
        assert all(WAIT_S <= wait_s < WAIT_S + SPREAD_S for wait_s in told.values() if wait_s)
        now_s += WINDOW_S
    assert boots == BOOTS_MAX * (4 + 3 + 2 + 1)


def test_a_station_is_told_the_same_wait_every_time_and_its_neighbours_others() -> None:
    storm = BootThrottle()
    for n in range(BOOTS_MAX):
        storm.pending_s(f"s{n}", 0.0)
    waits = [storm.pending_s(f"CS{n}", 1.0) for n in range(200)]
    assert waits == [storm.pending_s(f"CS{n}", 2.0) for n in range(200)]
    assert len(set(waits)) == SPREAD_S, "no second storm"


@pytest.mark.parametrize("boots", [100, 200])
@pytest.mark.parametrize("hostile", [1, 5])
def test_e6_boot_quota(boots: int, hostile: int) -> None:
    """Stations that boot without end use up their own quota, and the next one is accepted."""
    storm = BootThrottle()
    for station in range(hostile):
        told = [storm.pending_s(f"loud{station}", n / boots) for n in range(boots)]
        assert told.count(0) == OWN_MAX
    assert storm.pending_s("quiet", 1.0) == 0
    assert storm.pending_s("loud0", WINDOW_S + 1.0) == 0, "and it is heard again"
