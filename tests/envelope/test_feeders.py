"""The supply tree: shares, worst cases, phases, imbalance, and what a meter over its limit takes away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
    permit,
    ready,
    rested,
    with_evse,
    with_memory,
    with_meter,
    with_site,
    with_snapshot,
)
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.exposure import LATE_S, UNMETERED_S, Exposure, Quarantine, exposure_of
from v2g_edge.envelope.facts import Context, Grid, look, observe
from v2g_edge.envelope.feeders import Cut, fit
from v2g_edge.envelope.limits import limits_of
from v2g_edge.model.evidence import Told
from v2g_edge.model.frame import frame_of
from v2g_edge.model.limits import ANY_W, Bound
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import CurrentLimit
from v2g_edge.model.snapshot import CommandState, Link

MARGIN = 0.98
QUIET = Grid("", "", "", 1.0)


def context(scene: Scene) -> Context:
    laid = frame_of(scene.site)
    return look(laid, scene.snapshot, observe(laid, scene.snapshot, scene.memory, 1.0), QUIET)


def exposure(scene: Scene, *, quarantine: Quarantine = "") -> Exposure:
    seen = context(scene)
    return exposure_of(seen, seen.outlets[0], quarantine=quarantine)


def fits(scene: Scene, wished_w: tuple[float, ...]) -> list[Cut]:
    seen = context(scene)
    exposures = [exposure_of(seen, o) for o in seen.outlets]
    return fit(seen, list(wished_w), list(wished_w), exposures, limits_of(seen, seen.frame.tree.base_max_w))


def fitted(scene: Scene, *wished_w: float) -> list[float]:
    return [
        round(
            min(max(w, *(c.min_w for c in cut.values())), *(c.max_w for c in cut.values())) if cut else w, 3
        )
        for w, cut in zip(wished_w, fits(scene, wished_w), strict=True)
    ]


def cuts_of(scene: Scene, *wished_w: float) -> list[Bound | None]:
    cuts = fits(scene, wished_w)
    assert all(len(cut) <= 1 for cut in cuts), "a setpoint goes one way"
    return [next(iter(cut.values()), None) for cut in cuts]


def hall(scene: Scene, **changes: object) -> Scene:
    first, second = scene.site.feeders
    return with_site(scene, feeders=(replace(first, **changes), second))


def outlets(scene: Scene, **changes: object) -> Scene:
    return with_site(scene, evses=tuple(replace(evse, **changes) for evse in scene.site.evses))


def resting(evses: int = 2) -> Scene:
    """Nobody charges, nobody was told to."""
    return ready(evses, 0.0)


def charging(evses: int, each_w: float) -> Scene:
    """All have been charging at this power for a while."""
    return ready(evses, each_w)


def test_what_fits_is_left_alone() -> None:
    assert fitted(resting(), 40_000.0, -40_000.0) == [40_000.0, -40_000.0]


def test_too_much_is_shared_by_wishes() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=50_000.0)
    assert fitted(scene, 40_000.0, 20_000.0) == [round(49_000.0 * 2 / 3, 3), round(49_000.0 / 3, 3)]
    scene = hall(charging(2, 0.0), export_limit_w=50_000.0)
    assert fitted(scene, -40_000.0, -20_000.0) == [round(-49_000.0 * 2 / 3, 3), round(-49_000.0 / 3, 3)]


def test_proven_fallbacks_come_first() -> None:
    scene = hall(charging(2, 40_000.0), import_limit_w=30_000.0)
    scene = with_meter(scene, "hall-meter", power_w=Reading(29_000.0, NOW_S))
    first = replace(scene.site.evses[0], fallback_w=10_000.0)
    scene = with_site(scene, evses=(first, scene.site.evses[1]))
    rest_w = 29_400.0 - 10_000.0
    assert fitted(scene, 40_000.0, 40_000.0) == [
        round(10_000.0 + rest_w * 3 / 7, 3),
        round(rest_w * 4 / 7, 3),
    ]


def test_who_wishes_no_more_than_the_proven_fallback_is_not_cut() -> None:
    scene = hall(outlets(charging(2, 10_000.0), fallback_w=10_000.0), import_limit_w=30_000.0)
    assert [cut is None for cut in cuts_of(scene, 10_000.0, 40_000.0)] == [True, False]


def test_base_load_of_all_feeders_below_is_kept_free() -> None:
    scene = with_site(
        charging(2, 0.0), feeders=tuple(replace(f, import_limit_w=100_000.0) for f in ready().site.feeders)
    )
    scene = hall(scene, base_load_max_w=20_000.0)
    assert sum(fitted(scene, 50_000.0, 50_000.0)) == pytest.approx(98_000.0 - 50_000.0)


def test_generation_below_a_feeder_takes_from_its_export() -> None:
    scene = hall(charging(2, 0.0), base_load_min_w=-40_000.0)
    assert sum(fitted(scene, -50_000.0, -50_000.0)) == pytest.approx(-58_000.0)


def test_a_raise_waits_until_the_others_have_come_down() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=50_000.0)
    scene = with_memory(
        with_evse(scene, 0, power_w=Reading(45_000.0, NOW_S)), 0, power_w=45_000.0, most_w=45_000.0
    )
    assert fitted(scene, 0.0, 45_000.0)[1] == pytest.approx(4_000.0), "b1 still draws what it was permitted"
    down = with_evse(scene, 0, power_w=Reading(0.0, NOW_S))
    assert fitted(down, 0.0, 45_000.0)[1] == pytest.approx(4_000.0), "its old permit may still be in force"
    told = with_memory(down, 0, power_w=0.0, most_w=0.0)
    assert fitted(told, 0.0, 45_000.0) == [0.0, 45_000.0]


def test_a_raise_comes_on_top_of_what_the_charger_may_still_be_drawing_itself() -> None:
    scene = hall(with_memory(resting(), 0, power_w=10_000.0, most_w=30_000.0), import_limit_w=50_000.0)
    assert fitted(scene, 40_000.0, 0.0) == [pytest.approx(10_000.0 + 49_000.0 - 30_000.0), 0.0]


def test_a_raise_is_shared_from_where_each_stands() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=50_000.0)
    scene = with_memory(scene, 0, power_w=40_000.0, most_w=40_000.0)
    scene = with_memory(
        with_evse(scene, 1, power_w=Reading(5_000.0, NOW_S)), 1, power_w=5_000.0, most_w=5_000.0
    )
    assert fitted(scene, 0.0, 45_000.0)[1] == pytest.approx(9_000.0)


def test_where_nothing_is_left_not_a_watt_is_given() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=40_000.0)
    silent = with_evse(scene, 0, link=replace(scene.snapshot.evses[0].link, connected=False))
    silent = with_memory(silent, 0, power_w=50_000.0, most_w=50_000.0)
    assert fitted(silent, 0.0, 20_000.0)[1] == 0.0
    assert [cut and cut.max_w for cut in cuts_of(silent, 0.0, 0.5)] == [None, 0.0]


def test_a_cut_of_one_direction_says_nothing_of_the_other() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=20_000.0, export_limit_w=10_000.0)
    up, down = cuts_of(scene, 30_000.0, -30_000.0)
    assert up is not None
    assert down is not None
    assert (up.min_w, round(up.max_w, 3)) == (-ANY_W, 19_600.0)
    assert (round(down.min_w, 3), down.max_w) == (-9_800.0, ANY_W)


def test_the_power_of_a_vehicle_that_has_just_left_is_not_given_away_in_the_same_tick() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=50_000.0)
    left = with_memory(with_evse(scene, 0, vehicle=None), 0, power_w=45_000.0, most_w=45_000.0)
    assert fitted(left, 0.0, 45_000.0)[1] == pytest.approx(4_000.0)


def test_a_silent_charger_is_counted_at_its_lease_then_at_its_fallback() -> None:
    scene = hall(charging(2, 0.0), import_limit_w=50_000.0)
    silent = with_evse(
        outlets(scene, fallback_w=6_000.0), 0, link=replace(scene.snapshot.evses[0].link, connected=False)
    )
    leased = with_memory(silent, 0, power_w=30_000.0, most_w=30_000.0)
    assert fitted(leased, 0.0, 50_000.0)[1] == pytest.approx(19_000.0)
    at_the_end = with_memory(leased, 0, lease_until_s=NOW_S)
    assert fitted(at_the_end, 0.0, 50_000.0)[1] == pytest.approx(19_000.0)
    lapsed = with_memory(silent, 0, power_w=30_000.0, most_w=30_000.0, lease_until_s=NOW_S - 1.0)
    assert fitted(lapsed, 0.0, 50_000.0)[1] == pytest.approx(43_000.0)
    assert exposure(lapsed) == Exposure(False, 6_000.0, 0.0, own_w=6_000.0)


def test_d11_unproven_default() -> None:
    """Where nothing shows that it holds its default profile, a silent charger counts at its rating."""
    scene = hall(charging(2, 0.0), import_limit_w=60_000.0)
    silent = with_evse(
        outlets(scene, fallback_w=6_000.0), 0, link=replace(scene.snapshot.evses[0].link, connected=False)
    )
    lapsed = with_memory(silent, 0, power_w=30_000.0, most_w=30_000.0, lease_until_s=NOW_S - 1.0)
    unproven = with_evse(lapsed, 0, default_held=False)
    assert exposure(unproven) == Exposure(False, 50_000.0, 0.0, own_w=6_000.0)
    assert fitted(unproven, 0.0, 50_000.0)[1] == pytest.approx(8_800.0), "of 60 kW less 2 %"


@pytest.mark.parametrize("dead_man", ["none", "contactor"])
def test_a_charger_without_dead_man_of_its_own_keeps_what_it_had_after_its_lease(dead_man: str) -> None:
    """A contactor opens when we die, not when the charger falls silent while we feed it."""
    scene = outlets(charging(2, 30_000.0), dead_man=dead_man)
    silent = with_evse(scene, 0, link=replace(scene.snapshot.evses[0].link, connected=False))
    lapsed = with_memory(silent, 0, lease_until_s=NOW_S - 1.0)
    assert exposure(lapsed) == Exposure(False, 30_000.0, 0.0)


def test_the_worst_case_of_one_charger() -> None:
    base = outlets(charging(1, 10_000.0), fallback_w=3_000.0)
    assert exposure(base) == Exposure(True, 10_000.0, 0.0)
    assert exposure(with_evse(base, power_w=Reading(12_000.0, NOW_S))).charge_w == 12_000.0
    assert exposure(with_evse(base, power_w=GONE)) == Exposure(True, 50_000.0, 50_000.0)
    assert exposure(with_evse(base, power_w=Reading(-90_000.0, NOW_S))) == Exposure(True, 10_000.0, 50_000.0)
    assert exposure(with_evse(base, power_w=Reading(90_000.0, NOW_S))) == Exposure(True, 50_000.0, 0.0)
    assert exposure(with_evse(outlets(base, discharge_by="none"), power_w=GONE)) == Exposure(
        True, 50_000.0, 0.0
    )
    assert exposure(with_evse(base, vehicle=None)) == Exposure(True, 0.0, 0.0)
    assert exposure(base, quarantine="priority") == Exposure(
        False, 50_000.0, 50_000.0, own_w=50_000.0, follows=False
    )
    dark = with_evse(base, power_w=GONE)
    assert exposure(dark, quarantine="disobedient") == Exposure(
        False, 50_000.0, 50_000.0, own_w=10_000.0, follows=False
    )
    fed = with_memory(base, least_w=-5_000.0)
    assert exposure(fed) == Exposure(True, 10_000.0, 5_000.0)
    assert exposure(with_evse(fed, power_w=Reading(-8_000.0, NOW_S))).discharge_w == 8_000.0
    assert exposure(with_evse(fed, power_w=GONE)) == Exposure(True, 50_000.0, 50_000.0)
    assert exposure(with_evse(fed, power_w=GONE), quarantine="disobedient").discharge_w == 50_000.0


@pytest.mark.parametrize("power", [GONE, Reading(2_000.0, NOW_S)], ids=["no reading", "the first one"])
def test_d20_one_that_was_long_not_metered_counts_at_its_rating_and_may_use_it(power: Measured) -> None:
    """What is read in this tick counts from the next one on: else losing it would give more."""
    base = outlets(charging(1, 10_000.0), fallback_w=3_000.0)
    for since_s, own_w in ((NOW_S - UNMETERED_S - 1.0, 50_000.0), (NOW_S - UNMETERED_S, 0.0)):
        scene = with_evse(with_memory(base, dark_since_s=since_s), power_w=power)
        after = permit(scene).memory.evses[0]
        assert after.dark_since_s == (since_s if power is GONE else ANY_W)
        if own_w or power is GONE:
            seen = exposure(scene)
            assert (seen.charge_w, seen.discharge_w, seen.own_w) == (50_000.0, 50_000.0, own_w)
            assert not seen.rests
        else:
            assert exposure(scene).charge_w == 10_000.0
        away = with_evse(scene, link=Link(False, True, NOW_S - 5.0))
        assert exposure(away).own_w == 3_000.0, "it hears nothing of more"


def test_d20_two_that_are_not_metered_share_what_is_counted_for_them() -> None:
    """Their ratings are more than the hall has: for good nobody there charged, they as little as others."""
    scene = hall(outlets(charging(3, 0.0), fallback_w=0.0), import_limit_w=80_000.0)
    scene = scene._replace(wishes={evse: Wish(evse, 50_000.0, 0.5, "test") for evse in ("b1", "b2", "b3")})
    for index in (0, 1):
        dark = with_memory(scene, index, dark_since_s=NOW_S - 3_600.0)
        scene = with_evse(dark, index, power_w=GONE)
    scene = with_site(scene, safety=replace(scene.site.safety, ramp_up_w_per_s=1e6))
    permits_w = [each.power_w for each in permit(scene).permits]
    assert permits_w == pytest.approx([39_200.0, 39_200.0, 0.0]), "98 % of 80 kW, and none beside"
    less = scene._replace(
        wishes={evse: replace(wish, power_w=30_000.0) for evse, wish in scene.wishes.items()}
    )
    permits_w = [each.power_w for each in permit(less).permits]
    assert permits_w == pytest.approx([30_000.0, 30_000.0, 0.0]), "what they wish fits"
    one = with_memory(with_evse(scene, 1, power_w=Reading(0.0, NOW_S)), 1, dark_since_s=ANY_W)
    first_w, *rest_w = [each.power_w for each in permit(one).permits]
    assert first_w == pytest.approx(50_000.0)
    assert sum(rest_w) <= 78_400.0 - 50_000.0 + 1e-6


def at_rest(scene: Scene, *indices: int) -> Scene:
    """Their power is not metered, and for long nothing above their fallback was permitted."""
    for index in indices:
        memory = rested(scene.memory.evses[index], scene.site.evses[index])
        dark = replace(memory, dark_since_s=NOW_S - 900.0)
        evses = tuple(dark if i == index else old for i, old in enumerate(scene.memory.evses))
        scene = with_evse(scene._replace(memory=replace(scene.memory, evses=evses)), index, power_w=GONE)
    return scene


def test_one_that_is_not_metered_counts_at_its_default_while_nothing_above_it_can_be_in_force() -> None:
    base = at_rest(outlets(charging(1, 0.0), fallback_w=3_000.0), 0)
    rests = exposure(base)
    assert (rests.charge_w, rests.own_w, rests.rests, rests.fixed_w) == (3_000.0, 50_000.0, True, 3_000.0)
    lease_s = base.site.safety.lease_s + LATE_S
    now_too = (Told(NOW_S - 900.0, 0.0, 10_000.0), Told(NOW_S - 20.0, 0.0, 0.0))
    for doubted in (
        with_evse(base, default_held=False),
        outlets(base, dead_man="contactor"),
        outlets(base, dead_man="none"),
        with_memory(base, told=()),
        with_memory(base, told=(Told(NOW_S - lease_s + 1.0, 0.0, 0.0),)),
        with_memory(base, told=now_too),
        with_memory(base, most_w=3_001.0),
        with_memory(base, least_w=-1.0),
        with_evse(base, command=CommandState(-1.0, "accepted", NOW_S, NOW_S + 30.0)),
    ):
        assert not exposure(doubted).rests
        assert exposure(doubted).fixed_w == 50_000.0
    assert exposure(with_memory(base, told=(Told(NOW_S - lease_s, 0.0, 0.0),))).rests


@pytest.mark.parametrize(("limit_w", "beside_w"), [(120_000.0, 67_600.0), (110_000.0, 57_800.0)])
def test_one_that_is_not_metered_begins_only_where_its_rating_fits_beside_the_others(
    limit_w: float, beside_w: float
) -> None:
    """However little it wishes itself."""
    scene = at_rest(hall(charging(2, 0.0), import_limit_w=limit_w), 0)
    assert fitted(scene, 10_000.0, beside_w) == [10_000.0, beside_w]
    assert fitted(scene, 10_000.0, beside_w + 1.0) == [10_000.0, beside_w], "the others leave it that"
    busy = with_memory(scene, 1, power_w=beside_w + 1.0, most_w=beside_w + 1.0)
    assert fitted(busy, 10_000.0, 1_000.0) == [0.0, 1_000.0], "the other has not come down yet"
    seen = context(scene)
    exposures, limits = [exposure_of(seen, o) for o in seen.outlets], limits_of(seen, (0.0, 30_000.0))
    cuts = fit(seen, [10_000.0, 0.0], [10_000.0, 0.0], exposures, limits, frozenset({0}))
    assert not cuts[0], "no other outlet asks"
    cuts = fit(seen, [10_000.0, 1.0], [10_000.0, 1.0], exposures, limits, frozenset({0}))
    assert cuts[0]["unmetered"].max_w == 0.0, "nothing is raised a moment after an excess"


def test_who_begins_waits_for_those_that_come_to_rest_and_leaves_the_others_what_is_proven_for_them() -> None:
    scene = at_rest(hall(charging(3, 0.0), import_limit_w=100_000.0), 0, 1)
    ending = with_memory(scene, 1, told=(), power_w=50_000.0, most_w=50_000.0)
    assert fitted(ending, 10_000.0, 0.0, 40_000.0) == [0.0, 0.0, 40_000.0], "its rating is not free yet"
    assert fitted(ending, 10_000.0, 0.0, 50_000.0) == [0.0, 0.0, 48_000.0]
    assert fitted(ending, 0.0, 10_000.0, 40_000.0) == [0.0, 10_000.0, 40_000.0]
    assert fitted(scene, 10_000.0, 10_000.0, 5_000.0) == [10_000.0, 0.0, 0.0], "one fits, and is waited for"
    proven = outlets(scene, fallback_w=4_000.0)
    proven = with_memory(with_memory(proven, 0, most_w=4_000.0), 1, most_w=4_000.0)
    assert fitted(proven, 10_000.0, 10_000.0, 5_000.0)[2] == 4_000.0


def test_where_nobody_is_metered_all_begin_and_share_what_there_is() -> None:
    scene = at_rest(hall(charging(3, 0.0), import_limit_w=80_000.0), 0, 1, 2)
    assert fitted(scene, 50_000.0, 50_000.0, 50_000.0) == pytest.approx([78_400.0 / 3.0] * 3)
    assert fitted(scene, 50_000.0, 20_000.0, 0.0) == pytest.approx([50_000.0, 20_000.0, 0.0])


def test_a1_a_quarantined_charger_counts_with_what_two_meters_bound_and_else_with_its_rating() -> None:
    base = outlets(charging(2, 10_000.0), fallback_w=3_000.0)
    bound = Exposure(False, 10_000.0, 0.0, own_w=10_000.0, follows=False)
    assert exposure(base, quarantine="disobedient") == bound
    assert exposure(with_memory(base, shown_w=30_000.0), quarantine="disobedient").charge_w == 30_000.0, (
        "it has shown as much"
    )
    fed = with_evse(base, power_w=Reading(-8_000.0, NOW_S))
    fed = with_meter(fed, "hall-meter", power_w=Reading(2_000.0, NOW_S))
    fed = with_meter(fed, "grid", power_w=Reading(32_000.0, NOW_S))
    assert exposure(fed, quarantine="disobedient").discharge_w == 8_000.0
    rating = Exposure(False, 50_000.0, 50_000.0, own_w=10_000.0, follows=False)
    assert exposure(with_evse(base, power_w=GONE), quarantine="disobedient") == rating, "its own meter"
    for meter in ("hall-meter", "grid"):
        one = with_meter(base, meter, power_w=GONE)
        assert exposure(one, quarantine="disobedient") == bound, "the other meter above it still sees it"
    for wrong in ({"power_w": GONE}, {"repeats": 50}, {"power_w": Reading(190_000.0, NOW_S)}):
        nobody = with_meter(with_meter(base, "hall-meter", **wrong), "grid", **wrong)
        assert exposure(nobody, quarantine="disobedient") == rating, wrong


def test_a1_a_quarantined_charger_may_use_what_is_counted_for_it_and_at_least_its_minimum() -> None:
    base = outlets(resting(2), fallback_w=0.0)
    assert exposure(base, quarantine="disobedient").own_w == base.site.evses[0].min_charge_w
    assert exposure(outlets(base, fallback_w=9_000.0), quarantine="disobedient").own_w == 9_000.0
    assert exposure(with_memory(base, most_w=20_000.0), quarantine="disobedient").own_w == 20_000.0


@pytest.mark.parametrize("quarantine", ["", "disobedient", "priority"])
def test_a1_an_outlet_without_a_vehicle_does_not_count_at_its_rating(quarantine: Quarantine) -> None:
    empty = with_evse(charging(2, 10_000.0), vehicle=None, power_w=GONE)
    assert exposure(empty, quarantine=quarantine) == Exposure(True, 0.0, 0.0)


def test_d8_power_without_a_session_counts_as_it_was_last_metered() -> None:
    seven_kw = with_memory(with_evse(charging(2, 0.0), vehicle=None), loose_w=7_000.0)
    assert exposure(seven_kw) == Exposure(True, 7_000.0, 0.0)
    assert exposure(with_evse(seven_kw, power_w=GONE)) == Exposure(True, 7_000.0, 0.0), (
        "also while it is not metered"
    )
    assert exposure(with_memory(seven_kw, loose_w=-7_000.0)) == Exposure(True, 0.0, 7_000.0)
    scene = with_evse(
        hall(charging(2, 0.0), import_limit_w=60_000.0), vehicle=None, power_w=Reading(45_000.0, NOW_S)
    )
    after = permit(scene).memory
    assert after.evses[0].loose_w == 45_000.0
    assert fitted(scene._replace(memory=after), 0.0, 50_000.0)[1] == pytest.approx(58_800.0 - 45_000.0)
    dark = with_evse(scene._replace(memory=after), power_w=GONE)
    assert permit(dark).memory.evses[0].loose_w == 45_000.0
    assert permit(with_evse(dark, power_w=Reading(0.0, NOW_S))).memory.evses[0].loose_w == 0.0


def test_a_charger_never_seen_is_at_its_fallback_until_it_was_told_something() -> None:
    base = outlets(charging(1, 10_000.0), fallback_w=3_000.0)
    link = replace(base.snapshot.evses[0].link, connected=False, ever_seen=False)
    unseen = with_evse(base, link=link)
    assert exposure(with_memory(unseen, lease_until_s=0.0)) == Exposure(False, 3_000.0, 0.0, own_w=3_000.0)
    assert exposure(with_memory(outlets(unseen, dead_man="none"), lease_until_s=0.0)) == Exposure(
        False, 3_000.0, 0.0, own_w=3_000.0
    )
    assert exposure(with_memory(base, lease_until_s=0.0)) == Exposure(True, 10_000.0, 0.0), (
        "seen, and not told anything yet"
    )
    assert exposure(unseen) == Exposure(False, 10_000.0, 0.0, own_w=3_000.0)
    assert exposure(with_memory(unseen, most_w=1_000.0, power_w=1_000.0)).charge_w == 10_000.0
    assert (
        exposure(with_memory(with_evse(unseen, power_w=Reading(0.0, NOW_S)), most_w=1_000.0)).charge_w
        == 3_000.0
    )


def test_a_meter_over_its_limit_takes_the_excess_from_what_the_chargers_use() -> None:
    scene = hall(charging(2, 40_000.0), import_limit_w=100_000.0)
    over = with_meter(scene, "hall-meter", power_w=Reading(108_000.0, NOW_S))
    assert sum(fitted(over, 40_000.0, 40_000.0)) == pytest.approx(80_000.0 - 10_000.0)
    alone = with_memory(with_evse(over, 1, power_w=Reading(0.0, NOW_S)), 1, power_w=0.0, most_w=0.0)
    assert fitted(alone, 40_000.0, 0.0)[0] == pytest.approx(30_000.0)
    fed = hall(ready(2, -40_000.0), export_limit_w=100_000.0)
    over = with_meter(fed, "hall-meter", power_w=Reading(-108_000.0, NOW_S))
    assert sum(fitted(over, -40_000.0, -40_000.0)) == pytest.approx(-70_000.0)


def test_a_meter_at_its_limit_takes_nothing_off() -> None:
    scene = hall(charging(2, 40_000.0), import_limit_w=100_000.0)
    at_the_limit = with_meter(scene, "hall-meter", power_w=Reading(98_000.0, NOW_S))
    assert fitted(at_the_limit, 45_000.0, 45_000.0) == [45_000.0, 45_000.0]
    a_watt_over = with_meter(scene, "hall-meter", power_w=Reading(98_001.0, NOW_S))
    assert sum(fitted(a_watt_over, 45_000.0, 45_000.0)) == pytest.approx(79_999.0)


def test_the_excess_never_takes_the_proven_fallback() -> None:
    scene = outlets(hall(charging(2, 10_000.0), import_limit_w=100_000.0), fallback_w=6_000.0)
    over = with_meter(scene, "hall-meter", power_w=Reading(190_000.0, NOW_S))
    assert fitted(over, 10_000.0, 10_000.0) == [6_000.0, 6_000.0]


def test_a_silent_feeder_meter_leaves_the_fallback_and_no_export() -> None:
    scene = with_meter(outlets(charging(2, 10_000.0), fallback_w=6_000.0), "hall-meter", power_w=GONE)
    assert fitted(scene, 10_000.0, -10_000.0) == [6_000.0, 0.0]


def test_the_tightest_feeder_decides_and_is_named() -> None:
    scene = hall(ready(2, 40_000.0), import_limit_w=50_000.0)
    decision = permit(scene)
    assert {given_.bound_by.rule for given_ in decision.permits} == {"feeder_import"}
    assert all("feeder hall: import limit 50000 W" in given_.bound_by.source for given_ in decision.permits)


LIMIT = CurrentLimit(import_a=50.0, export_a=20.0, imbalance_a=ANY_W, base_load_a=0.0)


def test_a_phase_limit_binds_three_phase_chargers_on_all_phases_alike() -> None:
    scene = hall(charging(2, 0.0), current=LIMIT)
    assert sum(fitted(scene, 50_000.0, 50_000.0)) == pytest.approx(3 * 50.0 * 230.0 * MARGIN)
    assert sum(fitted(scene, -50_000.0, -50_000.0)) == pytest.approx(-3 * 20.0 * 230.0 * MARGIN)


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_a_single_phase_charger_is_bound_by_its_own_phase_alone(phase: int) -> None:
    scene = hall(charging(2, 0.0), current=LIMIT)
    single = replace(scene.site.evses[0], phases=("L1", "L2", "L3")[phase])
    other = replace(scene.site.evses[1], phases=("L2", "L3", "L1")[phase])
    scene = with_site(scene, evses=(single, other))
    assert fitted(scene, 20_000.0, 5_000.0) == [round(50.0 * 230.0 * MARGIN, 3), 5_000.0]
    cut = cuts_of(scene, 20_000.0, 5_000.0)[0]
    assert cut is not None
    assert f"50 A import on L{phase + 1} at 230 V" in cut.source


def test_single_and_three_phase_chargers_meet_on_a_phase() -> None:
    scene = hall(charging(2, 0.0), current=LIMIT)
    single = replace(scene.site.evses[0], phases="L2")
    scene = with_site(scene, evses=(single, replace(scene.site.evses[1], phases="L3L1L2")))
    first_w, second_w = fitted(scene, 10_000.0, 30_000.0)
    assert first_w + second_w / 3.0 == pytest.approx(50.0 * 230.0 * MARGIN)


def test_the_base_load_of_a_phase_is_kept_free_and_is_all_of_it_where_nobody_measured() -> None:
    kept = replace(LIMIT, base_load_a=10.0)
    assert sum(fitted(hall(charging(2, 0.0), current=kept), 50_000.0, 50_000.0)) == pytest.approx(
        3 * (49.0 - 10.0) * 230.0
    )
    nothing = hall(charging(2, 0.0), current=replace(LIMIT, base_load_a=None), base_load_max_w=0.0)
    assert sum(fitted(nothing, 50_000.0, 50_000.0)) == pytest.approx(3 * 49.0 * 230.0)
    unknown = hall(charging(2, 0.0), current=replace(LIMIT, base_load_a=None), base_load_max_w=3_000.0)
    assert sum(fitted(unknown, 50_000.0, 50_000.0)) == pytest.approx(3 * (49.0 * 230.0 - 3_000.0))


def test_amperes_are_turned_into_watts_at_the_lowest_voltage_there_may_be() -> None:
    scene = hall(charging(2, 0.0), current=LIMIT)

    def at(*volts: float | None) -> float:
        readings = tuple(GONE if v is None else Reading(v, NOW_S) for v in volts)
        return sum(fitted(with_meter(scene, "hall-meter", phase_voltage_v=readings), 50_000.0, 50_000.0))

    assert at(230.0, 230.0, 230.0) == pytest.approx(3 * 49.0 * 230.0)
    assert at(250.0, 240.0, 260.0) == pytest.approx(3 * 49.0 * 230.0), "never more than nominal"
    assert at(230.0, 210.0, 230.0) == pytest.approx(3 * 49.0 * 210.0), (
        "the weakest phase binds three-phase chargers"
    )
    assert at(230.0, None, 230.0) == pytest.approx(3 * 49.0 * 184.0)
    assert at(230.0, 100.0, 230.0) == pytest.approx(3 * 49.0 * 184.0)


def test_a_feeder_without_a_meter_goes_by_the_voltage_of_the_grid_meter() -> None:
    scene = hall(charging(2, 0.0), current=LIMIT, meter="")
    low = with_meter(scene, "grid", phase_voltage_v=(Reading(210.0, NOW_S),) * 3)
    assert sum(fitted(low, 50_000.0, 50_000.0)) == pytest.approx(3 * 49.0 * 210.0)


def test_a_phase_metered_over_its_limit_takes_its_excess() -> None:
    scene = hall(charging(2, 15_000.0), current=LIMIT)
    over_w = 49.0 * 230.0 + 2_000.0
    phases = (Reading(0.0, NOW_S), Reading(over_w, NOW_S), Reading(0.0, NOW_S))
    assert sum(
        fitted(with_meter(scene, "hall-meter", phase_power_w=phases), 15_000.0, 15_000.0)
    ) == pytest.approx(3 * (10_000.0 - 2_000.0))


def test_imbalance_is_halved_between_the_directions() -> None:
    scene = hall(charging(2, 0.0), current=replace(LIMIT, import_a=500.0, export_a=500.0, imbalance_a=20.0))
    first, second = scene.site.evses
    scene = with_site(scene, evses=(replace(first, phases="L1"), replace(second, phases="L2")))
    half_w = round(20.0 * 230.0 * MARGIN / 2.0, 3)
    assert fitted(scene, 7_000.0, -7_000.0) == [half_w, -half_w]
    sources = [cut.source if cut else "" for cut in cuts_of(scene, 7_000.0, -7_000.0)]
    assert [text[-2:] for text in sources] == ["L1", "L2"]
    three = with_site(scene, evses=(replace(first, phases="L1L2L3"), replace(second, phases="L2")))
    assert fitted(three, 20_000.0, 1_000.0) == [20_000.0, 1_000.0]


@given(
    wished=st.lists(st.floats(-50_000.0, 50_000.0), min_size=4, max_size=4),
    limit_w=st.floats(0.0, 150_000.0),
    less=st.floats(0.0, 1.0),
)
def test_a_tighter_feeder_never_gives_anybody_more(wished: list[float], limit_w: float, less: float) -> None:
    scene = resting(4)
    wide = fitted(hall(scene, import_limit_w=limit_w, export_limit_w=limit_w), *wished)
    tight = fitted(hall(scene, import_limit_w=limit_w * less, export_limit_w=limit_w * less), *wished)
    assert all(abs(t) <= abs(w) + 1e-3 for t, w in zip(tight, wide, strict=True))


@given(
    wished=st.lists(st.floats(0.0, 50_000.0), min_size=3, max_size=3), limit_w=st.floats(1_000.0, 150_000.0)
)
def test_what_a_feeder_has_is_used(wished: list[float], limit_w: float) -> None:
    got = fitted(hall(resting(3), import_limit_w=limit_w), *wished)
    assert sum(got) == pytest.approx(min(sum(wished), limit_w * MARGIN), abs=1e-2)


def test_too_little_for_a_charger_is_nothing() -> None:
    scene = hall(ready(2, 0.0), import_limit_w=7_000.0)
    scene = scene._replace(wishes={evse: Wish(evse, 50_000.0, 0.5, "test") for evse in ("b1", "b2")})
    decision = permit(scene._replace(memory=replace(scene.memory, service=ServiceMemory())))
    assert [given_.power_w for given_ in decision.permits] == [0.0, 0.0]
    assert {given_.bound_by.rule for given_ in decision.permits} == {"minimum_power"}


def untried(scene: Scene, *indices: int) -> Scene:
    """At these outlets nobody has ever seen a discharge."""
    for index in indices:
        scene = with_evse(scene, index, proven_discharge=False)
    return scene


def refused(scene: Scene, *wished_w: float) -> list[bool]:
    return ["unproven_discharge" in cut for cut in fits(scene, wished_w)]


def test_a_first_discharge_needs_room_for_charging_at_the_rating_beside_what_the_others_wish() -> None:
    scene = hall(untried(resting(), 0), import_limit_w=100_000.0)
    assert refused(scene, -2_000.0, 40_000.0) == [False, False], "98 kW: 50 kW for it and 40 kW for the other"
    assert refused(scene, -2_000.0, 49_000.0) == [True, False]
    assert fitted(scene, -2_000.0, 49_000.0) == [0.0, 49_000.0], "who charges loses nothing"
    assert refused(hall(resting(), import_limit_w=50_000.0), -2_000.0, 49_000.0) == [
        False,
        False,
    ], "a proven one needs no such room"


def test_a_first_discharge_may_take_the_last_watt_of_the_room_and_no_more() -> None:
    scene = hall(untried(resting(), 0), import_limit_w=100_000.0)
    assert refused(scene, -2_000.0, 48_000.0) == [False, False], "50 kW and 48 kW are all of 98 kW"
    assert refused(scene, -2_000.0, 48_000.5) == [True, False]
    running = with_memory(scene, 0, least_w=-2_000.0)
    assert refused(running, -2_000.0, 48_000.0) == [False, False]
    turning = with_memory(hall(scene, import_limit_w=60_000.0), 0, power_w=30_000.0, most_w=30_000.0)
    assert refused(turning, -2_000.0, 0.0) == [
        False,
        False,
    ], "what it draws itself until then is part of its rating"


def test_a_first_discharge_needs_its_rating_below_no_export_limit_and_no_other_feeder() -> None:
    assert refused(hall(untried(resting(1), 0), export_limit_w=10_000.0), -2_000.0) == [False]
    scene = untried(resting(), 0)
    beside = replace(scene.site.feeders[0], id="yard", import_limit_w=10_000.0, meter="")
    evses = (scene.site.evses[0], replace(scene.site.evses[1], feeder="yard"))
    assert refused(with_site(scene, feeders=(*scene.site.feeders, beside), evses=evses), -2_000.0, 0.0) == [
        False,
        False,
    ]


def test_d2_what_is_wished_for_a_silent_charger_beyond_its_count_leaves_no_room_for_a_first_discharge() -> (
    None
):
    """Each watt once: the wish holds the 20 kW that it was last told, which may flow now."""
    scene = hall(
        untried(with_memory(resting(), 1, power_w=40_000.0, most_w=20_000.0), 0), import_limit_w=100_000.0
    )
    silent = with_evse(scene, 1, link=Link(False, True, NOW_S))
    assert refused(silent, -2_000.0, 0.0) == [False, False]
    assert refused(silent, -2_000.0, 40_000.0) == [False, False]
    assert refused(silent, -2_000.0, 50_000.0) == [True, False]


def test_a_first_discharge_that_is_refused_says_why() -> None:
    scene = hall(untried(ready(1, 0.0), 0), import_limit_w=40_000.0)
    (cut,) = cuts_of(scene, -2_000.0)
    assert cut is not None
    assert (cut.min_w, cut.max_w) == (0.0, ANY_W)
    assert (
        cut.source
        == "never seen to discharge, and no room for its rating beside the others: feeder hall: import limit"
        " 40000 W, base load 0 W"
    )


def test_a_first_discharge_needs_room_on_every_phase() -> None:
    limit = CurrentLimit(import_a=100.0, export_a=100.0, imbalance_a=ANY_W, base_load_a=0.0)
    assert refused(hall(untried(resting(1), 0), current=limit), -2_000.0) == [False], (
        "100 A · 230 V · 3 are 69 kW"
    )
    assert refused(hall(untried(resting(1), 0), current=replace(limit, import_a=60.0)), -2_000.0) == [True]
    single = outlets(untried(resting(1), 0), phases="L2", max_charge_w=7_400.0)
    for import_a, full in ((40.0, False), (30.0, True)):
        assert refused(hall(single, current=replace(limit, import_a=import_a)), -2_000.0) == [full]


def test_what_the_others_still_use_leaves_no_room_for_a_first_discharge() -> None:
    """b2 was told to come down from 50 kW to 20 kW, and has not yet."""
    scene = hall(untried(resting(), 0), import_limit_w=90_000.0)
    assert refused(scene, -2_000.0, 20_000.0) == [False, False]
    scene = with_memory(scene, 1, most_w=50_000.0)
    assert refused(scene, -2_000.0, 20_000.0) == [True, False]


def test_the_room_of_a_running_first_discharge_is_nobody_elses() -> None:
    scene = hall(untried(resting(), 0), import_limit_w=100_000.0)
    for running in (
        with_memory(scene, 0, power_w=-2_000.0, least_w=-2_000.0),
        with_memory(scene, 0, least_w=-2_000.0),
    ):
        assert refused(running, -2_000.0, 40_000.0) == [False, False], "its own room is kept already"
        assert fitted(running, 0.0, 50_000.0)[1] == pytest.approx(48_000.0)
        assert fitted(untried(running, 1), 0.0, -50_000.0)[1] == 0.0, "another first discharge waits"
    command = replace(scene.snapshot.evses[0].command, power_w=-2_000.0)
    assert exposure(with_evse(scene, 0, command=command)) == Exposure(True, 50_000.0, 0.0, True)
    proven = with_evse(with_memory(scene, 0, least_w=-2_000.0), 0, proven_discharge=True)
    assert fitted(proven, 0.0, 50_000.0)[1] == 50_000.0


def test_first_discharges_take_turns_where_there_is_room_for_one() -> None:
    scene = hall(untried(resting(3), 0, 1, 2), import_limit_w=60_000.0)
    served = []
    for turn in range(4):
        scene = with_snapshot(scene, wall_s=300.0 * turn)
        served.append([i for i, no in enumerate(refused(scene, -2_000.0, -2_000.0, -2_000.0)) if not no])
    assert served == [[0], [1], [2], [0]]
    assert refused(with_snapshot(scene, wall_s=299.9), -2_000.0, -2_000.0, -2_000.0) == [False, True, True]


def test_a_one_way_charger_keeps_no_room() -> None:
    scene = untried(ready(2, -2_000.0), 0)
    scene = with_site(scene, evses=(replace(scene.site.evses[0], discharge_by="none"), scene.site.evses[1]))
    rules = [limit.rule for limit in permit(hall(scene, import_limit_w=10_000.0)).bounds[0]]
    assert "no_dead_man" in rules
    assert "unproven_discharge" not in rules


def test_a_refused_first_discharge_is_not_permitted() -> None:
    scene = hall(untried(ready(1, -2_000.0), 0), import_limit_w=40_000.0)
    (given_,) = permit(scene).permits
    assert (given_.power_w, given_.bound_by.rule) == (0.0, "unproven_discharge")
    (given_,) = permit(hall(scene, import_limit_w=60_000.0)).permits
    assert given_.power_w == -2_000.0


def test_one_that_may_charge_at_its_rating_instead_asks_for_its_wish_beside_that() -> None:
    """It was told to discharge and then to charge, and has taken neither: its rating is kept free beside."""
    told = CommandState(-20_000.0, "pending", NOW_S - 5.0, NOW_S + 25.0)
    scene = with_evse(charging(1, 20_000.0), 0, proven_discharge=False, command=told)
    scene = hall(with_memory(scene, 0, least_w=-20_000.0), import_limit_w=60_000.0)
    assert fitted(scene, 20_000.0) == [round(60_000.0 * MARGIN - 50_000.0, 3)]


def test_what_is_wished_for_a_silent_charger_beyond_its_count_has_its_share() -> None:
    """So that the others get no more because it fell silent."""
    scene = hall(charging(2, 10_000.0), import_limit_w=70_000.0 / MARGIN)
    link = Link(connected=True, ever_seen=True, last_seen_s=NOW_S - 100.0)
    silent = with_evse(scene, 0, link=link)
    assert exposure(silent) == Exposure(False, 10_000.0, 0.0)
    assert fitted(silent, 40_000.0, 40_000.0)[1] == round(40_000.0 * 60_000.0 / 70_000.0, 3)
    assert fitted(silent, 40_000.0, 30_000.0)[1] == 30_000.0
