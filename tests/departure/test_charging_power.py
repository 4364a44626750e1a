"""What a vehicle was seen to draw: learned slowly downwards, at once upwards, and never from what says
nothing about it.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.departure.test_departures import depot, needing, with_vehicle
from v2g_edge.departure.charging_power import (
    CROWD,
    CROWD_W,
    FORGET,
    FORGET_S,
    STRIDE,
    UNSEEN_SHARE,
    WINDOW_S,
    LearnedPower,
    LearnedPowers,
    powers_of,
    restarted,
    sure_powers,
    watch,
)
from v2g_edge.departure.charging_power import present as of_now
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import NO_SAMPLE, Measured, Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import CommandState, Link, Snapshot

SITE = depot(1)
NOBODY: LearnedPowers = ()
LOST = Unknown("lost")


class Play:
    """One outlet looked at every 5 s: told ``permitted_w``, drawing ``drawn_w`` (None: no report)."""

    def __init__(self, site: Site = SITE, soc: float = 50.0, **changes: Any) -> None:
        self.site, self.frame, self.draws = site, frame_of(site), NOBODY
        self.snapshot = with_vehicle(needing(site, (40.0, 9.0)), 0, soc_pct=Reading(soc, 100.0), **changes)
        self.snapshot = replace(self.snapshot, seq=0)

    def run(self, seconds: float, permitted_w: float, drawn_w: float | None, **changes: Any) -> LearnedPower:
        for _ in range(int(seconds // 5.0)):
            self.tick(permitted_w, drawn_w, **changes)
        draw = self.draws[0]
        assert draw is not None
        return draw

    def tick(self, permitted_w: float, drawn_w: float | None, ack: str = "accepted", **changes: Any) -> None:
        old = self.snapshot
        now_s = old.now_s + 5.0
        state = old.evses[0]
        power: Measured = state.power_w if drawn_w is None else Reading(drawn_w, now_s)
        command = CommandState(permitted_w, ack, now_s, now_s + 30.0)  # type: ignore[arg-type]
        vehicle = state.vehicle
        if vehicle is not None and isinstance(vehicle.soc_pct, Reading):
            vehicle = replace(vehicle, soc_pct=Reading(vehicle.soc_pct.value, now_s))
        state = replace(
            state,
            power_w=power,
            command=command,
            vehicle=vehicle,
            link=replace(state.link, last_seen_s=now_s),
        )
        self.snapshot = replace(
            old,
            seq=old.seq + STRIDE,
            now_s=now_s,
            wall_s=old.wall_s + 5.0,
            evses=(replace(state, **changes), *old.evses[1:]),
        )
        self.draws = watch(self.frame, self.snapshot, self.draws)


def test_ten_minutes_at_less_than_permitted_are_believed_and_nine_are_not() -> None:
    play = Play()
    assert play.run(WINDOW_S - 10.0, 50_000.0, 22_040.0).learned_w == ANY_W
    assert play.run(20.0, 50_000.0, 22_040.0).learned_w == 22_000.0


def test_more_is_believed_at_once_and_less_only_after_another_window() -> None:
    play = Play()
    play.run(700.0, 50_000.0, 22_000.0)
    assert play.run(5.0, 50_000.0, 31_000.0).learned_w == 31_000.0
    assert play.run(WINDOW_S - 10.0, 50_000.0, 15_000.0).learned_w == 31_000.0
    assert play.run(WINDOW_S + 20.0, 50_000.0, 15_000.0).learned_w == 15_000.0


def test_the_most_of_the_window_counts() -> None:
    """A pause of some minutes, or a ramp, is not the vehicle's power."""
    play = Play()
    for step in range(20):
        play.run(5.0, 50_000.0, 1_000.0 * step)
    play.run(300.0, 50_000.0, 0.0)
    assert play.run(250.0, 50_000.0, 5_000.0).learned_w == 19_000.0


@pytest.mark.parametrize(
    ("permitted_w", "drawn_w", "changes"),
    [
        (22_000.0, 21_000.0, {}),
        (22_000.0, 19_300.0, {}),
        (4_140.0, 3_100.0, {}),
        (0.0, 0.0, {}),
        (-20_000.0, -12_000.0, {}),
        (50_000.0, 22_000.0, {"ack": "rejected"}),
        (50_000.0, 22_000.0, {"ack": "silent"}),
        (50_000.0, 22_000.0, {"fault": "HighTemperature"}),
        (50_000.0, 22_000.0, {"status": "faulted"}),
        (50_000.0, None, {}),
        (50_000.0, 22_000.0, {"power_w": LOST}),
        (50_000.0, 22_000.0, {"link": Link(False, True, 0.0)}),
        (50_000.0, 6_000.0, {"command": CommandState(50_000.0, "accepted", 0.0, 90.0)}),
    ],
)
def test_rationed_paused_refused_faulted_and_unmeasured_vehicles_teach_nothing(
    permitted_w: float, drawn_w: float | None, changes: dict[str, Any]
) -> None:
    draw = Play().run(3.0 * WINDOW_S, permitted_w, drawn_w, **changes)
    assert (draw.learned_w, draw.idle) == (ANY_W, False)


