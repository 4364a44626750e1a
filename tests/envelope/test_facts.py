"""What readings become: worst cases where they are missing, and what time makes of them."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
    next_tick,
    permit,
    ready,
    with_evse,
    with_kind,
    with_memory,
    with_meter,
    with_site,
    with_snapshot,
    with_vehicle,
)
from tests.envelope.test_feeders import context, outlets
from v2g_edge.envelope.facts import TURN_W, TURN_WINDOW_S, Outlet, observe
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.evidence import EvseMemory, MeterMemory
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import Link, TemperatureState

DAY_S = 86_400.0


def first(scene: Scene) -> Outlet:
    return context(scene).outlets[0]


def observed(scene: Scene, dt_s: float = 1.0) -> EnvelopeMemory:
    return observe(frame_of(scene.site), scene.snapshot, scene.memory, dt_s)


def evse(scene: Scene, dt_s: float = 1.0) -> EvseMemory:
    return observed(scene, dt_s).evses[0]


def aged(value: float, age_s: float) -> Reading:
    return Reading(value, NOW_S - age_s)


@pytest.mark.parametrize(
    ("power", "metered", "power_w"),
    [
        (aged(5_000.0, 0.0), True, 5_000.0),
        (aged(5_000.0, 30.0), True, 5_000.0),
        (aged(5_000.0, 30.1), False, 0.0),
        (aged(5_000.0, -0.1), False, 0.0),
        (GONE, False, 0.0),
    ],
)
def test_power_is_metered_while_it_is_fresh(power: Measured, metered: bool, power_w: float) -> None:
    outlet = first(with_evse(ready(), power_w=power))
    assert (outlet.metered, outlet.power_w) == (metered, power_w)


def test_an_idle_outlet_that_listens_is_at_nothing_without_a_meter() -> None:
    idle = with_evse(ready(), vehicle=None, power_w=GONE)
    assert first(idle).metered
    assert first(with_evse(idle, power_w=Reading(7.0, NOW_S))).power_w == 7.0
    deaf = with_evse(idle, link=Link(False, True, NOW_S))
    assert not first(deaf).metered


@pytest.mark.parametrize(
    ("link", "listens"),
    [
        (Link(True, True, NOW_S), True),
        (Link(True, True, NOW_S - 30.0), True),
        (Link(True, True, NOW_S - 30.1), False),
        (Link(True, True, NOW_S + 0.1), False),
        (Link(False, True, NOW_S), False),
    ],
)
def test_a_charger_listens_while_it_is_connected_and_was_heard(link: Link, listens: bool) -> None:
    assert first(with_evse(ready(), link=link)).listens == listens


def test_a5_unknown_soc_is_no_number_and_unknown_temperatures_are_at_their_limit() -> None:
    assert first(ready(2, 0.0)).soc_pct == 80.0
    assert first(with_vehicle(ready(), soc_pct=GONE)).soc_pct is None
    assert first(with_vehicle(ready(), soc_pct=aged(80.0, 300.1))).soc_pct is None
    assert first(with_vehicle(ready(), soc_pct=aged(80.0, -0.1))).soc_pct is None
    assert first(with_vehicle(ready(2, 0.0), soc_pct=Reading(0.0, NOW_S))).soc_pct == 0.0, (
        "a SoC like any other"
    )
    assert first(ready()).pack_c == 20.0
    assert first(with_vehicle(ready(), pack_c=GONE)).pack_c == 50.0
    assert first(with_vehicle(ready(), pack_c=aged(20.0, 120.1))).pack_c == 50.0
    assert first(with_vehicle(ready(), vehicle="stranger", pack_c=GONE)).pack_c == ANY_W
    assert first(ready()).loop_c == -ANY_W
    looped = outlets(ready(), cooling_loop="loop")
    assert first(looped).loop_c == 25.0
    old = TemperatureState(Link(True, True, NOW_S), aged(25.0, 120.1))
    assert first(with_snapshot(looped, temperatures=(old,))).loop_c == 55.0


def test_who_is_plugged_in_is_looked_up() -> None:
    known, stranger, nobody = (
        first(ready()),
        first(with_vehicle(ready(), vehicle="x")),
        first(with_evse(ready(), vehicle=None)),
    )
    assert known.known is not None
    assert known.known.id == "bus-1"
    assert known.kind is not None
    assert known.kind.id == "bus"
    assert (stranger.known, stranger.kind) == (None, None)
    assert (nobody.known, nobody.kind, nobody.soc_pct, nobody.taken_pct) == (None, None, None, 0.0)


def test_the_grid_meter_must_say_everything_and_others_their_power() -> None:
    assert [meter.alive for meter in context(ready()).meters] == [True, True]
    for field, value in (
        ("frequency_hz", GONE),
        ("power_w", aged(0.0, 2.1)),
        ("phase_voltage_v", (GONE,) * 3),
    ):
        changes: dict[str, Any] = {field: value}
        assert not context(with_meter(ready(), "grid", **changes)).meters[0].alive
    assert context(with_meter(ready(), "hall-meter", frequency_hz=GONE)).meters[1].alive
    assert not context(with_meter(ready(), "hall-meter", power_w=GONE)).meters[1].alive


def hall(scene: Scene) -> Any:
    return context(scene).meters[1]


def test_a_charger_may_be_anywhere_between_its_meter_and_its_permit() -> None:
    scene = ready(2, 0.0)
    moving = with_memory(with_evse(scene, power_w=Reading(20_000.0, NOW_S)), power_w=40_000.0)
    for hall_w, odd in ((16_500.0, False), (16_400.0, True), (143_500.0, False), (143_600.0, True)):
        assert (hall(with_meter(moving, "hall-meter", power_w=Reading(hall_w, NOW_S))).odd != "") == odd, (
            hall_w
        )
    for hall_w, beyond in ((43_500.0, False), (43_600.0, True)):
        assert hall(with_meter(moving, "hall-meter", power_w=Reading(hall_w, NOW_S))).beyond == beyond
    lost = with_evse(moving, power_w=GONE)
    for hall_w, odd in ((-53_400.0, False), (-53_600.0, True), (153_400.0, False), (153_600.0, True)):
        assert (hall(with_meter(lost, "hall-meter", power_w=Reading(hall_w, NOW_S))).odd != "") == odd, hall_w
    assert not hall(lost).sure
    assert hall(moving).sure


def test_a_silent_meter_contradicts_nobody() -> None:
    assert hall(with_meter(ready(2, 0.0), "hall-meter", power_w=GONE)).odd == ""


def turned(old: MeterMemory | None, power_w: float, chargers_w: float) -> MeterMemory | None:
    """What the hall's meter remembers when it shows ``power_w`` and b1 draws ``chargers_w``."""
    scene = with_evse(ready(2, 0.0), power_w=Reading(chargers_w, NOW_S))
    scene = with_meter(scene, "hall-meter", power_w=Reading(power_w, NOW_S))
    memory: MeterMemory | None = hall(scene._replace(memory=replace(scene.memory, meters=(None, old)))).memory
    return memory


