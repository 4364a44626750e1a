"""Chargers that do not follow, tick by tick: the others go on charging, they themselves too, and it ends
without a person.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    Scene,
    next_tick,
    permit,
    ready,
    scenes,
    with_evse,
    with_meter,
    with_site,
)
from v2g_edge.envelope.permits import Decision
from v2g_edge.envelope.table import PROOF_MOST_S, PROOF_S, Latch, proof_s
from v2g_edge.model.reading import Reading

FALLBACK_W = 6_000.0
WISH_W = 20_000.0


def depot() -> Scene:
    """Four buses that wish 20 kW each on a feeder of 100 kW, with a default of 6 kW."""
    scene = ready(4, WISH_W)
    return with_site(scene, evses=tuple(replace(evse, fallback_w=FALLBACK_W) for evse in scene.site.evses))


def lived(scene: Scene, ignoring: int, seconds: int) -> tuple[Scene, list[Decision]]:
    """The first ``ignoring`` outlets discharge with 30 kW whatever they are told; the meters see all of
    it.
    """
    decisions = []
    for _ in range(seconds):
        decisions.append(permit(scene))
        scene = next_tick(scene, decisions[-1])
        for place in range(ignoring):
            scene = with_evse(scene, place, power_w=Reading(-30_000.0, scene.snapshot.now_s))
        total_w = sum(
            state.power_w.value for state in scene.snapshot.evses if isinstance(state.power_w, Reading)
        )
        for meter, base_w in (("hall-meter", 0.0), ("grid", 20_000.0)):
            scene = with_meter(scene, meter, power_w=Reading(total_w + base_w, scene.snapshot.now_s))
    return scene, decisions


def quarantined(decision: Decision) -> set[str]:
    return {latch.subject for latch in decision.memory.latches if latch.row == "disobedient" and latch.active}


@pytest.mark.parametrize("ignoring", [1, 3, 4])
def test_a1_starved_by_quarantine_the_others_charge_and_all_do_after_it(ignoring: int) -> None:
    scene, during = lived(depot(), ignoring, 120)
    assert len(quarantined(during[-1])) == ignoring
    obedient = during[-1].permits[ignoring:]
    assert all(given_.power_w == WISH_W for given_ in obedient), "two meters bound the others"
    assert all(given_.power_w >= FALLBACK_W for given_ in during[-1].permits), (
        "and they themselves are not told to stop"
    )
    _, after = lived(scene, 0, int(PROOF_S) + 10)
    assert quarantined(after[-1]) == set()
    assert [given_.power_w for given_ in after[-1].permits] == [WISH_W] * 4


def test_a1_a_charger_that_ignores_for_ever_is_retried_and_harms_nobody() -> None:
    _, decisions = lived(depot(), 3, 900)
    assert len(quarantined(decisions[-1])) == 3
    assert all(decision.permits[3].power_w == WISH_W for decision in decisions[60:])
    assert all(given_.power_w >= 0.0 for decision in decisions[60:] for given_ in decision.permits[:3])


def test_a1_without_a_second_meter_it_counts_at_its_rating_and_the_rest_is_shared() -> None:
    scene, _ = lived(depot(), 1, 120)
    blind = scene
    for meter in ("hall-meter", "grid"):
        blind = with_meter(blind, meter, repeats=99)
    assert permit(blind).permits[0].max_w <= permit(scene).permits[0].max_w
    hall, main = scene.site.feeders
    narrow = with_site(
        with_evse(scene, 0, power_w=GONE), feeders=(replace(hall, import_limit_w=60_000.0), main)
    )
    others_w = sum(given_.power_w for given_ in permit(narrow).permits[1:])
    assert others_w <= 60_000.0 * 0.98 - 50_000.0 + 1e-6


def test_what_is_permitted_to_those_that_count_for_more_than_the_feeder_has_still_fits() -> None:
    """Four at their ratings on 100 kW: 200 kW are counted, and what they may have of it is within the
    limit.
    """
    scene, _ = lived(depot(), 4, 120)
    hall, main = scene.site.feeders
    for place in range(4):
        scene = with_evse(scene, place, power_w=GONE)
    scene = with_site(scene, feeders=(replace(hall, import_limit_w=30_000.0), main))
    powers = [given_.power_w for given_ in permit(scene).permits]
    assert 0.0 < sum(powers) <= 30_000.0


@given(scene=scenes(), chosen=st.sets(st.integers(0, 4)))
@settings(max_examples=100, deadline=None)
def test_a_quarantine_never_exports_and_never_widens_the_permits_of_others(
    scene: Scene, chosen: set[int]
) -> None:
    names = {evse.id for place, evse in enumerate(scene.site.evses) if place in chosen}
    latches = tuple(
        Latch("disobedient", name, True, 0.0, "a test", present=False, times=1) for name in sorted(names)
    )
    others = tuple(latch for latch in scene.memory.latches if latch.row != "disobedient")
    before = permit(scene._replace(memory=replace(scene.memory, latches=others)))
    after = permit(scene._replace(memory=replace(scene.memory, latches=(*others, *latches))))
    for was, now in zip(before.permits, after.permits, strict=True):
        if now.evse in names:
            assert now.least_w >= 0.0
        else:
            assert max(now.least_w * -1.0, 0.0) <= max(was.least_w * -1.0, 0.0) + 1e-6


def test_the_wait_for_proof_doubles_and_stops_growing_at_half_an_hour() -> None:
    assert [proof_s(times) for times in (0, 1, 2, 3)] == [PROOF_S, PROOF_S, 2.0 * PROOF_S, 4.0 * PROOF_S]
    assert proof_s(7) == proof_s(1_000_000) == PROOF_MOST_S


def test_a_quarantined_charger_that_only_its_contactor_can_stop_loses_it() -> None:
    scene = depot()
    first = replace(scene.site.evses[0], dead_man="contactor", contactor="k1")
    scene = with_site(scene, evses=(first, *scene.site.evses[1:]))
    latch = Latch("disobedient", "b1", True, 0.0, "a test", present=False, times=1)
    held = scene._replace(memory=replace(scene.memory, latches=(latch,)))
    assert permit(scene).dropped == ()
    assert permit(held).dropped == ("k1",)
    assert permit(with_evse(held, vehicle=None)).dropped == ("k1",), "also with nothing plugged in"