def test_a_charger_that_follows_the_frequency_by_itself_may_draw_less_than_its_setpoint() -> None:
    """30 kW ± 10: 20 kW are what it was told; 15 are not."""
    for drawn_w, learned_w in ((20_000.0, ANY_W), (15_000.0, 15_000.0)):
        play = Play()
        for _ in range(140):
            play.tick(30_000.0, drawn_w, command=CommandState(30_000.0, "accepted", 0.0, 1e9, 10_000.0))
        assert play.draws[0] is not None
        assert play.draws[0].learned_w == learned_w


def test_a_permit_that_came_and_went_between_two_samples_teaches_nothing() -> None:
    """The charger reports every 30 s, and was rationed a moment before each report."""
    play = Play()
    for _ in range(60):
        play.run(20.0, 50_000.0, None)
        play.run(5.0, 10_000.0, None)
        play.run(5.0, 50_000.0, 9_000.0)
    assert play.draws[0] is not None
    assert play.draws[0].learned_w == ANY_W


@pytest.mark.parametrize("soc", [85.0, 97.0, LOST])
def test_near_full_and_at_an_unknown_soc_nothing_is_learned(soc: Any) -> None:
    """The bus falls from 200 kW at 80 % to 20 kW at 100 %; 80 % of the charger's 50 kW are left until 97.8
    %.
    """
    play = Play(soc=50.0)
    play.snapshot = with_vehicle(
        play.snapshot, 0, soc_pct=soc if isinstance(soc, Unknown) else Reading(99.0, 100.0)
    )
    assert play.run(700.0, 50_000.0, 12_000.0).learned_w == ANY_W


def test_without_a_curve_the_last_fifth_teaches_nothing() -> None:
    site = replace(SITE, vehicle_types=(replace(SITE.vehicle_types[0], charge_curve=()),))
    assert Play(site, soc=81.0).run(700.0, 50_000.0, 12_000.0).learned_w == ANY_W
    assert Play(site, soc=79.0).run(700.0, 50_000.0, 12_000.0).learned_w == 12_000.0


def test_who_draws_what_its_own_report_or_the_curve_says_has_taught_nothing_new() -> None:
    draw = Play(max_charge_w=Reading(22_000.0, 100.0)).run(700.0, 50_000.0, 21_500.0)
    assert (draw.reported_w, draw.learned_w, draw.most_w) == (22_000.0, ANY_W, 22_000.0)


def test_the_last_report_is_kept_when_it_goes_missing() -> None:
    play = Play(max_charge_w=Reading(30_000.0, 100.0))
    play.run(10.0, 0.0, 0.0)
    play.snapshot = with_vehicle(play.snapshot, 0, max_charge_w=NO_SAMPLE)
    assert play.run(60.0, 0.0, 0.0).reported_w == 30_000.0
    assert powers_of(play.site, play.snapshot, play.draws).said_w == {"b1": 30_000.0}
    play.snapshot = with_vehicle(play.snapshot, 0, max_charge_w=Reading(40_000.0, 100.0))
    assert play.run(5.0, 0.0, 0.0).reported_w == 40_000.0


def test_a_meter_that_shows_charging_as_discharge_makes_no_vehicle_idle() -> None:
    draw = Play().run(700.0, 27_000.0, -27_000.0)
    assert (draw.idle, draw.learned_w) == (False, ANY_W)


def test_who_was_not_seen_to_charge_surely_takes_a_share_of_its_plate() -> None:
    play = Play(max_charge_w=Reading(30_000.0, 100.0))
    assert sure_powers(play.site, play.snapshot, NOBODY) == {}
    play.run(10.0, 0.0, 0.0)
    assert sure_powers(play.site, play.snapshot, play.draws) == {"b1": UNSEEN_SHARE * 30_000.0}
    play.run(10.0, 30_000.0, 21_040.0)
    assert sure_powers(play.site, play.snapshot, play.draws) == {"b1": 21_000.0}
    play.run(60.0, 5_000.0, 5_000.0)
    assert sure_powers(play.site, play.snapshot, play.draws) == {"b1": 21_000.0}, "it was seen"
    assert sure_powers(play.site, play.snapshot, restarted(play.draws)) == {"b1": 21_000.0}
    play.snapshot = with_vehicle(play.snapshot, 0, session="next")
    assert sure_powers(play.site, play.snapshot, play.draws) == {}, "another vehicle"


