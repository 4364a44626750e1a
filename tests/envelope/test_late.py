"""Waits of the table count time at the pace of the ticks: a slow pace is no lost time, a lost minute is."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import CommandState


@pytest.mark.parametrize(
    ("late_after_s", "tick_s", "convicted_after_s"), [(5.0, 1.0, 20.0), (20.0, 10.0, 20.0), (5.0, 10.0, 40.0)]
)
def test_a_disobedient_charger_is_convicted_at_the_pace_of_the_ticks(
    late_after_s: float, tick_s: float, convicted_after_s: float
) -> None:
    """In time lost by the controller it is not: of each ten late seconds five count."""
    site = small_site(1)
    site = replace(site, safety=replace(site.safety, late_after_s=late_after_s, obey_within_s=20.0))
    cycle, memory, since_s = Cycle(site), Memory(), 0.0
    for seq in range(1, 100):
        now_s = 100.0 + seq * tick_s
        picture = healthy(site, now_s, 1_000_000.0 + seq * tick_s, seq=seq)
        full = plugged(
            "bus-1",
            now_s,
            picture.wall_s,
            soc_pct=Reading(95.0, now_s),
            departure_wall_s=Reading(1_036_000.0, 100.0),
        )
        astray = replace(
            full,
            power_w=Reading(45_000.0, now_s),
            command=CommandState(0.0, "accepted", now_s - tick_s, now_s + 30.0),
        )
        outcome = cycle.tick(replace(picture, evses=(astray,)), None, memory)
        memory = outcome.memory
        since_s = since_s or now_s
        if any(event.kind == "disobedient" for event in outcome.events):
            assert now_s - since_s == pytest.approx(convicted_after_s, abs=2.0 * tick_s)
            return
    pytest.fail("never convicted")
