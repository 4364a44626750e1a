"""What the depot says that it could give or take: no more than it would sell, within every feeder."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.departure.test_capacity import EMPTY, UNTOUCHED, WALL_S, ask, buses, depot, sold
from v2g_edge.departure.depot import Depot
from v2g_edge.departure.flexibility import INTERVAL_S, INTERVALS, Flexibility, flexibility_of
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import NO_SAMPLE
from v2g_edge.model.snapshot import Snapshot

RATING_W = 50_000.0


def permits(place: Depot, power_w: float) -> tuple[Permit, ...]:
    bound = Bound(-RATING_W, RATING_W, "wish", "")
    return tuple(
        Permit(name, power_w, -RATING_W, RATING_W, 60.0, True, power_w, bound) for name in place.frame.ids
    )


def told(place: Depot, snapshot: Snapshot, power_w: float = 0.0, **more: Any) -> tuple[Flexibility, ...]:
    count = len(place.frame.ids)
    return flexibility_of(
        place, snapshot, permits(place, power_w), (UNTOUCHED,) * count, more.get("offers", ())
    )


@given(st.floats(0.0, 100.0), st.floats(0.0, RATING_W), st.floats(0.0, 2e5), st.floats(1_800.0, 40_000.0))
@settings(max_examples=60, deadline=None)
def test_it_is_what_would_be_sold_it_shrinks_and_feeders_hold(
    soc: float, power_w: float, export_w: float, stays_s: float
) -> None:
    place = depot(export_w=export_w)
    leaves = buses(place).evses[0].vehicle
    assert leaves is not None
    departure = replace(leaves.departure_wall_s, value=WALL_S + stays_s)
    snapshot = buses(place, soc, departure_wall_s=departure)
    rows = told(place, snapshot, power_w)
    assert len(rows) == INTERVALS
    for row in rows:
        duration_s = row.end_wall_s - WALL_S
        offer, _ = sold(place, snapshot, ask(duration_s=duration_s))
        assert row.up_w == pytest.approx(offer.total_w)
        assert row.up_wh == pytest.approx(row.up_w * duration_s / 3_600.0)
        assert row.down_w + 2 * power_w <= max(float(place.limit_w.min()), 2 * power_w) + 1e-6
        assert row.down_w <= 2 * (RATING_W - power_w) + 1e-6
        if duration_s > stays_s:
            assert row.up_w == row.down_w == 0.0
    for before, after in pairwise(rows):
        assert after.up_w <= before.up_w + 1e-6
        assert after.down_w <= before.down_w + 1e-6


def test_a_full_battery_takes_nothing_and_what_is_sold_is_not_told_again() -> None:
    place = depot()
    assert {row.down_w for row in told(place, buses(place, 100.0))} == {0.0}
    snapshot = buses(place, 80.0)
    free = told(place, snapshot)
    _, ledger = sold(place, snapshot, ask(wanted_w=20_000.0, duration_s=4 * 3_600.0), EMPTY)
    left = told(place, snapshot, offers=ledger.offers)
    assert all(0.0 <= row.up_w < before.up_w for row, before in zip(left, free, strict=True))
    assert free[0].end_wall_s % INTERVAL_S == 0


@pytest.mark.parametrize("field", ["soc_pct", "departure_wall_s"])
def test_a_reading_taken_away_adds_nothing(field: str) -> None:
    place = depot()
    known = told(place, buses(place, 60.0))
    less = told(place, buses(place, 60.0, **{field: NO_SAMPLE}))
    for before, after in zip(known, less, strict=True):
        assert after.up_w <= before.up_w
        assert after.down_w <= before.down_w
    assert less[-1].up_w == less[-1].down_w == 0.0
