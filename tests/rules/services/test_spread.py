"""What a service moves, outlet by outlet: what its charger can hold, in all what was asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.rules.services.spread import Room, spread


def idle(evse: str, soh_pct: float = 100.0, wh: float = 100e3) -> Room:
    return Room(evse, 0.0, -50e3, 50e3, 4_140.0, 1_000.0, wh, wh, soh_pct)


def moved(rooms: list[Room], powers: dict[str, float]) -> float:
    return sum(each.power_w - powers.get(each.evse, each.power_w) for each in rooms)


@pytest.mark.parametrize(
    ("delta_w", "serving"), [(-4_200.0, 1), (-9_000.0, 2), (-60e3, 12), (1_500.0, 1), (12e3, 12)]
)
def test_idle_chargers_serve_in_numbers_in_which_each_can_give_its_share(
    delta_w: float, serving: int
) -> None:
    rooms = [idle(f"E{n:02}") for n in range(12)]
    powers = spread(rooms, delta_w)
    assert sum(power_w != 0.0 for power_w in powers.values()) == serving
    assert moved(rooms, powers) == pytest.approx(delta_w)


@pytest.mark.parametrize(
    ("delta_w", "given_w"), [(-3_000.0, -4_140.0), (-1_000.0, 0.0), (400.0, 0.0), (600.0, 1_000.0)]
)
def test_less_than_one_charger_can_give_becomes_the_nearest_that_it_can(
    delta_w: float, given_w: float
) -> None:
    rooms = [idle(f"E{n:02}") for n in range(12)]
    assert moved(rooms, spread(rooms, delta_w)) == pytest.approx(given_w)


def test_the_healthiest_packs_serve_first_and_of_those_alike_the_fullest() -> None:
    rooms = [idle("a", 80.0), idle("b", 97.0), idle("c", 96.0, wh=150e3), idle("d", 0.0)]
    assert [name for name, power_w in spread(rooms, 1_200.0).items() if power_w] == ["c"]
    assert sorted(name for name, power_w in spread(rooms, 2_500.0).items() if power_w) == ["b", "c"]


def test_what_one_charger_cannot_hold_is_made_up_by_those_that_can() -> None:
    """Two that charge with 20 kW: a third less of one would leave it in the gap below its least power."""
    rooms = [Room("a", 20e3, -50e3, 50e3, 15e3, 10e3), Room("b", 20e3, -50e3, 50e3, 4_000.0, 1_000.0)]
    powers = spread(rooms, 16e3)
    assert moved(rooms, powers) == pytest.approx(16e3)
    assert all(each.gives(powers[each.evse]) for each in rooms)


@st.composite
def depots(draw: st.DrawFn) -> list[Room]:
    rooms = []
    for n in range(draw(st.integers(1, 8))):
        least_in, least_out = draw(st.sampled_from([(0.0, 0.0), (4_140.0, 1_000.0)]))
        low, high = draw(st.sampled_from([(-50e3, 50e3), (0.0, 22e3), (-11e3, 11e3)]))
        power = draw(st.sampled_from([0.0, low, high, 4_140.0, 10e3]))
        rooms.append(
            Room(
                f"E{n}",
                min(power, high),
                low,
                high,
                least_in,
                least_out,
                1e5,
                1e5,
                draw(st.sampled_from([0.0, 90.0])),
            )
        )
    return rooms


@given(rooms=depots(), delta_w=st.floats(-300e3, 300e3))
def test_every_outlet_stays_within_what_it_may_and_can(rooms: list[Room], delta_w: float) -> None:
    powers = spread(rooms, delta_w)
    for each in rooms:
        power_w = powers.get(each.evse, each.power_w)
        assert each.low_w - 1e-6 <= power_w <= each.high_w + 1e-6
        assert each.gives(power_w) or power_w == each.power_w
    up_w, down_w = sum(each.up_w for each in rooms), sum(each.down_w for each in rooms)
    assert -down_w - 1e-6 <= moved(rooms, powers) <= up_w + 1e-6
