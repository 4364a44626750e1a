"""One tick of the envelope as a whole: leases, ramps, what is remembered, what is explained."""

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    WALL_S,
    Scene,
    next_tick,
    permit,
    ready,
    remembered,
    with_evse,
    with_memory,
    with_meter,
    with_site,
    with_snapshot,
    with_vehicle,
)
from tests.envelope.test_feeders import MARGIN, outlets
from v2g_edge.departure.charging_power import LearnedPower
from v2g_edge.envelope.memory import EnvelopeMemory, restarted
from v2g_edge.envelope.table import Latch
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import DeadMan
from v2g_edge.model.snapshot import CommandState, ContactState, Link


def wishing(scene: Scene, *powers_w: float) -> Scene:
    return scene._replace(wishes={f"b{i}": Wish(f"b{i}", w, 0.5, "test") for i, w in enumerate(powers_w, 1)})


def remembers(scene: Scene) -> EvseMemory:
    return permit(scene).memory.evses[0]


def test_an_outlet_without_a_wish_is_wished_nothing() -> None:
    decision = permit(ready()._replace(wishes={}))
    assert [(given.power_w, given.wish_w) for given in decision.permits] == [(0.0, 0.0)] * 2


def test_every_permit_is_a_lease_of_the_commissioned_length() -> None:
    scene = with_site(ready(), safety=replace(ready().site.safety, lease_s=12.0))
    assert [given.valid_for_s for given in permit(scene).permits] == [12.0, 12.0]
    assert remembers(scene).lease_until_s == NOW_S + 12.0


def test_a_wish_beyond_the_rating_is_cut_and_says_why() -> None:
    given = permit(wishing(ready(), 90_000.0, 0.0)).permits[0]
    assert given.bound_by.rule in {"ramp", "charger_rating"}
    assert given.wish_w == 90_000.0


def test_power_grows_by_the_ramp_from_where_it_was() -> None:
    scene = with_site(ready(2, 0.0), safety=replace(ready().site.safety, ramp_up_w_per_s=5_000.0))
    given = permit(wishing(scene, 30_000.0, -30_000.0)).permits
    assert [permit_.power_w for permit_ in given] == [5_000.0, -5_000.0]
    assert {permit_.bound_by.rule for permit_ in given} == {"ramp"}
    on = with_memory(
        with_evse(wishing(scene, 30_000.0, 0.0), power_w=Reading(10_000.0, NOW_S)),
        power_w=10_000.0,
        most_w=1e4,
    )
    assert permit(on).permits[0].power_w == 15_000.0


def test_export_too_grows_by_the_ramp_from_where_it_was() -> None:
    scene = with_site(ready(2, -10_000.0), safety=replace(ready().site.safety, ramp_up_w_per_s=5_000.0))
    assert [given.power_w for given in permit(wishing(scene, -30_000.0, -12_000.0)).permits] == [
        -15_000.0,
        -12_000.0,
    ]


def test_a_turn_round_starts_at_nothing() -> None:
    scene = with_site(ready(2, -20_000.0), safety=replace(ready().site.safety, ramp_up_w_per_s=5_000.0))
    assert permit(wishing(scene, 30_000.0, 0.0)).permits[0].power_w == 5_000.0


def test_towards_nothing_there_is_no_ramp() -> None:
    scene = with_site(ready(2, -20_000.0), safety=replace(ready().site.safety, ramp_up_w_per_s=1.0))
    assert [given.power_w for given in permit(wishing(scene, 0.0, -1_000.0)).permits] == [0.0, -1_000.0]


@pytest.mark.parametrize(
    ("wish_w", "power_w"),
    [(0.5, 0.0), (3_999.0, 0.0), (4_000.0, 4_000.0), (-0.5, 0.0), (-999.0, 0.0), (-1_000.0, -1_000.0)],
)
def test_less_than_a_charger_can_do_is_nothing(wish_w: float, power_w: float) -> None:
    scene = outlets(ready(), min_charge_w=4_000.0, min_discharge_w=1_000.0)
    given = permit(wishing(scene, wish_w, 0.0)).permits[0]
    assert given.power_w == power_w
    assert (given.bound_by.rule == "minimum_power") == (power_w == 0.0)


