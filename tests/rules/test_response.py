"""A response is offered out of what is left, never out of what somebody charges with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from v2g_edge.model.frame import Frame, frame_of
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.response import offer_response
from v2g_edge.rules.sharing import charge_limit, export_limit
from v2g_edge.rules.wishes import propose_all


def armed(evses: int, droop_w: float = 20_000.0, **hall: Any) -> Frame:
    """Outlets b1, b2, ... that give ``droop_w``; ``hall`` changes their feeder."""
    site = small_site(evses)
    feeder = replace(site.feeders[0], **hall)
    armed = tuple(small_evse(f"b{i}", droop_w=droop_w, discharge_by="setpoint") for i in range(1, evses + 1))
    return frame_of(replace(site, evses=armed, feeders=(feeder, site.feeders[1])))


def offered(
    frame: Frame, *powers_w: float, urgency: float = 0.0, snapshot: Snapshot | None = None
) -> list[float]:
    wishes = {f"b{i}": Wish(f"b{i}", power_w, urgency, "test") for i, power_w in enumerate(powers_w, 1)}
    seen = snapshot or healthy(frame.site)
    given = offer_response(frame, seen, wishes, frame.tree.base_max_w)
    assert [given[evse].power_w for evse in wishes] == list(powers_w), "a setpoint is never moved"
    return [given[evse].droop_w for evse in wishes]


def test_who_is_armed_and_has_room_offers_all() -> None:
    assert offered(armed(2), 0.0, 10_000.0) == [20_000.0, 20_000.0]
    assert offered(armed(2, droop_w=0.0), 0.0, 10_000.0) == [0.0, 0.0]


def test_the_rating_bounds_both_ends() -> None:
    assert offered(armed(2), 40_000.0, -45_000.0) == [10_000.0, 5_000.0]


@pytest.mark.parametrize("side", ["import_limit_w", "export_limit_w"])
def test_feeders_bound_the_sum_and_the_first_comes_first(side: str) -> None:
    assert offered(armed(3, **{side: 30_000.0}), 0.0, 0.0, 0.0) == pytest.approx([20_000.0, 9_400.0, 0.0])


def test_down_to_nothing_a_droop_takes_no_room_of_the_other_side() -> None:
    assert offered(armed(1, export_limit_w=0.0), 15_000.0) == [15_000.0]
    assert offered(armed(2, import_limit_w=20_000.0), 19_600.0, -15_000.0) == [0.0, 15_000.0]


def test_who_must_charge_now_and_who_is_not_proven_offers_nothing() -> None:
    frame = armed(1)
    assert offered(frame, 0.0, urgency=1.0) == [0.0]
    snapshot = healthy(frame.site)
    unproven = replace(snapshot, evses=(replace(snapshot.evses[0], proven_discharge=False),))
    assert offered(frame, 0.0, snapshot=unproven) == [0.0]


def test_while_a_departure_is_short_nothing_is_offered() -> None:
    frame = armed(1)
    full = healthy(frame.site)
    vehicle = full.evses[0].vehicle
    assert vehicle is not None
    idle = replace(
        full, evses=(replace(full.evses[0], vehicle=replace(vehicle, soc_pct=Reading(95.0, 100.0))),)
    )
    assert propose_all(frame, idle, None)[0]["b1"].droop_w == 20_000.0
    assert propose_all(frame, idle, None, {"b1": 5_000.0})[0]["b1"].droop_w == 0.0


@given(
    powers_w=st.lists(st.floats(-8_000.0, 8_000.0), min_size=1, max_size=6),
    limit_w=st.floats(50_000.0, 150_000.0),
)
def test_all_ends_together_fit_what_the_feeders_leave(powers_w: list[float], limit_w: float) -> None:
    frame = armed(len(powers_w), import_limit_w=limit_w, export_limit_w=limit_w)
    droops_w = offered(frame, *powers_w)
    for node, base_w in enumerate(frame.tree.base_max_w):
        tops_w = sum(max(w + d, 0.0) for w, d in zip(powers_w, droops_w, strict=True))
        bottoms_w = sum(max(d - w, 0.0) for w, d in zip(powers_w, droops_w, strict=True))
        assert tops_w <= charge_limit(frame, node, base_w) + 1e-3
        assert bottoms_w <= export_limit(frame, node) + 1e-3


def test_what_an_exporting_outlet_offers_counts_once_beside_its_export() -> None:
    """Two that export 10 kW each on 30 kW: 5 kW more of each is all there is."""
    frame = armed(2, droop_w=5_000.0, export_limit_w=30_000.0 / 0.98)
    assert offered(frame, -10_000.0, -10_000.0) == [5_000.0, 5_000.0]