def test_the_session_ends_it() -> None:
    play = Play(max_charge_w=Reading(30_000.0, 100.0))
    play.run(700.0, 50_000.0, 10_000.0)
    play.snapshot = with_vehicle(play.snapshot, 0, session="next", max_charge_w=NO_SAMPLE)
    assert of_now(play.draws, play.snapshot) == (None,)
    assert powers_of(play.site, play.snapshot, play.draws) == ({}, {}, {})
    assert play.run(5.0, 50_000.0, 10_000.0).most_w == ANY_W
    play.snapshot = replace(play.snapshot, evses=(replace(play.snapshot.evses[0], vehicle=None),))
    play.tick(0.0, 0.0)
    assert play.draws == (None,)


def test_an_hour_without_evidence_forgets_one_percent_and_readings_that_miss_forget_nothing() -> None:
    play = Play()
    play.run(700.0, 50_000.0, 20_000.0)
    assert play.run(4.0 * FORGET_S, 0.0, None).learned_w == 20_000.0
    assert play.run(5.0, 0.0, 0.0).learned_w == pytest.approx(20_000.0 * FORGET)
    assert play.run(FORGET_S - 10.0, 0.0, 0.0).learned_w == pytest.approx(20_000.0 * FORGET)
    assert play.run(20.0, 0.0, 0.0).learned_w == pytest.approx(20_000.0 * FORGET**2)
    assert play.run(700.0, 50_000.0, 20_000.0).learned_w == 20_000.0, "and is learned again"


def test_who_draws_nothing_though_it_may_is_idle_until_it_draws() -> None:
    play = Play()
    draw = play.run(700.0, 50_000.0, 30.0)
    assert (draw.idle, draw.learned_w) == (True, ANY_W)
    assert powers_of(play.site, play.snapshot, play.draws) == ({}, {"b1": SITE.evses[0].min_charge_w}, {})
    assert play.run(60.0, 0.0, 0.0).idle
    assert not play.run(5.0, 4_000.0, 3_900.0).idle


def test_where_feeders_are_short_a_little_more_than_it_draws_is_enough() -> None:
    play = Play()
    play.run(700.0, 50_000.0, 20_000.0)
    assert powers_of(play.site, play.snapshot, play.draws) == (
        {"b1": 20_000.0},
        {"b1": 20_000.0 * CROWD + CROWD_W},
        {},
    )


def test_who_draws_a_share_of_whatever_it_is_told_is_not_talked_down_to_nothing() -> None:
    """One phase of three: a third of each setpoint. Told less, it must get its full setpoint back, not
    less and less.
    """
    play = Play()
    play.run(700.0, 50_000.0, 50_000.0 / 3.0)
    for _ in range(400):
        enough_w = powers_of(play.site, play.snapshot, play.draws).enough_w
        told_w = enough_w.get("b1", 50_000.0)
        play.run(5.0, told_w, told_w / 3.0)
    draw = play.draws[0]
    assert draw is not None
    assert draw.learned_w == pytest.approx(16_600.0, rel=0.02)
    assert powers_of(play.site, play.snapshot, play.draws).enough_w == {}


def no_curve() -> Site:
    return replace(SITE, vehicle_types=tuple(replace(kind, charge_curve=()) for kind in SITE.vehicle_types))


def test_a17_what_is_drawn_in_the_taper_is_enough_where_feeders_are_short_and_proves_nothing() -> None:
    play = Play(no_curve(), soc=97.0)
    draw = play.run(700.0, 12_300.0, 8_040.0)
    assert draw.learned_w == ANY_W
    assert powers_of(play.site, play.snapshot, play.draws) == ({}, {"b1": 8_000.0 * CROWD + CROWD_W}, {})
    play.run(1_400.0, 8_900.0, 6_400.0)
    assert powers_of(play.site, play.snapshot, play.draws).enough_w == {"b1": 6_400.0 * CROWD + CROWD_W}
    play.run(60.0, 7_220.0, 7_200.0)
    assert powers_of(play.site, play.snapshot, play.draws).enough_w == {"b1": 7_200.0 * CROWD + CROWD_W}
    play.run(60.0, -9_000.0, -9_000.0)
    assert powers_of(play.site, play.snapshot, play.draws).enough_w == {}