@pytest.mark.parametrize("limit_w", [0.0, 4_140.0, 4_553.0, 4_554.0, 6_000.0, 9_108.0, 15_000.0])
def test_a18_a_permit_is_nothing_or_at_least_six_amperes_a_phase_at_the_highest_mains(limit_w: float) -> None:
    """Whatever a feeder leaves; where it leaves the fallbacks, these are kept and no charger pauses."""
    floor_w = 3 * 6.0 * 253.0
    scene = outlets(wishing(ready(2, 0.0), 30_000.0, 30_000.0), min_charge_w=floor_w, fallback_w=floor_w)
    first, second = scene.site.feeders
    scene = with_site(scene, feeders=(replace(first, import_limit_w=(limit_w + 0.1) / MARGIN), second))
    given = [each.power_w for each in permit(scene).permits]
    assert all(power_w == 0.0 or power_w >= floor_w for power_w in given)
    assert limit_w < 2.0 * floor_w or min(given) >= floor_w


def test_a_change_of_direction_ramps_from_nothing() -> None:
    safety = replace(ready().site.safety, ramp_up_w_per_s=5_000.0)
    assert (
        permit(wishing(with_site(ready(2, 10_000.0), safety=safety), -30_000.0, 0.0)).permits[0].power_w
        == -5_000.0
    )
    assert (
        permit(wishing(with_site(ready(2, -10_000.0), safety=safety), 30_000.0, 0.0)).permits[0].power_w
        == 5_000.0
    )


def test_the_first_step_of_each_direction_is_its_own_least_power() -> None:
    scene = outlets(
        with_site(ready(2, 0.0), safety=replace(ready().site.safety, ramp_up_w_per_s=500.0)),
        min_charge_w=4_000.0,
    )
    scene = outlets(scene, min_discharge_w=1_000.0)
    assert [given.power_w for given in permit(wishing(scene, 30_000.0, -30_000.0)).permits] == [
        4_000.0,
        -1_000.0,
    ]
    slow = with_site(scene, safety=replace(scene.site.safety, ramp_up_w_per_s=0.5))
    assert [given.power_w for given in permit(wishing(slow, 30_000.0, -30_000.0)).permits] == [
        4_000.0,
        -1_000.0,
    ]


def test_who_wishes_no_export_takes_nothing_of_a_feeders_export() -> None:
    scene = ready(2, 0.0)
    first, second = scene.site.feeders
    scene = with_site(scene, feeders=(replace(first, export_limit_w=24_000.0), second))
    assert [given.power_w for given in permit(wishing(scene, -20_000.0, 0.0)).permits] == [-20_000.0, 0.0]


def test_a_grid_trip_ends_with_the_return_to_service() -> None:
    tripped = Latch("grid_relay_open", "site", True, 0.0, "a test", present=False)
    scene = ready()._replace(memory=replace(ready().memory, latches=(tripped,)))
    assert permit(scene).contactor
    waiting = scene._replace(
        memory=replace(scene.memory, service=replace(scene.memory.service, state="waiting", since_s=None))
    )
    assert not permit(waiting).contactor


@pytest.mark.parametrize(
    ("dead_man", "silent", "disobeys", "dropped"),
    [
        ("contactor", False, False, ()),
        ("contactor", True, False, ("k1",)),
        ("contactor", False, True, ("k1",)),
        ("ocpp_profile", True, True, ()),
    ],
)
def test_a_charger_without_a_lease_of_its_own_loses_its_contactor_when_it_does_not_listen_or_follow(
    dead_man: DeadMan, silent: bool, disobeys: bool, dropped: tuple[str, ...]
) -> None:
    scene = ready()
    first, second = scene.site.evses
    other = replace(second, dead_man="contactor", contactor="k2")
    scene = with_site(scene, evses=(replace(first, dead_man=dead_man, contactor="k1"), other))
    if silent:
        scene = with_evse(scene, link=Link(False, True, NOW_S))
    if disobeys:
        held = Latch("disobedient", first.id, True, 0.0, "a test", present=False)
        scene = scene._replace(memory=replace(scene.memory, latches=(held,)))
    decision = permit(scene)
    assert (decision.contactor, decision.dropped) == (True, dropped)


