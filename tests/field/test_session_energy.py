"""A vehicle that tells no SoC and needs kWh: what it has taken since it came counts, in the need, in the
proof, and on the screen.
"""

import pytest
from msgspec.structs import replace

from tests.depot import BUS, plugged, small_evse, small_site
from v2g_edge.departure.demand import demand_of
from v2g_edge.field.board import Board
from v2g_edge.model.battery import least_soc_pct
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.site import Vehicle
from v2g_edge.model.snapshot import EvseState, Operator, Snapshot, VehicleState
from v2g_edge.rules.charging_need import TARGET_MARGIN_PCT, need_of
from v2g_edge.study.outlook import charged_of

VAN = "van-1"
NEEDS_WH = 50_000.0
EFFICIENCY = 0.94


@pytest.fixture
def board() -> Board:
    """A van of 200 kWh that needs 50 kWh each morning, at an outlet that knows its register alone."""
    site = small_site(1)
    van = Vehicle(VAN, "bus", may_discharge=False, departs="05:30", target_wh=NEEDS_WH)
    board = Board(replace(site, vehicles=(van,)), lambda: None)
    told(board, 7_000.0, 0.0)
    board.plug_in("b1", VehicleState("s1", VAN, 1e6))
    return board


def told(board: Board, register_wh: float, at_s: float) -> None:
    """The station reports its register."""
    board.update_evse("b1", energy_import_wh=Reading(register_wh, at_s))


def seen(board: Board, now_s: float) -> tuple[EvseState, Snapshot]:
    """The outlet in the picture of now."""
    picture = board.freeze(now_s, 1e6 + now_s, clock_synced=True, operator=Operator())
    return picture.evses[0], picture


def lacks_wh(state: EvseState) -> float:
    """What the rules still want for it, battery side, without their margin."""
    need = need_of(small_evse("b1"), state, BUS, 1e6 + 10.0)
    assert need is not None
    return need.energy_wh * EFFICIENCY - TARGET_MARGIN_PCT / 100.0 * BUS.capacity_wh


def test_energy_since_the_plug_counts_against_the_need(board: Board) -> None:
    """The first value within the session is the beginning; what stood there before is another's."""
    seen(board, 1.0)
    told(board, 7_500.0, 2.0)
    state, _ = seen(board, 3.0)
    assert state.vehicle is not None
    assert state.vehicle.charged_wh == Reading(0.0, 2.0)
    assert lacks_wh(state) == pytest.approx(NEEDS_WH)
    told(board, 27_500.0, 900.0)
    state, picture = seen(board, 901.0)
    assert lacks_wh(state) == pytest.approx(NEEDS_WH - 20_000.0 * EFFICIENCY)
    assert state.vehicle is not None
    demand = demand_of(0, small_evse("b1"), BUS, state.vehicle, 0.0, 50_000.0, picture)
    assert demand.soc_pct == pytest.approx(20_000.0 * EFFICIENCY / BUS.capacity_wh * 100.0)
    assert not demand.certain


def test_a_register_that_begins_anew_or_goes_makes_the_need_larger_and_never_smaller(board: Board) -> None:
    """Rule 10: a lost reading widens nothing."""
    seen(board, 1.0)
    told(board, 7_500.0, 2.0)
    seen(board, 3.0)
    told(board, 30_000.0, 900.0)
    before = lacks_wh(seen(board, 901.0)[0])
    told(board, 10.0, 1_000.0)
    state, _ = seen(board, 1_001.0)
    assert lacks_wh(state) == pytest.approx(NEEDS_WH)
    assert lacks_wh(state) > before


@pytest.mark.parametrize("jump_wh", [1_234_567.0, 2.0**32 - 1.0])
@pytest.mark.parametrize("back", [False, True], ids=["it goes on from there", "it comes back"])
def test_a_jump_that_no_outlet_carries_is_not_in_the_vehicle(
    board: Board, jump_wh: float, back: bool
) -> None:
    """A station begins with 0 and then tells the register of its whole life, or a number without a meaning:
    the van would pass for full, and leave empty.
    """
    seen(board, 1.0)
    told(board, 0.0, 2.0)
    seen(board, 3.0)
    told(board, 5_000.0, 900.0)
    before = lacks_wh(seen(board, 901.0)[0])
    told(board, jump_wh, 905.0)
    assert lacks_wh(seen(board, 906.0)[0]) == before
    told(board, (5_000.0 if back else jump_wh) + 1_000.0, 1_800.0)
    assert lacks_wh(seen(board, 1_801.0)[0]) == pytest.approx(NEEDS_WH - 6_000.0 * EFFICIENCY)


def test_another_session_begins_with_nothing(board: Board) -> None:
    """Also with the same vehicle."""
    seen(board, 1.0)
    told(board, 7_500.0, 2.0)
    seen(board, 3.0)
    told(board, 30_000.0, 900.0)
    seen(board, 901.0)
    board.plug_in("b1", VehicleState("s2", VAN, 1e6 + 902.0))
    state, _ = seen(board, 903.0)
    assert state.vehicle is not None
    assert state.vehicle.charged_wh == NO_SAMPLE


def test_a_soc_that_is_told_counts_alone() -> None:
    """With it nothing is reckoned from energy."""
    state = plugged("bus-1", 10.0, 1e6, charged_wh=Reading(90_000.0, 10.0))
    assert state.vehicle is not None
    assert least_soc_pct(state.vehicle, BUS.capacity_wh, EFFICIENCY) == 0.0


def test_people_see_kwh_of_kwh(board: Board) -> None:
    """In the list of the night, and in the answer to why."""
    seen(board, 1.0)
    told(board, 7_500.0, 2.0)
    seen(board, 3.0)
    told(board, 27_500.0, 900.0)
    state, _ = seen(board, 901.0)
    site = small_site(1)
    van = Vehicle(VAN, "bus", may_discharge=False, target_wh=NEEDS_WH)
    charged = charged_of(replace(site, vehicles=(van,)), state, 0)
    assert charged is not None
    assert charged[0] == pytest.approx(18_800.0)
    assert charged[1] == pytest.approx(NEEDS_WH)
