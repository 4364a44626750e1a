"""The numbers of a feeder's limits, and what each limit was seen to carry beside its chargers."""

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import GONE, NOW_S, Scene, permit, ready, with_evse, with_meter, with_site
from tests.envelope.test_feeders import context
from v2g_edge.envelope.baseload import HOLD_S, LASTS_S, held_beside, hold_bases
from v2g_edge.envelope.limits import Limit, limits_of
from v2g_edge.model.evidence import BaseMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit, DischargeBy, PhaseMap

FREE = 0.98
ON_L2 = 2
"""The place of L2 among the limits of a direction, in all first."""


def hall(current: CurrentLimit | None, power_w: float = 0.0, on_l2_w: float = 0.0) -> Scene:
    """The hall with limits per phase, its meter showing ``power_w`` in all and ``on_l2_w`` on L2."""
    scene = ready(2, 0.0)
    first = replace(scene.site.feeders[0], current=current, base_load_max_w=6_000.0, base_load_min_w=-2_000.0)
    scene = with_site(scene, feeders=(first, scene.site.feeders[1]))
    phases = (Reading(0.0, NOW_S), Reading(on_l2_w, NOW_S), Reading(0.0, NOW_S))
    return with_meter(scene, "hall-meter", power_w=Reading(power_w, NOW_S), phase_power_w=phases)


def both(scene: Scene, base_w: float = 6_000.0) -> tuple[tuple[Limit, ...], tuple[Limit, ...]]:
    charging, export = limits_of(context(scene), (base_w, 30_000.0))[0]
    return charging, export


def test_in_all_the_base_load_counts_one_way_and_the_least_of_it_the_other() -> None:
    (charging,), (export,) = both(hall(None))
    assert (charging.limit_w, charging.base_w, charging.phase) == (100_000.0 * FREE, 6_000.0, None)
    assert (export.limit_w, export.base_w) == (100_000.0 * FREE, 2_000.0), "generation takes from the export"
    assert "hall: import limit 100000 W, base load 6000 W" in charging.words
    assert "export limit" in export.words


def test_on_a_phase_the_amperes_count_at_the_voltage_there_is() -> None:
    scene = hall(CurrentLimit(100.0, 50.0, ANY_W, 10.0))
    volts = (Reading(230.0, NOW_S), Reading(220.0, NOW_S), GONE)
    charging, export = both(with_meter(scene, "hall-meter", phase_voltage_v=volts))
    assert [limit.phase for limit in charging] == [None, 0, 1, 2]
    assert [round(limit.limit_w) for limit in charging[1:]] == [22_540, 21_560, 18_032]
    assert [round(limit.base_w) for limit in charging[1:]] == [2_300, 2_200, 1_840]
    assert [round(limit.limit_w) for limit in export[1:]] == [11_270, 10_780, 9_016]
    assert "100 A import on L2 at 220 V, base load 2200 W" in charging[ON_L2].words


def test_a_base_load_that_was_not_measured_per_phase_may_hang_on_one() -> None:
    charging, export = both(hall(CurrentLimit(100.0, 50.0, ANY_W)))
    assert [limit.base_w for limit in charging[1:]] == [6_000.0] * 3
    assert [limit.base_w for limit in export[1:]] == [2_000.0] * 3


@pytest.mark.parametrize(
    ("phases", "discharge_by", "limit_w"),
    [("L1", "negative_limit", 2_254), ("L1", "none", 4_508), ("L1L2L3", "negative_limit", 4_508)],
)
def test_the_imbalance_is_of_single_phase_outlets_and_halved_where_one_can_discharge(
    phases: PhaseMap, discharge_by: DischargeBy, limit_w: int
) -> None:
    """Charging on one phase adds to discharging on another; where none can discharge, all is for charging."""
    scene = hall(CurrentLimit(100.0, 50.0, 20.0, 0.0))
    evses = [replace(evse, phases=phases, discharge_by=discharge_by) for evse in scene.site.evses]
    charging, _ = both(with_site(scene, evses=tuple(evses)))
    single = [limit for limit in charging if limit.single]
    assert [(limit.phase, round(limit.limit_w), limit.base_w) for limit in single] == [
        (phase, limit_w, 0.0) for phase in range(3)
    ]
    assert all(limit.metered is None for limit in single)
    assert all(("half for each" in limit.words) == (limit_w == 2_254) for limit in single)


def beside(scene: Scene, old: BaseMemory) -> BaseMemory:
    """One settled tick."""
    seen = context(scene)
    limits = limits_of(seen, (6_000.0, 30_000.0))
    return hold_bases(seen, (old, old), list(permit(scene).permits), limits)[0]


FUSE = CurrentLimit(100.0, 50.0, ANY_W, 10.0)
SETTLED = BaseMemory(0.0, NOW_S - 60.0)


def test_what_a_phase_carries_beside_the_chargers_is_a_peak_once_it_lasts() -> None:
    first = beside(hall(FUSE, 9_000.0, 9_000.0), SETTLED)
    assert (first.rising_w[ON_L2], first.rising_s, first.beside_w) == (9_000.0, NOW_S, ())
    young = replace(first, rising_s=NOW_S - LASTS_S + 0.1)
    assert beside(hall(FUSE, 7_000.0, 7_000.0), young).rising_w[ON_L2] == 7_000.0, "the least of it lasts"
    assert beside(hall(FUSE, 9_900.0, 9_900.0), young).beside_w == ()
    old = replace(first, rising_s=NOW_S - LASTS_S)
    held = beside(hall(FUSE, 9_900.0, 9_900.0), old)
    assert held.beside_w[ON_L2] == 9_000.0
    assert held.rising_w[ON_L2] == 9_900.0
    assert held.rising_s == NOW_S, "and the next stretch begins"


def test_a_peak_beside_the_chargers_is_never_lowered_within_its_window_and_held_one_more() -> None:
    peaks = (0.0, 0.0, 9_000.0, 0.0)
    old = replace(SETTLED, beside_w=(*peaks, *peaks), rising_w=(0.0,) * 8, rising_s=NOW_S - LASTS_S)
    assert beside(hall(FUSE), old).beside_w == old.beside_w
    over = beside(hall(FUSE), replace(old, since_s=NOW_S - HOLD_S))
    assert over.beside_before_w == old.beside_w
    assert held_beside((over,)) == (old.beside_w,)


def test_in_all_and_charging_the_base_load_itself_is_reckoned_with() -> None:
    first = beside(hall(FUSE, 50_000.0, 9_000.0), SETTLED)
    assert first.rising_w[0] == 0.0
    feeding = beside(hall(FUSE, -5_000.0, -5_000.0), SETTLED)
    assert feeding.rising_w[4] == 5_000.0, "generation beyond its bound is held in all too"
    assert feeding.rising_w[4 + ON_L2] == 5_000.0
    assert feeding.rising_w[ON_L2] == 0.0


def test_what_the_chargers_draw_is_no_base_load() -> None:
    scene = with_evse(hall(FUSE, 9_000.0, 9_000.0), 0, power_w=Reading(12_000.0, NOW_S))
    assert beside(scene, SETTLED).rising_w[ON_L2] == pytest.approx(5_000.0), "a third of it flows on L2"


def test_nothing_is_learnt_where_a_reading_is_missing_or_a_permit_has_just_moved() -> None:
    scene = hall(FUSE, 9_000.0, 9_000.0)
    assert beside(with_evse(scene, 0, power_w=GONE), SETTLED).rising_w == ()
    assert beside(scene, replace(SETTLED, moved_s=NOW_S - 5.0)).rising_w == ()