def test_what_the_ramp_and_the_minimum_leave_is_said_in_watts() -> None:
    scene = with_site(
        outlets(ready(2, 0.0), min_discharge_w=1_000.0),
        safety=replace(ready().site.safety, ramp_up_w_per_s=5_000.0),
    )
    up, down = permit(wishing(scene, 30_000.0, -30_000.0)).permits
    assert (up.bound_by.min_w, up.bound_by.max_w) == (0.0, 5_000.0)
    assert (down.bound_by.min_w, down.bound_by.max_w) == (-5_000.0, 0.0)
    little = permit(wishing(scene, 0.0, -500.0)).permits
    assert (little[1].bound_by.rule, little[1].bound_by.min_w, little[1].bound_by.max_w) == (
        "minimum_power",
        0.0,
        0.0,
    )
    assert little[0].bound_by.rule == "wish", "who wishes nothing is not short of anything"


def test_a_charger_that_does_not_obey_counts_with_all_it_can_draw() -> None:
    scene = ready(2, 0.0)
    first, second = scene.site.feeders
    scene = with_site(scene, feeders=(replace(first, import_limit_w=60_000.0), second))
    scene = wishing(scene, 0.0, 20_000.0)
    assert permit(scene).permits[1].power_w == 20_000.0
    latch = Latch("disobedient", "b1", True, 0.0, "a test")
    quarantined = scene._replace(memory=replace(scene.memory, latches=(latch,)))
    dark = with_meter(with_meter(quarantined, "hall-meter", power_w=GONE), "grid", repeats=50)
    assert permit(dark).permits[1].power_w <= 8_800.0, "no second meter: its rating"
    unmetered = with_evse(quarantined, power_w=GONE)
    assert permit(unmetered).permits[1].power_w == pytest.approx(8_800.0)
    assert permit(quarantined).permits[1].power_w == 20_000.0, "two meters say that it draws nothing"


def test_nothing_is_never_a_negative_nothing() -> None:
    """A charger might read a sign as a direction."""
    for wish_w in (-0.0, 0.0):
        assert [str(given.power_w) for given in permit(wishing(ready(2, 0.0), wish_w, wish_w)).permits] == [
            "0.0",
            "0.0",
        ]


def test_a_contact_that_is_neither_open_nor_closed_gives_no_service() -> None:
    half = with_snapshot(ready(), contacts=(ContactState(Link(True, True, NOW_S), Reading(0.5, NOW_S)),))
    assert permit(half).memory.service.state != "in_service"


def test_a_clock_that_stands_still_or_goes_back_gives_no_ramp() -> None:
    scene = wishing(ready(2, 0.0), 30_000.0, -30_000.0)
    for then_s in (NOW_S, NOW_S + 5.0):
        frozen = outlets(
            scene._replace(memory=replace(scene.memory, now_s=then_s)), min_charge_w=0.0, min_discharge_w=0.0
        )
        assert [given.power_w for given in permit(frozen).permits] == [0.0, 0.0]


def test_an_accepted_permit_replaces_all_before_it() -> None:
    scene = with_memory(ready(2, 10_000.0), most_w=40_000.0, least_w=-30_000.0)
    told = with_evse(scene, command=CommandState(10_000.0, "accepted", NOW_S, NOW_S + 30.0))
    assert (remembers(told).most_w, remembers(told).least_w) == (10_000.0, 0.0)
    for ack in ("pending", "rejected", "silent", "none"):
        open_ = with_evse(scene, command=CommandState(10_000.0, ack, NOW_S, NOW_S + 30.0))
        assert (remembers(open_).most_w, remembers(open_).least_w) == (40_000.0, -30_000.0)


def test_the_permit_before_counts_until_the_new_one_is_accepted() -> None:
    up = wishing(ready(2, 10_000.0), 0.0, 0.0)
    assert (remembers(up).power_w, remembers(up).most_w, remembers(up).least_w) == (0.0, 10_000.0, 0.0)
    down = wishing(ready(2, -10_000.0), 0.0, 0.0)
    assert (remembers(down).power_w, remembers(down).most_w, remembers(down).least_w) == (0.0, 0.0, -10_000.0)
    behind = with_evse(up, command=CommandState(15_000.0, "accepted", NOW_S, NOW_S + 30.0))
    assert remembers(behind).most_w == 15_000.0


