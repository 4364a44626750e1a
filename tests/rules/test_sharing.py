"""Too little for all: the urgent first, the rest evenly, never more than a feeder has."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import small_evse, small_site
from v2g_edge.model.site import Site
from v2g_edge.model.wish import Wish
from v2g_edge.rules.sharing import charge_limit, export_limit, share_power


def _site(evses: int, hall_w: float) -> Site:
    site = small_site(evses)
    hall = replace(site.feeders[0], import_limit_w=hall_w, export_limit_w=hall_w)
    return replace(site, feeders=(hall, site.feeders[1]), evses=tuple(small_evse(f"b{i}") for i in range(1, evses + 1)))


def _wishes(powers: list[tuple[float, float]]) -> dict[str, Wish]:
    return {f"b{i}": Wish(f"b{i}", power_w, urgency, "test") for i, (power_w, urgency) in enumerate(powers, 1)}


def test_enough_for_all_changes_nothing() -> None:
    asked = _wishes([(40_000.0, 0.1), (-20_000.0, 0.0)])
    assert share_power(_site(2, 100_000.0), asked) == asked


def test_the_urgent_take_what_they_need_and_the_rest_share_evenly() -> None:
    shared = share_power(_site(4, 100_000.0), _wishes([(50_000.0, 2.0), (50_000.0, 0.1), (50_000.0, 0.2), (10_000.0, 0.3)]))
    assert [round(shared[f"b{i}"].power_w) for i in (1, 2, 3, 4)] == [50_000, 19_000, 19_000, 10_000]


def test_nobody_gets_less_than_its_charger_can_do_unless_it_gets_nothing() -> None:
    shared = share_power(_site(8, 20_000.0), _wishes([(50_000.0, 0.1 * i) for i in range(8)]))
    powers = [wish.power_w for wish in shared.values()]
    assert all(power_w == 0.0 or power_w >= 4_000.0 - 1e-6 for power_w in powers)
    assert sum(powers) > 15_000.0


powers = st.lists(st.tuples(st.floats(-50_000, 50_000), st.floats(0, 3)), min_size=1, max_size=8)


@given(asked=powers, hall_w=st.floats(0, 300_000))
def test_no_feeder_is_asked_for_more_than_it_has_and_no_wish_grows(asked: list[tuple[float, float]], hall_w: float) -> None:
    site = _site(len(asked), hall_w)
    wishes = _wishes(asked)
    shared = share_power(site, wishes)
    for feeder in site.feeders:
        assert sum(max(wish.power_w, 0.0) for wish in shared.values()) <= charge_limit(site, feeder) + 1e-3
        assert sum(max(-wish.power_w, 0.0) for wish in shared.values()) <= export_limit(site, feeder) + 1e-3
    for evse, wish in shared.items():
        assert abs(wish.power_w) <= abs(wishes[evse].power_w) + 1e-6
        assert wish.power_w * wishes[evse].power_w >= 0.0


@given(asked=powers)
def test_the_order_of_the_wishes_does_not_matter(asked: list[tuple[float, float]]) -> None:
    site = _site(len(asked), 60_000.0)
    wishes = _wishes(asked)
    backwards = dict(reversed(wishes.items()))
    there, back = share_power(site, wishes), share_power(site, backwards)
    assert all(abs(there[evse].power_w - back[evse].power_w) < 1e-6 for evse in wishes)
