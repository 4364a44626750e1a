"""A charger obeys its permit, or, when the lease has run out, its default profile; anything more is disobedience."""

from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from v2g_edge.cycle import Cycle, Memory
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
    """A trip withholds renewals on purpose: the whole fleet would be quarantined by every grid disturbance otherwise."""
    assert not disobedient(FALLBACK_W, lease_until_s=900.0)


def test_under_a_lease_the_default_power_is_disobedience_and_so_is_more_than_it_without_one() -> None:
    assert disobedient(FALLBACK_W, lease_until_s=2_000.0)
    assert disobedient(FALLBACK_W + 2_000.0, lease_until_s=900.0)
    assert disobedient(-2_000.0, lease_until_s=900.0)