def test_what_a_silent_charger_may_draw_is_kept_free_in_everybodys_departure() -> None:
    scene = ready(2, 0.0)
    first, second = scene.site.feeders
    scene = with_site(scene, feeders=(replace(first, import_limit_w=60_000.0), second))
    scene = with_vehicle(wishing(scene, 0.0, -20_000.0), 1, departure_wall_s=Reading(WALL_S + 7_200.0, NOW_S))
    assert permit(scene).permits[1].power_w == -20_000.0
    silent = with_memory(with_evse(scene, 0, link=Link(False, True, NOW_S)), 0, most_w=50_000.0)
    assert permit(silent).permits[1].power_w >= 0.0, "8.8 kW for two hours do not give 20 kWh back"


def test_the_chance_of_a_wait_is_spread_over_one() -> None:
    broken = with_snapshot(ready(), contacts=(ContactState(Link(True, True, NOW_S), Reading(0.0, NOW_S)),))
    chances = [
        permit(with_snapshot(broken, wall_s=WALL_S + tick)).memory.service.chance for tick in range(20)
    ]
    assert all(0.0 <= chance < 1.0 for chance in chances)
    assert len({int(10.0 * chance) for chance in chances}) == 10


def test_a_new_permit_counts_from_the_moment_it_is_made() -> None:
    scene = wishing(ready(2, 0.0), 20_000.0, -20_000.0)
    decision = permit(scene)
    assert [(old.most_w, old.least_w) for old in decision.memory.evses] == [(20_000.0, 0.0), (0.0, -20_000.0)]
    assert [old.power_w for old in decision.memory.evses] == [20_000.0, -20_000.0]


def test_what_a_silent_charger_was_last_told_is_kept_until_its_lease_ends() -> None:
    silent = with_evse(ready(2, 20_000.0), link=Link(False, True, NOW_S))
    assert (remembers(silent).power_w, remembers(silent).lease_until_s) == (20_000.0, NOW_S + 29.0)
    at_the_end = with_memory(silent, lease_until_s=NOW_S)
    assert remembers(at_the_end).power_w == 20_000.0
    over = with_memory(silent, lease_until_s=NOW_S - 0.1)
    assert remembers(over).power_w == 0.0
    assert remembers(over).lease_until_s == NOW_S - 0.1, (
        "nothing new is in force at a charger that hears nothing"
    )


def test_leases_are_renewed_unless_inputs_are_dead() -> None:
    scene = ready(2, 20_000.0)
    assert all(given.renew for given in permit(scene).permits)
    for dead in (
        with_meter(scene, "grid", power_w=GONE),
        with_meter(scene, "grid", repeats=99),
        with_snapshot(scene, contacts=(ContactState(Link(True, True, NOW_S), GONE),)),
    ):
        assert not any(given.renew for given in permit(dead).permits)
    assert all(given.renew for given in permit(with_vehicle(scene, soc_pct=GONE)).permits)


def test_without_a_grid_code_or_a_contact_nothing_is_exported() -> None:
    scene = ready()
    for changes in ({"profile": None}, {"relay": ""}):
        bare = with_site(scene, grid=replace(scene.site.grid, **changes))
        decision = permit(bare)
        assert [given.power_w for given in decision.permits] == [0.0, 0.0]
        assert "not_in_service" in {bound.rule for bound in decision.bounds[0]}
        assert decision.contactor


def test_memory_goes_through_a_tick_in_the_sites_order() -> None:
    memory = permit(ready(3)).memory
    assert memory.started
    assert memory.now_s == NOW_S
    assert len(memory.evses) == 3
    assert len(memory.meters) == 2
    assert len(memory.bases) == 2
    assert memory.live_w == (0.0, 30_000.0)


def test_the_first_tick_ever_needs_no_memory() -> None:
    scene = ready(2, 20_000.0)
    decision = permit(scene._replace(memory=EnvelopeMemory()))
    assert [given.power_w for given in decision.permits] == [0.0, 0.0]
    again = next_tick(scene, decision)
    assert permit(again).permits[0].power_w == 20_000.0


