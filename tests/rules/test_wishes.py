"""What the depot would like: leave in time, follow the plan, charge what is lacking."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.model.frame import frame_of
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Operator, Order, Snapshot
from v2g_edge.rules.charging_need import TARGET_MARGIN_PCT
from v2g_edge.rules.sharing import CALMS_AFTER_S, RulesMemory
from v2g_edge.rules.wishes import propose_all

WALL_S = 1_000_000.0
SITE = small_site()


def wishes_of(site: Site, snapshot: Snapshot, plan: Plan | None) -> dict[str, Wish]:
    """What the rules would like, of a depot whose turns have just begun."""
    return propose_all(frame_of(site), snapshot, plan)[0]


def _plan(*pairs: tuple[str, float], site_w: float | None = None, until_s: float = 3_600.0) -> Plan:
    slot = Slot(WALL_S, WALL_S + until_s, pairs, site_w)
    return Plan(1, "cloud", WALL_S, WALL_S, WALL_S + until_s, (slot,))


def _leaving_in(seconds: float) -> Snapshot:
    snapshot = healthy(SITE)
    first = plugged("bus-1", 100.0, WALL_S, departure_wall_s=Reading(WALL_S + seconds, 100.0))
    return replace(snapshot, evses=(first, snapshot.evses[1]))


def test_a_plan_is_followed_while_there_is_time() -> None:
    wishes = wishes_of(SITE, healthy(SITE), _plan(("b1", -10_000.0), ("b2", 5_000.0)))
    assert [(wish.power_w, wish.reason) for wish in wishes.values()] == [
        (-10_000.0, "plan"),
        (5_000.0, "plan"),
    ]


def test_a_vehicle_that_must_leave_soon_does_not_follow_the_plan() -> None:
    wishes = wishes_of(SITE, _leaving_in(1_500.0), _plan(("b1", -10_000.0)))
    assert wishes["b1"].reason == "departure"
    assert wishes["b1"].power_w == 50_000.0


def test_departures_that_fit_one_by_one_but_not_together_press_all_of_them() -> None:
    hall = replace(SITE.feeders[0], import_limit_w=30_000.0)
    tight = replace(SITE, feeders=(hall, SITE.feeders[1]))
    evses = tuple(
        plugged(
            f"bus-{i}",
            100.0,
            WALL_S,
            soc_pct=Reading(60.0, 100.0),
            departure_wall_s=Reading(WALL_S + 5.0 * 3600.0, 100.0),
        )
        for i in (1, 2)
    )
    wishes = wishes_of(tight, replace(healthy(tight), evses=evses), _plan(("b1", 0.0), ("b2", 0.0)))
    assert {wish.reason for wish in wishes.values()} == {"departure"}


def _reason_of(snapshot: Snapshot, before: tuple[str, ...]) -> str:
    memory = RulesMemory(urgent=before)
    return propose_all(frame_of(SITE), snapshot, _plan(("b1", 0.0)), memory=memory)[0]["b1"].reason


def test_who_had_to_charge_goes_on_until_it_has_a_quarter_hour_to_spare() -> None:
    """Else it is told full power and nothing in turns: at full power it gains time, in each pause it loses
    it.
    """
    seconds = next(s for s in range(0, 36_000, 60) if _reason_of(_leaving_in(float(s)), ()) == "plan")
    assert _reason_of(_leaving_in(seconds + CALMS_AFTER_S - 120.0), ("b1",)) == "departure"
    assert _reason_of(_leaving_in(seconds + CALMS_AFTER_S + 60.0), ("b1",)) == "plan"


def test_who_has_to_charge_is_remembered() -> None:
    _, memory = propose_all(frame_of(SITE), _leaving_in(1_500.0), _plan(("b1", 0.0)))
    assert memory.urgent == ("b1",)


def test_a_feeder_that_was_tight_stays_so_for_a_while() -> None:
    hall = replace(SITE.feeders[0], import_limit_w=30_000.0)
    tight = replace(SITE, feeders=(hall, SITE.feeders[1]))

    def reasons(hours: float, before: tuple[str, ...]) -> set[str]:
        evses = tuple(
            plugged(
                f"bus-{i}",
                100.0,
                WALL_S,
                soc_pct=Reading(60.0, 100.0),
                departure_wall_s=Reading(WALL_S + hours * 3_600.0, 100.0),
            )
            for i in (1, 2)
        )
        snapshot, plan = replace(healthy(tight), evses=evses), _plan(("b1", 0.0), ("b2", 0.0))
        memory = RulesMemory(urgent=before)
        return {
            wish.reason for wish in propose_all(frame_of(tight), snapshot, plan, memory=memory)[0].values()
        }

    calm_h = next(h / 10.0 for h in range(30, 100) if reasons(h / 10.0, ()) == {"plan"})
    assert reasons(calm_h, ("b1", "b2")) == {"departure"}
    assert reasons(1.2 * calm_h, ("b1", "b2")) == {"plan"}


def test_a_vehicle_that_needs_hours_begins_before_others_that_depart_sooner_are_done() -> None:
    """The first bus could wait, and the feeder could serve it in time; but the second can take no more than
    50 kW until it departs, so that both together leave the feeder no time.
    """
    hall = replace(SITE.feeders[0], import_limit_w=76_000.0)
    tight = replace(SITE, feeders=(hall, SITE.feeders[1]))

    def reasons(later_pct: float) -> list[str]:
        first = plugged(
            "bus-1", 100.0, WALL_S, soc_pct=Reading(50.0, 100.0),
            departure_wall_s=Reading(WALL_S + 3.0 * 3_600.0, 100.0),
        )  # fmt: skip
        second = plugged(
            "bus-2", 100.0, WALL_S, soc_pct=Reading(later_pct, 100.0),
            departure_wall_s=Reading(WALL_S + 4.5 * 3_600.0, 100.0),
        )  # fmt: skip
        snapshot = replace(healthy(tight), evses=(first, second))
        wishes = wishes_of(tight, snapshot, _plan(("b1", 0.0), ("b2", 0.0)))
        return [wish.reason for wish in wishes.values()]

    assert reasons(85.0) == ["plan", "plan"]
    assert reasons(10.0) == ["departure", "departure"]


def test_outside_its_validity_a_plan_says_nothing() -> None:
    late = healthy(SITE, wall_s=WALL_S + 3_600.0)
    assert {
        wish.reason for wish in wishes_of(SITE, late, _plan(("b1", -10_000.0), ("b2", 0.0))).values()
    } == {"charge"}


def test_a_site_target_is_shared_among_those_it_does_not_name() -> None:
    wishes = wishes_of(SITE, healthy(SITE), _plan(("b1", 5_000.0), site_w=-20_000.0))
    assert wishes["b1"].power_w == 5_000.0
    assert wishes["b2"].power_w == -20_000.0
    assert wishes["b2"].reason == "plan_site"


def test_a_full_vehicle_wishes_nothing() -> None:
    full = plugged("bus-1", 100.0, WALL_S, soc_pct=Reading(95.0, 100.0))
    wishes = wishes_of(SITE, replace(healthy(SITE), evses=(full, healthy(SITE).evses[1])), None)
    assert (wishes["b1"].power_w, wishes["b1"].reason) == (0.0, "idle")


def test_who_should_have_left_charges_with_all_it_takes_before_the_plan() -> None:
    wishes = wishes_of(SITE, _leaving_in(-7_200.0), _plan(("b1", -10_000.0)))
    assert (wishes["b1"].power_w, wishes["b1"].reason) == (50_000.0, "overdue")


def test_who_draws_little_leaves_the_rest_of_a_short_feeder_to_the_others() -> None:
    """Four urgent buses of 50 kW on 98 kW: told in full two of them would get everything and draw 44."""
    site = small_site(4)
    soon = tuple(
        plugged(f"bus-{i}", 100.0, WALL_S, departure_wall_s=Reading(WALL_S + 1_500.0, 100.0))
        for i in range(1, 5)
    )
    snapshot = replace(healthy(site), evses=soon)
    full = {wish.power_w for wish in wishes_of(site, snapshot, None).values()}
    assert full == {50_000.0, 48_000.0, 0.0}
    enough_w = {"b1": 23_600.0, "b2": 23_600.0, "b3": 23_600.0, "b4": 23_600.0}
    wishes, _ = propose_all(frame_of(site), snapshot, None, enough_w=enough_w)
    assert [wish.power_w for wish in wishes.values()] == [23_600.0] * 4
    assert {wish.reason for wish in wishes.values()} == {"departure"}


def test_a_plan_fills_no_vehicle_beyond_its_target_while_another_lacks_charge() -> None:
    hall = replace(SITE.feeders[0], import_limit_w=50_000.0)
    tight = replace(SITE, feeders=(hall, SITE.feeders[1]))
    full = plugged("bus-1", 100.0, WALL_S, soc_pct=Reading(95.0, 100.0))
    snapshot = replace(healthy(tight), evses=(full, healthy(tight).evses[1]))
    wishes = wishes_of(tight, snapshot, _plan(("b1", 50_000.0), ("b2", 50_000.0)))
    assert wishes["b2"].power_w > 45_000.0
    assert wishes["b1"].power_w == 0.0, "what is left is less than its charger can do"


def test_where_feeders_have_room_everybody_may_show_what_it_can() -> None:
    wide = replace(SITE, feeders=(replace(SITE.feeders[0], import_limit_w=150_000.0), SITE.feeders[1]))
    wishes, _ = propose_all(frame_of(wide), _leaving_in(1_500.0), None, enough_w={"b1": 23_600.0})
    assert wishes["b1"].power_w == 50_000.0


def test_a_full_vehicle_that_is_about_to_leave_wishes_nothing() -> None:
    full = plugged(
        "bus-1",
        100.0,
        WALL_S,
        soc_pct=Reading(95.0, 100.0),
        departure_wall_s=Reading(WALL_S + 60.0, 100.0),
    )
    wishes = wishes_of(SITE, replace(healthy(SITE), evses=(full, healthy(SITE).evses[1])), None)
    assert (wishes["b1"].power_w, wishes["b1"].reason) == (0.0, "idle")


def test_one_whose_departure_is_not_known_presses_no_other() -> None:
    """It charges with what the others leave; as if it had to leave now it would make every feeder tight."""
    stranger = plugged("bus-1", 100.0, WALL_S, departure_wall_s=Unknown("not said"))
    snapshot = replace(healthy(SITE), evses=(stranger, healthy(SITE).evses[1]))
    wishes = wishes_of(SITE, snapshot, _plan(("b2", 5_000.0)))
    assert (wishes["b2"].power_w, wishes["b2"].reason) == (5_000.0, "plan")


def test_the_less_time_a_vehicle_has_to_spare_the_more_urgent_it_is() -> None:
    def urgency(hours: float) -> float:
        return wishes_of(SITE, _leaving_in(hours * 3_600.0), None)["b1"].urgency

    assert 0.0 < urgency(30.0) < urgency(10.0) < urgency(2.0) < 1.0
    assert urgency(0.1) > 1.0


def test_a_sites_export_is_shared_by_what_chargers_can_discharge() -> None:
    evses = (SITE.evses[0], replace(SITE.evses[1], max_discharge_w=10_000.0))
    site = replace(SITE, evses=evses)
    slot = Slot(WALL_S - 1.0, WALL_S + 900.0, (), -30_000.0)
    plan = Plan(1, "cloud", WALL_S, WALL_S - 1.0, WALL_S + 900.0, (slot,))
    wishes = wishes_of(site, healthy(site), plan)
    assert [round(wish.power_w) for wish in wishes.values()] == [-25_000, -5_000]


@pytest.mark.parametrize(
    ("departs_in_s", "lacks_kwh", "first"),
    [
        (5_400.0, 90.0, True),
        (5_400.0, 97.0, False),
        (60.0, 14.0, True),
        (-60.0, 14.0, True),
        (-60.0, 17.0, False),
        (-3_600.0, 14.0, True),
        (-3_601.0, 14.0, False),
    ],
)
def test_who_comes_first_is_in_time_nearly_so_or_as_good_as_ready(
    departs_in_s: float, lacks_kwh: float, first: bool
) -> None:
    """Of 60 kW for two chargers of 50 kW: 93.8 kWh are a quarter more than 90 minutes give, 15.6 than 15."""
    hall = replace(SITE.feeders[0], import_limit_w=60_000.0)
    site = replace(SITE, feeders=(hall, SITE.feeders[1]))
    lacks_pct = lacks_kwh * 0.94 / 2.0
    late = plugged(
        "bus-1",
        100.0,
        WALL_S,
        soc_pct=Reading(79.5 - lacks_pct, 100.0),
        target_soc_pct=Reading(79.0, 100.0),
        departure_wall_s=Reading(WALL_S + departs_in_s, 100.0),
    )
    fine = replace(
        late,
        vehicle=replace(
            late.vehicle,  # type: ignore[type-var]
            vehicle="bus-2",
            soc_pct=Reading(40.0, 100.0),
            departure_wall_s=Reading(WALL_S + 6_000.0, 100.0),
        ),
    )
    wishes = wishes_of(site, replace(healthy(site), evses=(late, fine)), None)
    assert (wishes["b1"].power_w > wishes["b2"].power_w) == first


def test_a_site_target_to_charge_is_shared_by_what_each_lacks() -> None:
    snapshot = healthy(SITE)
    lacking = plugged("bus-1", 100.0, WALL_S, soc_pct=Reading(60.0, 100.0))
    wishes = wishes_of(SITE, replace(snapshot, evses=(lacking, snapshot.evses[1])), _plan(site_w=40_000.0))
    assert [wish.reason for wish in wishes.values()] == ["plan_site"] * 2
    lacks_pct = 90.0 + TARGET_MARGIN_PCT - 60.0, 90.0 + TARGET_MARGIN_PCT - 80.0
    shares_w = [40_000.0 * each / sum(lacks_pct) for each in lacks_pct]
    assert [wish.power_w for wish in wishes.values()] == pytest.approx(shares_w)


def test_what_must_not_export_for_a_while_may_charge() -> None:
    """The certificate held it back for the others' sake: that takes no charging away."""
    plan = _plan(("b1", 10_000.0), ("b2", -10_000.0))
    wishes, _ = propose_all(frame_of(SITE), healthy(SITE), plan, held=("b1", "b2"))
    assert [(wish.power_w, wish.reason) for wish in wishes.values()] == [
        (10_000.0, "plan"),
        (0.0, "departure_hold"),
    ]


@pytest.mark.parametrize(
    ("soc_pct", "reason", "power_w"), [(80.0, "order_boost", 50_000.0), (95.0, "plan", -9.0)]
)
def test_a_boost_goes_up_to_the_target_and_no_further(soc_pct: float, reason: str, power_w: float) -> None:
    boosted = plugged("bus-1", 100.0, WALL_S, soc_pct=Reading(soc_pct, 100.0))
    snapshot = healthy(
        SITE, operator=Operator(orders=(Order(1, "boost", "bus-1", WALL_S + 3_600.0, WALL_S),))
    )
    snapshot = replace(snapshot, evses=(boosted, snapshot.evses[1]))
    wish = wishes_of(SITE, snapshot, _plan(("b1", -9.0), ("b2", 0.0)))["b1"]
    assert (wish.reason, wish.power_w) == (reason, power_w)
