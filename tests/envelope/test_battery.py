"""Batteries as the envelope follows them: how old a SoC is, events and days by energy, and how full one
may be.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import BUS, plugged, small_evse, small_site
from tests.envelope.strategies import (
    NOW_S,
    WALL_S,
    Scene,
    permit,
    ready,
    with_evse,
    with_memory,
    with_snapshot,
    with_vehicle,
)
from v2g_edge.envelope.battery import EVENT_ENDS_PCT, aged_soc_pct, follow_battery
from v2g_edge.envelope.facts import observe
from v2g_edge.envelope.memory import EnvelopeMemory, restarted
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.frame import frame_of
from v2g_edge.model.reading import Measured, Reading, Unknown

GONE = Unknown("nobody said")
DAY_S = 86_400.0
EVSE = small_evse("b1", efficiency=1.0)
"""Of a bus of 200 kWh: 2 kWh are a percent, and at 50 kW a percent flows in 144 s."""


class Bus:
    """A bus at an outlet, told to move ``permit_w``, moving ``power_w``."""

    def __init__(self, soc: Measured = GONE, **memory: Any) -> None:
        self.now_s, self.memory = 1_000.0, EvseMemory(session="s-bus-1", **memory)
        if isinstance(soc, Reading):
            self.memory = replace(self.memory, soc_pct=soc.value, soc_at_s=soc.at_s, top_pct=soc.value)
        self.soc, self.taken_pct = soc, 0.0

    def play(
        self, seconds: float, power: float | None, permit_w: float = 0.0, soc_pct: float | None = None
    ) -> "Bus":
        """``seconds`` of it; ``soc_pct`` is told at their end. ``power`` None: not metered."""
        for second in range(int(seconds / 4.0)):
            self.now_s += 4.0
            if soc_pct is not None and second == int(seconds / 4.0) - 1:
                self.soc = Reading(soc_pct, self.now_s)
            measured: Measured = GONE if power is None else Reading(power, self.now_s)
            state = replace(plugged("bus-1", self.now_s, WALL_S, soc_pct=self.soc), power_w=measured)
            old = replace(
                self.memory, least_w=min(permit_w, 0.0), most_w=max(permit_w, 0.0), power_w=permit_w
            )
            self.memory, taken_pct = follow_battery(EVSE, BUS, state, old, 4.0, self.now_s, 30.0)
            self.taken_pct += taken_pct
        return self

    @property
    def least_pct(self) -> float | None:
        vehicle = plugged("bus-1", self.now_s, WALL_S, soc_pct=self.soc).vehicle
        assert vehicle is not None
        return aged_soc_pct(EVSE, BUS, vehicle, self.memory, self.now_s)


def at(soc_pct: float) -> Bus:
    return Bus(Reading(soc_pct, 1_000.0))


def test_d5_a_soc_that_stands_still_ages_by_what_flows_out() -> None:
    bus = at(21.5).play(216.0, -50_000.0, -50_000.0)
    assert bus.least_pct == pytest.approx(20.0)
    assert bus.play(300.0, 0.0).least_pct == pytest.approx(20.0), "nothing flows, so nothing ages"


def test_d5_what_was_permitted_may_have_flowed_though_no_meter_shows_it() -> None:
    assert at(50.0).play(144.0, None, -50_000.0).least_pct == pytest.approx(49.0)
    assert at(50.0).play(144.0, 0.0, -50_000.0).least_pct == pytest.approx(49.0), "the reading may be old"


def test_d5_a_value_that_is_told_again_and_again_is_no_younger_for_it() -> None:
    bus = at(50.0)
    for _ in range(4):
        bus.play(72.0, -50_000.0, -50_000.0, soc_pct=50.0)
    assert bus.least_pct == pytest.approx(48.0)
    bus.play(4.0, 0.0, soc_pct=48.0)
    assert bus.least_pct == pytest.approx(48.0)


def test_d5_charging_and_discharging_by_turns_ages_by_the_difference_alone() -> None:
    bus = at(50.0)
    for _ in range(5):
        bus.play(144.0, -50_000.0, -50_000.0).play(144.0, 50_000.0, 50_000.0)
    assert bus.least_pct == pytest.approx(50.0, abs=0.1)


def test_d5_a_word_older_than_the_last_counts_at_its_worst() -> None:
    bus = at(50.0)
    bus.soc = Reading(80.0, 856.0)
    assert bus.least_pct == pytest.approx(79.0)
    bus.soc = Reading(80.0, 1_001.0)
    assert bus.least_pct is None, "a sample of the future"


def test_d5_without_a_capacity_nothing_can_be_aged() -> None:
    vehicle = plugged("x", 1_000.0, WALL_S, soc_pct=Reading(40.0, 1_000.0), capacity_wh=GONE).vehicle
    assert vehicle is not None
    assert aged_soc_pct(EVSE, None, vehicle, EvseMemory(out_wh=9e9), 1_000.0) == 40.0


def test_d4_a_fall_of_soc_counts_whenever_it_is_told() -> None:
    """Pulses of 80 s, SoC each 120 s, and no power is metered at all while nothing is permitted."""
    bus = at(95.0)
    for told_pct in (94.0, 93.0, 92.0):
        bus.play(80.0, -45_000.0, -45_000.0).play(40.0, 0.0, soc_pct=told_pct)
    assert bus.taken_pct == pytest.approx(3.0)
    assert bus.memory.event_pct == pytest.approx(3.0)


def test_d4_the_fall_counts_where_it_shows_more_than_the_meter() -> None:
    bus = at(95.0).play(80.0, -10_000.0, -45_000.0).play(40.0, 0.0, soc_pct=93.0)
    assert bus.taken_pct == pytest.approx(2.0)


def test_d4_energy_counts_while_no_soc_is_told() -> None:
    bus = Bus().play(1_440.0, -50_000.0, -50_000.0)
    assert bus.taken_pct == pytest.approx(10.0)
    assert Bus().play(1_440.0, None, -50_000.0).taken_pct == pytest.approx(10.0), (
        "at the worst where no power is told either"
    )


def test_what_was_taken_while_the_controller_was_away_counts() -> None:
    """A charger goes on with its last lease while the controller starts again; the fall of SoC shows it."""
    bus = at(80.0).play(144.0, -50_000.0, -50_000.0, soc_pct=79.0)
    memory = EnvelopeMemory(evses=(replace(bus.memory, least_w=-50_000.0),), ids=("b1",))
    site = replace(small_site(1), evses=(EVSE,))
    bus.memory = restarted(memory, site, 50.0).evses[0]
    bus.now_s = 50.0
    assert bus.play(4.0, 0.0, soc_pct=78.0).taken_pct == pytest.approx(2.0)
    assert bus.memory.event_pct == pytest.approx(2.0)


def test_d4_a_soc_that_falls_by_itself_is_not_taken() -> None:
    assert at(80.0).play(120.0, 0.0, soc_pct=79.0).taken_pct == 0.0
    assert at(80.0).play(120.0, None, soc_pct=79.0).taken_pct == pytest.approx(1.0), "not metered: it may be"


@given(
    st.lists(
        st.tuples(st.sampled_from([-50_000.0, -20_000.0, 0.0, 20_000.0]), st.integers(1, 40), st.booleans()),
        max_size=12,
    )
)
def test_d4_whatever_the_reports_the_ledger_holds_what_was_discharged(
    pulses: list[tuple[float, int, bool]],
) -> None:
    bus, soc_pct, given_pct = at(90.0), 90.0, 0.0
    for power_w, ticks, tells in pulses:
        moved_pct = power_w * ticks * 4.0 / 3_600.0 / 2_000.0
        soc_pct, given_pct = soc_pct + moved_pct, given_pct + max(-moved_pct, 0.0)
        bus.play(ticks * 4.0, power_w, power_w, soc_pct=soc_pct if tells else None)
        assert bus.taken_pct >= given_pct - 1e-6
        least_pct = bus.least_pct
        assert least_pct is not None
        assert least_pct <= soc_pct + 1e-6


def test_d10_a_permit_that_moves_nothing_ends_no_event() -> None:
    bus = at(80.0).play(720.0, -50_000.0, -50_000.0)
    assert bus.play(600.0, 0.0, 4_000.0).memory.event_pct == pytest.approx(5.0)


def test_d10_metered_charging_ends_an_event_once_it_is_a_percent() -> None:
    bus = at(80.0).play(720.0, -50_000.0, -50_000.0)
    seconds = 144.0 * EVENT_ENDS_PCT
    assert bus.play(seconds - 8.0, 50_000.0, 50_000.0).memory.event_pct == pytest.approx(5.0)
    bus.play(8.0, -50_000.0, -50_000.0).play(seconds - 8.0, 50_000.0, 50_000.0)
    assert bus.memory.event_pct > 5.0, "a pulse in between begins it anew"
    assert bus.play(12.0, 50_000.0, 50_000.0).memory.event_pct == 0.0


def test_charging_that_a_turned_meter_shows_ends_no_event() -> None:
    """The charger was told to discharge and does, its meter shows the opposite: the fall of SoC counts."""
    bus = at(80.0)
    for told_pct in range(79, 59, -1):
        bus.play(144.0, 50_000.0, -50_000.0, soc_pct=float(told_pct))
    assert bus.memory.event_pct == pytest.approx(20.0)
    assert bus.taken_pct == pytest.approx(20.0)


def test_charging_that_a_falling_soc_refutes_ends_no_event() -> None:
    """A charger discharges though it was told to charge, and its meter is turned."""
    bus = at(80.0).play(720.0, -50_000.0, -50_000.0, soc_pct=75.0)
    for told_pct in (74.0, 73.0, 72.0):
        bus.play(140.0, 50_000.0, 50_000.0, soc_pct=told_pct)
    assert bus.memory.event_pct == pytest.approx(5.0)
    bus.play(148.0, 50_000.0, 50_000.0, soc_pct=73.0)
    assert bus.memory.event_pct == 0.0, "it rises: this is charging"


def test_a4_a_vehicle_that_never_tells_its_soc_may_take_what_would_fill_an_empty_battery() -> None:
    bus = Bus(top_pct=0.0)
    assert bus.play(144.0 * 60.0, 50_000.0, 50_000.0).memory.top_pct == pytest.approx(60.0, abs=0.1)
    assert bus.play(144.0 * 60.0, 50_000.0, 50_000.0).memory.top_pct == 100.0


def test_a4_what_was_charged_since_the_last_soc_counts_upwards() -> None:
    assert at(70.0).play(1_440.0, 50_000.0, 50_000.0).memory.top_pct == pytest.approx(80.0, abs=0.1)
    assert at(70.0).play(1_440.0, None, 50_000.0).memory.top_pct == pytest.approx(80.0, abs=0.1)


def observed(scene: Scene, dt_s: float = 1.0) -> EnvelopeMemory:
    return observe(frame_of(scene.site), scene.snapshot, scene.memory, dt_s)


def test_a_new_session_begins_with_what_is_told_and_is_not_reckoned_for_a_tick() -> None:
    new = observed(
        with_vehicle(
            with_memory(ready(), event_pct=9.0, out_wh=5.0), session="s-new", soc_pct=Reading(66.0, NOW_S)
        )
    )
    after = new.evses[0]
    assert (after.session, after.soc_pct, after.event_pct, after.out_wh, after.top_pct) == (
        "s-new",
        66.0,
        0.0,
        0.0,
        None,
    )
    assert after.power_w == -20_000.0, "what the charger was told outlives the session"
    blind = observed(with_vehicle(ready(), session="s-new", soc_pct=GONE)).evses[0]
    assert (blind.session, blind.soc_pct) == ("s-new", None)


def test_what_discharge_took_is_counted_by_vehicle_and_day() -> None:
    scene = with_vehicle(ready(), soc_pct=Reading(70.0, NOW_S))
    scene = scene._replace(memory=replace(scene.memory, taken_pct={"bus-1": 5.0}))
    assert observed(with_memory(scene, counted_pct=1.0)).taken_pct["bus-1"] == pytest.approx(14.0, abs=0.01)
    moved = with_vehicle(scene, session="s-again")
    assert observed(moved).taken_pct["bus-1"] == 5.0, "plugging in again does not reset the day"


def test_a_new_day_begins_with_nothing_taken() -> None:
    scene = ready(2, 0.0)
    scene = scene._replace(memory=replace(scene.memory, taken_pct={"bus-1": 50.0}))
    assert observed(scene).taken_pct == {"bus-1": 50.0}
    tomorrow = with_snapshot(scene, wall_s=(WALL_S // DAY_S + 1.0) * DAY_S)
    assert observed(tomorrow).taken_pct == {}
    assert observed(tomorrow).day == int(WALL_S // DAY_S) + 1


def test_d6_a_guess_of_the_day_empties_no_ledger() -> None:
    scene = ready(2, 0.0)
    scene = scene._replace(memory=replace(scene.memory, taken_pct={"bus-1": 20.0}))
    for days in (-9_000.0, -1.0, 1.0):
        guessed = with_snapshot(scene, wall_s=WALL_S + days * DAY_S, clock_synced=False)
        after = observed(guessed)
        assert after.taken_pct == {"bus-1": 20.0}
        again = scene._replace(memory=after)
        assert observed(again).taken_pct == {"bus-1": 20.0}, "the clock is right again: still the same day"
    yesterday = with_snapshot(scene, wall_s=WALL_S - DAY_S)
    assert observed(yesterday).taken_pct == {"bus-1": 20.0}, "a clock that was set back begins no new day"
    unknown = scene._replace(memory=replace(scene.memory, day=0))
    assert observed(unknown).taken_pct == {"bus-1": 20.0}, "the first day that is known is no new one"


def test_d6_a_day_far_ahead_was_wrong_and_ends_with_today() -> None:
    """The clock was a year ahead for a moment, and said that it was synchronised."""
    scene = ready(2, 0.0)
    today = int(WALL_S // DAY_S)
    for ahead, day in ((1, today + 1), (2, today), (365, today)):
        memory = replace(scene.memory, day=today + ahead, taken_pct={"bus-1": 20.0})
        after = observed(scene._replace(memory=memory))
        assert (after.day, after.taken_pct) == (day, {"bus-1": 20.0})
        guessed = with_snapshot(scene, clock_synced=False)._replace(memory=memory)
        assert observed(guessed).day == today + ahead
        tomorrow = with_snapshot(scene, wall_s=WALL_S + (2 if ahead == 1 else 1) * DAY_S)
        assert observed(tomorrow._replace(memory=after)).taken_pct == {}


@pytest.mark.parametrize(
    ("vehicle", "soc", "event_pct"),
    [
        ("bus-1", Reading(70.0, NOW_S), 30.0),
        ("bus-1", Reading(70.9, NOW_S), 30.0),
        ("bus-1", GONE, 30.0),
        ("bus-1", Reading(71.0, NOW_S), 0.0),
        ("bus-2", Reading(70.0, NOW_S), 0.0),
        ("", Reading(70.0, NOW_S), 0.0),
    ],
)
@pytest.mark.parametrize("gone_between", [False, True])
def test_d10_a_new_session_of_the_same_vehicle_ends_no_event(
    vehicle: str, soc: Measured, event_pct: float, *, gone_between: bool
) -> None:
    """A station that starts anew gives a new session to a vehicle that never went."""
    scene = with_memory(ready(1, 0.0), vehicle="bus-1", event_pct=30.0, back_wh=50.0, soc_pct=70.0)
    if gone_between:
        empty = with_evse(scene, vehicle=None)
        scene = scene._replace(memory=observed(empty))
    old = observed(with_vehicle(scene, session="another", vehicle=vehicle, soc_pct=soc)).evses[0]
    assert (old.event_pct, old.back_wh) == (event_pct, 50.0 if event_pct else 0.0)
    assert (old.session, old.vehicle, old.top_pct, old.out_wh) == ("another", vehicle, None, 0.0)


def test_d10_the_row_holds_until_the_vehicle_has_charged_by_the_meter() -> None:
    used = with_memory(ready(2, 4_000.0), event_pct=40.0)
    rules = {limit.rule for limit in permit(used).bounds[0]}
    assert "depth_of_event" in rules