def test_a_restart_keeps_what_stands_and_proves_the_grid_anew() -> None:
    scene = ready()
    held = Latch("disobedient", "b2", True, 0.0, "a test", present=False, times=3)
    memory = permit(
        scene._replace(memory=replace(scene.memory, latches=(held,), taken_pct={"bus-1": 7.0}))
    ).memory
    draws = (LearnedPower("s-bus-1", learned_w=22_000.0), None)
    memory = replace(memory, departures=replace(memory.departures, draws=draws))
    fresh = restarted(memory, scene.site, 5.0)
    assert not fresh.started
    assert [old.lease_until_s for old in fresh.evses] == [35.0, 35.0]
    assert [(old.power_w, old.soc_pct, old.session) for old in fresh.evses] == [
        (old.power_w, old.soc_pct, old.session) for old in memory.evses
    ]
    assert {old.soc_at_s for old in fresh.evses} == {-ANY_W}, (
        "the clock may have begun anew: the next sample is a new one"
    )
    assert (fresh.meters, fresh.bases, fresh.live_w) == ((), (), ())
    assert fresh.service.state == "waiting"
    assert [latch.subject for latch in fresh.latches if latch.row == "disobedient"] == ["b2"]
    assert fresh.latches == memory.latches
    assert fresh.taken_pct == memory.taken_pct
    assert [draw and draw.learned_w for draw in fresh.departures.draws] == [22_000.0, None]


def test_d7_a_site_file_with_other_outlets_keeps_what_is_known_by_id() -> None:
    """b1 is gone, b2 stays, b3 is new; and so the other way round."""
    scene = ready(3)
    held = Latch("disobedient", "b2", True, 0.0, "a test", present=False, times=3)
    lost = replace(held, subject="b1")
    memory = permit(
        scene._replace(memory=replace(scene.memory, latches=(lost, held), taken_pct={"bus-2": 7.0}))
    ).memory
    first, second, third = scene.site.evses
    site = replace(scene.site, evses=(second, replace(third, id="b4")))
    fresh = restarted(memory, site, 5.0)
    assert fresh.ids == ("b2", "b4")
    assert (fresh.evses[0].session, fresh.evses[0].power_w) == ("s-bus-2", memory.evses[1].power_w)
    assert (fresh.evses[1].most_w, fresh.evses[1].least_w, fresh.evses[1].lease_until_s) == (
        50_000.0,
        -50_000.0,
        35.0,
    )
    quarantined = {
        latch.subject: latch.times for latch in fresh.latches if latch.row == "disobedient" and latch.active
    }
    assert quarantined == {"b2": 3, "b4": 1}, "what is not known is assumed to act"
    assert fresh.taken_pct["bus-2"] == pytest.approx(7.0, abs=0.01)
    one_way = replace(site, evses=(replace(first, id="b9", discharge_by="none"),))
    assert restarted(memory, one_way, 5.0).evses[0].least_w == 0.0


def test_d7_a_memory_of_before_the_ids_is_read_in_the_sites_order() -> None:
    scene = ready()
    memory = replace(permit(scene).memory, ids=())
    assert [old.session for old in restarted(memory, scene.site, 5.0).evses] == ["s-bus-1", "s-bus-2"]


def test_a_depot_that_just_runs_settles() -> None:
    scene = ready(2, 20_000.0)
    for _ in range(5):
        decision = permit(scene)
        assert [given.power_w for given in decision.permits] == [20_000.0, 20_000.0]
        assert {given.bound_by.rule for given in decision.permits} == {"wish"}
        scene = next_tick(scene, decision)
        total_w = sum(given.power_w for given in decision.permits)
        scene = with_meter(scene, "hall-meter", power_w=Reading(total_w, scene.snapshot.now_s))


def test_an_unplugged_outlet_takes_over_nothing_of_the_last_vehicle() -> None:
    gone = with_evse(ready(2, 20_000.0), vehicle=None)
    assert permit(gone).permits[0].power_w == 0.0
    assert remembers(gone).session == ""
    assert remembered("s", 5.0).power_w == 5.0
