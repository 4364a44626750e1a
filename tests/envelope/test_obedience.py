"""A charger obeys its permit, or, when the lease has run out, its default profile; anything more is
disobedience.
"""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from tests.envelope.strategies import NOW_S, frame, next_tick, permit, ready, with_evse, with_memory
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.envelope.checks import _in_force
from v2g_edge.envelope.facts import Grid, look
from v2g_edge.envelope.permits import TOLD_S
from v2g_edge.model.evidence import TOLD_MOST, Told, tell
from v2g_edge.model.permit import Wish
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import SafetySettings
from v2g_edge.model.snapshot import CommandState, Operator

FALLBACK_W = 6_000.0


def disobedient(power_w: float, lease_until_s: float) -> bool:
    """Whether a charger that was stopped and draws ``power_w`` for a minute is called disobedient."""
    safety = SafetySettings(charger_max_age_s=1_000.0, meter_max_age_s=1_000.0, contact_max_age_s=1_000.0)
    site = replace(small_site(1, safety=safety), evses=(small_evse("b1", fallback_w=FALLBACK_W),))
    command = CommandState(0.0, "accepted", 0.0, lease_until_s)
    cycle, memory, found = Cycle(site), Memory(), False
    for second in range(60):
        snapshot = healthy(site, 1_000.0 + second, operator=Operator(stop=True))
        evse = replace(snapshot.evses[0], power_w=Reading(power_w, snapshot.now_s), command=command)
        outcome = cycle.tick(replace(snapshot, evses=(evse,)), None, memory)
        memory = outcome.memory
        found = found or any(event.kind == "disobedient" for event in outcome.events)
    return found


def test_the_default_profile_is_no_disobedience_once_the_lease_has_run_out() -> None:
    """A trip withholds renewals on purpose: the whole fleet would be quarantined by every grid disturbance
    otherwise.
    """
    assert not disobedient(FALLBACK_W, lease_until_s=900.0)


def test_under_a_lease_the_default_power_is_disobedience_and_so_is_more_than_it_without_one() -> None:
    assert disobedient(FALLBACK_W, lease_until_s=2_000.0)
    assert disobedient(FALLBACK_W + 2_000.0, lease_until_s=900.0)
    assert disobedient(-2_000.0, lease_until_s=900.0)


def flapping(obeys: bool, seconds: int) -> set[str]:
    """Permits go between 34 and 45 kW every other second or so; the charger is at each within a tick
    (``obeys``), or 8 kW above it, and reports each 10 s.
    """
    scene, told_w, reported = ready(1, 45_000.0), 45_000.0, Reading(45_000.0, NOW_S)
    for second in range(seconds):
        wish_w = 45_000.0 if second // 3 % 2 else 34_000.0
        decision = permit(scene._replace(wishes={"b1": Wish("b1", wish_w, 0.5, "test")}))
        told_w = decision.permits[0].power_w
        scene = next_tick(scene._replace(wishes={"b1": Wish("b1", wish_w, 0.5, "test")}), decision)
        if second % 10 == 9:
            reported = Reading(told_w + (0.0 if obeys else 8_000.0), scene.snapshot.now_s)
        scene = with_evse(scene, power_w=reported)
    return {
        latch.row for latch in permit(scene).memory.latches if latch.row == "disobedient" and latch.active
    }


def test_d3_a_report_is_judged_by_the_permits_of_its_own_time() -> None:
    assert flapping(obeys=True, seconds=300) == set()
    assert flapping(obeys=False, seconds=300) == {"disobedient"}


def test_d3_what_was_permitted_long_ago_excuses_nothing() -> None:
    scene = ready(1, 40_000.0)
    scene = next_tick(scene, permit(scene))
    scene = scene._replace(wishes={"b1": Wish("b1", 0.0, 0.5, "test")})
    seen = []
    for _ in range(40):
        scene = with_evse(
            next_tick(scene, permit(scene)), power_w=Reading(40_000.0, scene.snapshot.now_s + 1.0)
        )
        seen.append(
            any(latch.row == "disobedient" and latch.active for latch in permit(scene).memory.latches)
        )
    assert 20 <= seen.index(True) <= 30, "five seconds for it to follow, twenty of allowance"


def test_d3_the_permits_that_are_kept_are_few_and_span_what_they_stand_for() -> None:
    told: tuple[Told, ...] = ()
    for second in range(200):
        power_w = 45_000.0 if second % 2 else 34_000.0
        told = tell(told, float(second), power_w, power_w, TOLD_S)
        assert len(told) <= TOLD_MOST
    assert (told[0].least_w, told[0].most_w) == (34_000.0, 45_000.0)
    for second in range(200, 400):
        told = tell(told, float(second), 34_000.0, 34_000.0, TOLD_S)
    assert [(each.least_w, each.most_w) for each in told] == [(34_000.0, 34_000.0)]


@pytest.mark.parametrize(
    ("sampled_s", "span"),
    [
        (99.0, (0.0, 5_000.0)),  # before all that is kept: by the oldest
        (104.0, (0.0, 5_000.0)),  # by the first alone: no later permit speaks for an earlier sample
        (110.0, (-9_000.0, 5_000.0)),  # a permit counts from its tick on, beside the one before it
        (114.9, (-9_000.0, 5_000.0)),
        (115.0, (-9_000.0, 0.0)),  # and alone five seconds later
        (120.0, (-9_000.0, 45_000.0)),
        (124.0, (-9_000.0, 45_000.0)),
        (125.0, (0.0, 45_000.0)),
        (500.0, (0.0, 45_000.0)),
    ],
)
def test_d3_the_span_of_the_permits_in_force_at_a_sample(sampled_s: float, span: tuple[float, float]) -> None:
    told = (Told(100.0, 0.0, 5_000.0), Told(110.0, -9_000.0, 0.0), Told(120.0, 0.0, 45_000.0))
    scene = with_evse(with_memory(ready(1), 0, told=told), 0, power_w=Reading(0.0, sampled_s))
    memory, grid = scene.memory, Grid("", "", "", 1.0)
    outlet = look(frame(scene.site), scene.snapshot, memory, grid).outlets[0]
    assert _in_force(outlet) == span
