"""The room that bounds leave: each of its numbers is what its own bounds leave."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.power_range import ASKED_RULES, PASSING_RULES, SHARED_RULES, room
from v2g_edge.model.limits import ANY_W, Bound

RULES = (
    "charger_rating",
    "soc_low",
    "soc_high",
    "sustained_load",
    "charger_silent",
    "link_quality",
    "quarantine",
)
SHARED = ("meter_silent", "grid_fault", "feeder_import", "feeder_export", "no_vehicle")
POWERS = st.sampled_from([0.0, 1_000.0, 22_000.0, ANY_W])
BOUNDS = st.lists(
    st.builds(
        lambda low_w, high_w, rule: Bound(-low_w, high_w, rule, "why"),
        POWERS,
        POWERS,
        st.sampled_from(RULES + SHARED),
    ),
    max_size=8,
)


def least_max_w(bounds: list[Bound], without: frozenset[str]) -> float:
    return min([bound.max_w for bound in bounds if bound.rule not in without], default=ANY_W)


@given(bounds=BOUNDS)
@settings(max_examples=300, deadline=None)
def test_each_number_is_what_its_own_bounds_leave(bounds: list[Bound]) -> None:
    left = room(bounds)
    assert left.low_w == max([bound.min_w for bound in bounds], default=-ANY_W)
    assert left.high_w == least_max_w(bounds, frozenset())
    assert left.cap_w == least_max_w(bounds, SHARED_RULES)
    assert left.rate_w == least_max_w(bounds, PASSING_RULES)
    assert left.out_w == -max([b.min_w for b in bounds if b.rule not in ASKED_RULES], default=-ANY_W)


@given(bounds=BOUNDS, more=BOUNDS)
@settings(max_examples=200, deadline=None)
def test_no_further_bound_widens_any_of_them(bounds: list[Bound], more: list[Bound]) -> None:
    before, after = room(bounds), room(bounds + more)
    assert before.low_w <= after.low_w <= 0.0 <= after.high_w <= before.high_w
    assert after.cap_w <= before.cap_w
    assert after.rate_w <= before.rate_w
    assert after.out_w <= before.out_w


@pytest.mark.parametrize(
    ("rule", "caps", "rates", "exports"),
    [
        ("soc_high", True, True, True),
        ("charger_faulted", True, False, True),
        ("soc_not_reckoned", True, False, True),
        ("quarantine", True, False, True),
        ("sustained_load", True, False, True),
        ("departure_certificate", True, True, False),
        ("enter_service_ramp", True, True, False),
        ("unproven_discharge", True, True, False),
        ("meter_frozen", False, False, False),
        ("operator_stop", False, False, False),
        ("feeder_export", False, False, False),
    ],
)
def test_what_a_rule_counts_for(rule: str, caps: bool, rates: bool, exports: bool) -> None:
    """``caps``: for what concerns the outlet alone; ``rates``: for hours; ``exports``: for its share."""
    left = room([Bound(-9_000.0, 9_000.0, "charger_rating", "plate"), Bound(-1.0, 1.0, rule, "why")])
    assert (left.low_w, left.high_w) == (-1.0, 1.0)
    assert (left.cap_w == 1.0, left.rate_w == 1.0, left.out_w == 1.0) == (caps, rates, exports)


def test_every_row_that_looks_at_more_than_an_outlet_is_shared() -> None:
    assert {row.id for row in ROWS if row.scope != "evse"} <= SHARED_RULES
    assert not {row.id for row in ROWS if row.scope == "evse"} & SHARED_RULES
    assert SHARED_RULES < PASSING_RULES
    assert SHARED_RULES < ASKED_RULES