THEN_S = NOW_S - TURN_WINDOW_S


def test_a_meter_that_goes_with_its_chargers_forgets_what_was_against_it() -> None:
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 2), 20_000.0, 20_000.0) == MeterMemory(
        NOW_S, 20_000.0, 20_000.0, 0
    )


def test_a_meter_that_goes_against_its_chargers_is_counted() -> None:
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 1), -20_000.0, 20_000.0) == MeterMemory(
        NOW_S, -20_000.0, 20_000.0, 2
    )
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 1), -10_000.0, 20_000.0) == MeterMemory(
        NOW_S, -10_000.0, 20_000.0, 2
    )
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 1), -10_000.0, TURN_W) == MeterMemory(
        NOW_S, -10_000.0, TURN_W, 2
    )


def test_small_moves_say_nothing() -> None:
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 1), -20_000.0, TURN_W - 1.0) == MeterMemory(
        NOW_S, -20_000.0, TURN_W - 1.0, 1
    )
    assert turned(MeterMemory(THEN_S, 0.0, 0.0, 1), -9_999.0, 20_000.0) == MeterMemory(
        NOW_S, -9_999.0, 20_000.0, 1
    )


def test_a_window_is_not_judged_before_it_is_over_nor_when_it_is_too_old() -> None:
    young = MeterMemory(THEN_S + 0.1, 0.0, 0.0, 1)
    assert turned(young, -20_000.0, 20_000.0) == young
    begun = MeterMemory(NOW_S, 0.0, 0.0, 1)
    assert turned(begun, -20_000.0, 20_000.0) == begun
    stale = MeterMemory(NOW_S - 2.0 * TURN_WINDOW_S - 0.1, 0.0, 0.0, 1)
    assert turned(stale, -20_000.0, 20_000.0) == MeterMemory(NOW_S, -20_000.0, 20_000.0, 1)
    at_last = MeterMemory(NOW_S - 2.0 * TURN_WINDOW_S, 0.0, 0.0, 1)
    assert turned(at_last, -20_000.0, 20_000.0) == MeterMemory(NOW_S, -20_000.0, 20_000.0, 2)
    ahead = MeterMemory(NOW_S + 0.1, 0.0, 0.0, 1)
    assert turned(ahead, -20_000.0, 20_000.0) == MeterMemory(NOW_S, -20_000.0, 20_000.0, 1)
    assert turned(None, 5.0, 7.0) == MeterMemory(NOW_S, 5.0, 7.0, 0)


