"""The rules of a firmware roll-out, without a socket: who is asked when, what is good, what stops it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2g_edge.field.ocpp.upkeep import firmware
from v2g_edge.field.ocpp.upkeep.firmware import (
    FAILURES,
    RESTARTS_MAX,
    Ask,
    Member,
    Rollout,
    Terms,
    Update,
    View,
    begin,
    step,
)

NEW = Update("v/m", "2.0", "https://a.b/fw-2.0.bin")
TERMS = Terms(soak_s=60.0, deadline_s=600.0)
IDLE = View(connected=True, firmware="1.0", busy="", trouble="")
DONE = IDLE._replace(firmware="2.0")
NAMES = [f"s{n:02}" for n in range(20)]


def views(**changed: View) -> dict[str, View]:
    return dict.fromkeys(NAMES, IDLE) | changed


def rollout(*waves: int | str, update: Update = NEW, **terms: Any) -> Rollout:
    return begin(
        7, update, Terms(**{"soak_s": 60.0, "deadline_s": 600.0, **terms}), NAMES, waves or (1, "10%")
    )


def member(of: Rollout, station: str = "s00") -> Member:
    return next(each for each in of.members if each.station == station)


def asked(
    of: Rollout, now: dict[str, View] | None = None, elapsed_s: float = 1.0, wall_s: float = 0.0
) -> tuple[Rollout, list[str]]:
    after, asks = step(of, now or views(), elapsed_s, wall_s)
    return after, [ask.station for ask in asks if ask.what == "update"]


def updated(of: Rollout, *stations: str) -> Rollout:
    """They have installed it and come back."""
    for station in stations:
        of = firmware.on_status(of, station, "Installed", 7)
        of = firmware.on_boot(of, station, "2.0")
    return of


def test_waves_are_numbers_and_shares_and_the_rest_comes_last() -> None:
    sizes = [sum(each.wave == wave for each in rollout(1, "10%").members) for wave in (1, 2, 3)]
    assert sizes == [1, 2, 17]
    assert [each.wave for each in begin(1, NEW, TERMS, ["a"], (1, "10%")).members] == [1]
    assert {each.wave for each in begin(1, NEW, TERMS, NAMES, ()).members} == {1}
    for wrong in (0, -1, "10", "0%", "101%", "x%", True, 1.5):
        with pytest.raises(ValueError, match="a wave is a number"):
            begin(1, NEW, TERMS, NAMES, [wrong])  # type: ignore[list-item]


def test_one_wave_after_the_other_and_only_when_all_of_it_is_good() -> None:
    first, asks = asked(rollout())
    assert asks == ["s00"]
    waits, asks = asked(first)
    assert asks == []
    soaking, asks = asked(updated(waits, "s00"), views(s00=DONE))
    assert (member(soaking).phase, asks) == ("soaking", [])
    early, asks = asked(soaking, views(s00=DONE), elapsed_s=59.0)
    assert (early.wave, asks) == (1, [])
    over, _ = asked(early, views(s00=DONE), elapsed_s=1.0)
    assert (member(over).phase, over.wave) == ("good", 2)
    _, asks = asked(over, views(s00=DONE))
    assert asks == ["s01", "s02"]


def test_it_ends_when_the_last_wave_is_good() -> None:
    now = rollout("100%", at_once=20)
    now, asks = asked(now)
    assert len(asks) == 20
    everywhere = dict.fromkeys(NAMES, DONE)
    now, _ = asked(updated(now, *NAMES), everywhere)
    now, _ = asked(now, everywhere, elapsed_s=60.0)
    assert (now.state, {each.phase for each in now.members}) == ("finished", {"good"})


def test_no_more_are_under_way_at_once_than_agreed() -> None:
    now, asks = asked(rollout("100%", at_once=3))
    assert asks == NAMES[:3]
    assert member(now, "s05").why == "waits: 3 others are under way"
    now, _ = asked(updated(now, "s00"), views(s00=DONE))
    _, asks = asked(now, views(s00=DONE))
    assert asks == ["s03"]


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (IDLE._replace(busy="transaction 12 at b1"), "transaction 12 at b1"),
        (IDLE._replace(connected=False), "not connected"),
        (IDLE._replace(trouble="b1 is faulted"), "b1 is faulted"),
    ],
)
def test_who_has_a_vehicle_or_is_away_is_waited_for_or_skipped_and_told(view: View, why: str) -> None:
    now, asks = asked(rollout(2), views(s00=view))
    assert (asks, member(now).phase, member(now).why) == (["s01"], "waiting", f"waits: {why}")
    _, asks = asked(now)
    assert asks == ["s00"]
    now, asks = asked(rollout(2, busy="skip"), views(s00=view))
    assert (asks, member(now).phase, member(now).why) == (["s01"], "skipped", why)


def test_a_first_wave_that_was_left_out_wholly_shows_nothing_and_opens_no_gate() -> None:
    now, _ = asked(rollout(busy="skip"), views(s00=IDLE._replace(busy="a vehicle at b1")))
    assert (now.state, now.wave) == ("stopped", 1)
    assert "all of its stations were left out" in now.why
    assert firmware.resumed(now, retry=False).wave == 2


def test_nothing_is_asked_before_its_time_and_the_wait_for_installation_does_not_count() -> None:
    late = Update("v/m", "2.0", "https://a.b/c", retrieve_wall_s=1_000.0, install_wall_s=9_000.0)
    now, asks = asked(rollout(1, update=late), wall_s=999.0)
    assert asks == []
    now, asks = asked(now, wall_s=1_000.0)
    assert asks == ["s00"]
    now = firmware.on_status(now, "s00", "InstallScheduled", 7)
    now, _ = asked(now, elapsed_s=5_000.0, wall_s=6_000.0)
    assert member(now).phase == "updating"
    now, _ = asked(now, elapsed_s=601.0, wall_s=9_601.0)
    assert member(now).why == "nothing new after InstallScheduled for 601 s"


@pytest.mark.parametrize("status", sorted(FAILURES))
def test_a_failure_stops_it_and_says_which_and_why(status: str) -> None:
    now, _ = asked(rollout(2))
    now, asks = asked(firmware.on_status(now, "s01", status, 7))
    assert (now.state, now.why, asks) == ("stopped", f"s01: {status}", [])
    now, asks = asked(updated(now, "s00"), views(s00=DONE), elapsed_s=600.0)
    assert (now.state, member(now).phase, asks) == ("stopped", "soaking", [])


def test_a_status_of_another_request_or_of_nobodys_is_not_about_this() -> None:
    now, _ = asked(rollout())
    for station, request in (("s00", 6), ("s01", 7), ("unknown", 7)):
        assert firmware.on_status(now, station, "InstallationFailed", request) == now
    assert member(firmware.on_status(now, "s00", "InstallationFailed", None)).phase == "failed"


def test_silence_counts_from_the_last_news_and_not_while_a_vehicle_charges() -> None:
    now, _ = asked(rollout())
    now, _ = asked(now, elapsed_s=500.0)
    now, _ = asked(firmware.on_status(now, "s00", "Downloading", 7), elapsed_s=500.0)
    now, _ = asked(
        firmware.on_status(now, "s00", "Downloading", 7), views(s00=IDLE._replace(busy="a vehicle")), 5_000.0
    )
    assert member(now).phase == "updating"
    now, _ = asked(now, elapsed_s=101.0)
    assert now.why == "s00: nothing new after Downloading for 601 s"


def test_not_back_and_back_with_another_version_are_failures() -> None:
    now, _ = asked(rollout())
    now = firmware.on_status(now, "s00", "Installed", 7)
    gone, _ = asked(now, views(s00=IDLE._replace(connected=False)), elapsed_s=601.0)
    assert gone.why == "s00: not back with the new version for 601 s"
    old = firmware.on_boot(now, "s00", "1.0")
    assert member(old).why == "came back with version '1.0', not '2.0'"


def test_a_restart_in_the_middle_of_an_installation_is_no_failure() -> None:
    now, _ = asked(rollout())
    now = firmware.on_boot(firmware.on_status(now, "s00", "InstallRebooting", 7), "s00", "1.0")
    assert member(now).phase == "updating"


def test_a_station_that_came_back_before_it_told_is_asked_and_idle_is_answer_enough() -> None:
    now, _ = asked(rollout())
    now, asks = step(firmware.on_boot(now, "s00", "2.0"), views(s00=DONE), 1.0, 0.0)
    assert asks == [Ask("s00", "status")]
    now = firmware.on_status(now, "s00", "Idle", None)
    now, _ = asked(now, views(s00=DONE))
    assert member(now).phase == "soaking"


def test_the_daemon_that_missed_the_boot_sees_the_version_and_asks_for_the_status_once() -> None:
    now, _ = asked(rollout())
    now, asks = step(now, views(s00=DONE), 1.0, 0.0)
    assert asks == [Ask("s00", "status")]
    assert step(now, views(s00=DONE), 1.0, 0.0)[1] == []


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (
            DONE._replace(trouble="b1 does not follow its setpoints"),
            "b1 does not follow its setpoints, after the update",
        ),
        (IDLE, "runs '1.0' again, not '2.0'"),
    ],
)
def test_misbehaviour_in_the_soak_time_stops_it(view: View, why: str) -> None:
    now, _ = asked(rollout())
    now, _ = asked(updated(now, "s00"), views(s00=DONE))
    now, _ = asked(now, views(s00=view))
    assert (now.state, now.why) == ("stopped", f"s00: {why}")


def test_a_short_loss_of_link_stops_the_soak_clock_a_long_one_the_rollout() -> None:
    now, _ = asked(rollout())
    now, _ = asked(updated(now, "s00"), views(s00=DONE))
    gone = views(s00=DONE._replace(connected=False))
    short, _ = asked(now, gone, elapsed_s=599.0)
    back, _ = asked(short, views(s00=DONE), elapsed_s=59.0)
    assert (member(back).phase, member(back).away_s) == ("soaking", 0.0)
    long, _ = asked(short, gone, elapsed_s=2.0)
    assert long.state == "stopped"


def test_a_station_that_restarts_again_and_again_is_not_good() -> None:
    now, _ = asked(rollout())
    now, _ = asked(updated(now, "s00"), views(s00=DONE))
    for _ in range(RESTARTS_MAX):
        now = firmware.on_boot(now, "s00", "2.0")
        assert member(now).phase == "soaking"
    assert member(firmware.on_boot(now, "s00", "2.0")).phase == "failed"


def test_an_operator_leaves_out_what_failed_or_tries_it_again() -> None:
    now, _ = asked(rollout(2))
    now, _ = asked(firmware.on_refusal(now, "s00", "InvalidCertificate"))
    with_it, asks = asked(firmware.resumed(now, retry=True))
    assert asks == ["s00"]
    without, asks = asked(firmware.resumed(now, retry=False))
    assert (asks, member(without).phase, without.wave) == ([], "skipped", 1)
    assert member(without).why == "left out: refused: InvalidCertificate"
    for wrong in (with_it, without):
        with pytest.raises(ValueError, match="only a stopped one"):
            firmware.resumed(wrong, retry=True)


def test_an_abort_asks_nobody_else_and_lets_go_on_what_has_begun() -> None:
    now, _ = asked(rollout())
    over = firmware.aborted(now)
    assert {each.phase for each in over.members} == {"updating", "skipped"}
    after, asks = asked(updated(over, "s00"), views(s00=DONE))
    assert (asks, member(after).phase, after.state) == ([], "soaking", "aborted")
    with pytest.raises(ValueError, match="aborted already"):
        firmware.aborted(over)


def test_what_did_not_reach_its_station_is_asked_again() -> None:
    now, _ = asked(rollout())
    _, asks = asked(firmware.not_sent(now, "s00"))
    assert asks == ["s00"]


EVENTS = st.one_of(
    st.tuples(
        st.just("status"),
        st.sampled_from(NAMES[:4]),
        st.sampled_from([*sorted(FAILURES), "Downloading", "Installed", "Idle"]),
    ),
    st.tuples(st.just("boot"), st.sampled_from(NAMES[:4]), st.sampled_from(["1.0", "2.0"])),
    st.tuples(
        st.just("step"),
        st.sampled_from(NAMES[:4]),
        st.sampled_from(["busy", "trouble", "gone", "done", "idle"]),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_whatever_comes_nobody_of_a_later_wave_is_asked_before_the_wave_is_good(
    events: list[tuple[str, str, str]],
) -> None:
    """And nobody at all once it has stopped."""
    now = begin(7, NEW, TERMS, NAMES[:4], (1, 1))
    seen = dict.fromkeys(NAMES[:4], IDLE)
    kinds = {
        "busy": IDLE._replace(busy="b"), "trouble": IDLE._replace(trouble="t"),
        "gone": IDLE._replace(connected=False),
        "done": DONE, "idle": IDLE,
    }  # fmt: skip
    for kind, station, what in events:
        if kind == "status":
            now = firmware.on_status(now, station, what, 7)
        elif kind == "boot":
            now = firmware.on_boot(now, station, what)
        else:
            seen[station] = kinds[what]
            before = now
            now, asks = step(now, seen, 100.0, 0.0)
            for ask in asks:
                wave = member(before, ask.station).wave
                assert before.state == "running"
                assert all(each.phase in ("good", "skipped") for each in before.members if each.wave < wave)
                assert not (
                    ask.what == "update" and (seen[ask.station].busy or not seen[ask.station].connected)
                )