@pytest.mark.parametrize("share", [1.0 / 3.0, 2.0 / 3.0])
def test_a17_who_draws_a_share_of_whatever_it_is_told_is_not_talked_down_near_full_either(
    share: float,
) -> None:
    play = Play(no_curve(), soc=90.0)
    for _ in range(600):
        enough_w = powers_of(play.site, play.snapshot, play.draws).enough_w
        told_w = min(enough_w.get("b1", 22_000.0), 22_000.0)
        play.run(5.0, told_w, told_w * share)
    assert powers_of(play.site, play.snapshot, play.draws).enough_w == {}


def test_a17_a_battery_that_goes_on_falling_does_not_follow() -> None:
    """Ten minutes take 15 % off each time, at the setpoint that sharing leaves it."""
    play, taken_w, told_w = Play(no_curve(), soc=90.0), 11_000.0, 22_000.0
    for _ in range(8):
        play.run(WINDOW_S + 60.0, told_w, min(taken_w, told_w))
        told_w = powers_of(play.site, play.snapshot, play.draws).enough_w["b1"]
        taken_w *= 0.85
    assert told_w < 6_000.0


def test_a_restart_keeps_what_was_learned_and_begins_to_look_anew() -> None:
    play = Play(max_charge_w=Reading(45_000.0, 100.0))
    play.run(700.0, 50_000.0, 20_000.0)
    play.run(300.0, 50_000.0, 11_000.0)
    play.draws = restarted(play.draws)
    play.snapshot = replace(play.snapshot, now_s=10.0)
    draw = play.run(WINDOW_S - 10.0, 50_000.0, 11_000.0)
    assert draw.learned_w == pytest.approx(20_000.0 * FORGET)
    assert draw.reported_w == 45_000.0
    assert play.run(20.0, 50_000.0, 11_000.0).learned_w == 11_000.0


def test_each_outlet_is_looked_at_in_every_fifth_tick() -> None:
    site = depot(7)
    snapshot, draws = needing(site, *((10.0, 9.0),) * 7), NOBODY
    for seq in range(STRIDE):
        draws = watch(frame_of(site), replace(snapshot, seq=seq), draws)
        assert sum(draw is not None for draw in draws) == len([i for i in range(7) if i % STRIDE <= seq])
    assert all(draws)


STEPS = st.tuples(
    st.sampled_from((5, 60, 300, 700)),
    st.sampled_from((-20_000.0, 0.0, 4_140.0, 11_000.0, 22_000.0, 50_000.0)),
    st.sampled_from((0.0, 0.2, 0.5, 0.95, 1.0)),
    st.booleans(),
)


@given(steps=st.lists(STEPS, max_size=12), soc=st.floats(5.0, 100.0))
@settings(max_examples=100, deadline=None)
def test_no_history_learns_more_than_was_drawn_or_less_than_was_last_seen(
    steps: list[tuple[int, float, float, bool]], soc: float
) -> None:
    """Learned is never below the last fresh sample (but for rounding), never above what was drawn and
    forgotten; it journals.
    """
    play, most_w = Play(soc=soc), 0.0
    for seconds, permitted_w, share, reports in steps:
        drawn_w = permitted_w * share
        draw = play.run(seconds, permitted_w, drawn_w if reports else None)
        most_w = max(most_w, drawn_w if reports else 0.0)
        if draw.learned_w < ANY_W:
            assert draw.learned_w <= most_w * FORGET ** (1 + sum(step[0] for step in steps) / FORGET_S)
            assert not reports or draw.learned_w >= drawn_w // 100.0 * 100.0
            assert draw.learned_w >= 500.0
        for codec in (msgspec.json, msgspec.msgpack):
            assert codec.decode(codec.encode(play.draws), type=LearnedPowers) == play.draws


@given(steps=st.lists(STEPS, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_reading_lost_in_a_tick_changes_nothing_that_was_learned_before_it(
    steps: list[tuple[int, float, float, bool]],
) -> None:
    """What the certificate sees in a tick is what the memory held: the same with the reading and without
    it.
    """
    play = Play()
    for seconds, permitted_w, share, reports in steps:
        play.run(seconds, permitted_w, permitted_w * share if reports else None)
    seen: Snapshot = play.snapshot
    blind = replace(seen, evses=(replace(seen.evses[0], power_w=LOST),))
    assert of_now(play.draws, seen) == of_now(play.draws, blind)
    before, after = play.draws[0], watch(play.frame, replace(blind, seq=blind.seq + STRIDE), play.draws)[0]
    assert before is not None
    assert after is not None
    assert (after.learned_w, after.told_s, after.idle) == (before.learned_w, before.told_s, before.idle)