def test_ten_kilowatts_over_a_quarter_of_a_minute_are_a_move() -> None:
    assert turned(MeterMemory(NOW_S - 15.0, 0.0, 0.0, 1), -10_000.0, 10_000.0) == MeterMemory(
        NOW_S, -10_000.0, 10_000.0, 2
    )


def test_a_move_is_also_a_twentieth_of_a_great_feeder() -> None:
    def against(chargers_w: float) -> int:
        scene = with_evse(ready(2, 0.0), power_w=Reading(chargers_w, NOW_S))
        first_, second = scene.site.feeders
        wide = (replace(first_, import_limit_w=400_000.0, export_limit_w=400_000.0), second)
        scene = with_meter(with_site(scene, feeders=wide), "hall-meter", power_w=Reading(-40_000.0, NOW_S))
        kept = hall(
            scene._replace(memory=replace(scene.memory, meters=(None, MeterMemory(THEN_S, 0.0, 0.0, 1))))
        ).memory
        assert kept is not None
        return int(kept.against)

    assert (against(19_999.0), against(20_000.0)) == (1, 2)


def test_the_slowest_charger_sets_the_window_and_one_that_hardly_reports_tells_nothing() -> None:
    def window(age_s: float, since_s: float) -> MeterMemory:
        old = MeterMemory(NOW_S - since_s, 0.0, 0.0, 1)
        scene = with_evse(ready(2, 0.0), 0, power_w=aged(20_000.0, age_s))
        scene = with_meter(scene, "hall-meter", power_w=Reading(-20_000.0, NOW_S))
        kept: MeterMemory = hall(scene._replace(memory=replace(scene.memory, meters=(None, old)))).memory
        return kept

    assert window(6.0, 17.9).against == 1, "three reports of six seconds are not over"
    assert window(6.0, 18.0).against == 2
    assert window(10.0, 30.0).against == 2
    assert window(10.1, 31.0) == MeterMemory(NOW_S - 31.0, 0.0, 0.0, 1)


def test_a_meter_without_past_has_nothing_against_it() -> None:
    scene = ready(2, 0.0)
    assert hall(scene._replace(memory=replace(scene.memory, meters=(None, None)))).against == 0


def test_missing_readings_leave_the_count_as_it_was() -> None:
    old = MeterMemory(THEN_S, 0.0, 0.0, 2)
    scene = with_evse(ready(2, 0.0), power_w=GONE)
    assert hall(scene._replace(memory=replace(scene.memory, meters=(None, old)))).memory == old
    assert hall(scene._replace(memory=replace(scene.memory, meters=(None, old)))).against == 2


def heated(scene: Scene, dt_s: float) -> float:
    return evse(scene, dt_s).heat_pct


def test_heat_follows_the_load_of_chargers_with_a_cooling_loop() -> None:
    scene = with_evse(outlets(ready(), cooling_loop="loop"), power_w=Reading(-25_000.0, NOW_S))
    assert heated(scene, 18.0) == pytest.approx(0.5)
    assert heated(with_memory(scene, heat_pct=60.0), 180.0) == pytest.approx(59.0)
    assert heated(scene, 1e9) == 50.0
    assert heated(with_evse(ready(), power_w=Reading(-25_000.0, NOW_S)), 18.0) == 0.0


def test_an_unmetered_load_heats_as_if_it_were_full_and_an_empty_outlet_cools() -> None:
    scene = with_evse(outlets(ready(), cooling_loop="loop"), power_w=GONE)
    assert heated(scene, 18.0) == pytest.approx(1.0)
    assert heated(with_memory(with_evse(scene, vehicle=None), heat_pct=50.0), 180.0) == pytest.approx(45.0)


def test_repeated_cycling_lowers_what_is_allowed() -> None:
    scene = outlets(ready(2, -50_000.0), cooling_loop="loop")
    safety = replace(scene.site.safety, sustained_pct=60.0, thermal_time_s=45.0)
    wide = tuple(replace(feeder, export_limit_w=300_000.0) for feeder in scene.site.feeders)
    scene = with_kind(with_site(scene, safety=safety, feeders=wide), depth_per_event_pct=100.0)
    powers = []
    for _ in range(60):
        decision = permit(scene)
        powers.append(-decision.permits[0].power_w)
        scene = next_tick(scene, decision, dt_s=1.5)
        total_w = sum(given.power_w for given in decision.permits)
        for meter, base_w in (("grid", 10_000.0), ("hall-meter", 0.0)):
            scene = with_meter(scene, meter, power_w=Reading(total_w + base_w, scene.snapshot.now_s))
    assert powers[0] == 50_000.0
    assert 29_000.0 < powers[-1] < 33_000.0
