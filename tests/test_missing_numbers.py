"""A missing number is a doubt, not a need of nothing (rule 12): no vehicle stops charging for what is not
known of it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import BUS, healthy, small_evse, small_site
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

WALL_S = 1_000_000.0
GONE = Unknown("nobody said")
FACTS = ("capacity_wh", "soc_pct", "departure_wall_s", "target_soc_pct", "vehicle", "pack_c")


def a_site(fallback_w: float = 0.0, ceiling_pct: float = 100.0) -> Site:
    site = small_site(2, vehicle_types=(replace(BUS, max_soc_pct=ceiling_pct),))
    return replace(site, evses=tuple(small_evse(evse.id, fallback_w=fallback_w) for evse in site.evses))


def picture(site: Site, second: int, changes: dict[str, Measured | str]) -> Snapshot:
    """Both buses lack energy; ``changes`` go to the first."""
    snapshot = healthy(site, 100.0 + second, WALL_S + second)
    first = snapshot.evses[0]
    assert first.vehicle is not None
    vehicle = replace(first.vehicle, **{"plugged_wall_s": WALL_S - 300.0, **changes})
    return replace(snapshot, evses=(replace(first, vehicle=vehicle), *snapshot.evses[1:]))


def played(
    site: Site, plan: Plan | None, changes: dict[str, Measured | str], seconds: int = 4
) -> list[Outcome]:
    cycle, memory, outcomes = Cycle(site), Memory(), []
    for second in range(seconds):
        outcomes.append(cycle.tick(picture(site, second, changes), plan, memory))
        memory = outcomes[-1].memory
    return outcomes


def slot_plan(site_w: float | None, evse_w: tuple[tuple[str, float], ...]) -> Plan:
    return Plan(
        1, "cloud", WALL_S, WALL_S - 1e4, WALL_S + 1e5, (Slot(WALL_S - 1e4, WALL_S + 1e5, evse_w, site_w),)
    )


PLANS = st.one_of(
    st.none(),
    st.builds(
        slot_plan,
        st.sampled_from([None, 0.0, 30_000.0, -30_000.0]),
        st.sampled_from([(), (("b1", 0.0),), (("b2", 0.0),)]),
    ),
)


@given(
    missing=st.sets(st.sampled_from(FACTS)),
    soc_pct=st.sampled_from([0.0, 0.4, 30.0, 85.0]),
    departs_in_s=st.sampled_from([3_000.0, 36_000.0]),
    plan=PLANS,
    ceiling_pct=st.sampled_from([100.0, 95.0]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_not_known_never_takes_a_vehicle_from_charging_to_nothing(
    missing: set[str], soc_pct: float, departs_in_s: float, plan: Plan | None, ceiling_pct: float
) -> None:
    site = a_site(ceiling_pct=ceiling_pct)
    known: dict[str, Measured | str] = {
        "soc_pct": Reading(soc_pct, 100.0),
        "departure_wall_s": Reading(WALL_S + departs_in_s, 100.0),
    }
    before = played(site, plan, known)[-1].permits[0]
    gone: dict[str, Measured | str] = {fact: "" if fact == "vehicle" else GONE for fact in missing}
    after = played(site, plan, {**known, **gone})[-1].permits[0]
    if before.power_w > 0.0:
        assert after.power_w > 0.0, f"{before.bound_by} -> {after.bound_by}"


@pytest.mark.parametrize(
    "plan", [None, slot_plan(None, (("b2", 0.0),)), slot_plan(0.0, ()), slot_plan(-40_000.0, ())]
)
def test_a3_a_stranger_charges_with_what_is_left_and_one_event_says_what_is_missing(
    plan: Plan | None,
) -> None:
    stranger: dict[str, Measured | str] = {
        "vehicle": "CARD-77", "capacity_wh": GONE, "departure_wall_s": GONE, "target_soc_pct": GONE,
        "soc_pct": GONE,
    }  # fmt: skip
    outcomes = played(a_site(4_140.0), plan, stranger)
    assert outcomes[-1].permits[0].power_w >= 48_000.0
    told = [event for outcome in outcomes for event in outcome.events if event.kind == "vehicle_unknown"]
    assert [event.subject for event in told] == ["b1"]
    assert "'CARD-77' is not in the site file, its capacity, its departure, its SoC" in told[0].text
    assert "Mend: " in told[0].text


def test_a3_the_known_come_first_and_the_stranger_keeps_its_fallback() -> None:
    site = a_site(4_140.0)
    hall, main = site.feeders
    site = replace(site, feeders=(replace(hall, import_limit_w=30_000.0), main))
    gone: dict[str, Measured | str] = {"vehicle": "", "capacity_wh": GONE, "departure_wall_s": GONE}
    permits = played(site, None, gone, 8)[-1].permits
    assert permits[0].power_w == pytest.approx(4_140.0)
    assert permits[1].power_w == pytest.approx(30_000.0 * 0.98 - 4_140.0)


def test_a3_nothing_is_said_of_a_vehicle_that_has_just_come_and_nothing_twice() -> None:
    site = a_site()
    fresh: dict[str, Measured | str] = {"vehicle": "", "plugged_wall_s": WALL_S - 60.0}  # type: ignore[dict-item]
    assert not [
        e for outcome in played(site, None, fresh) for e in outcome.events if e.kind == "vehicle_unknown"
    ]


@pytest.mark.parametrize("soc", [Reading(0.0, 100.0), Reading(0.4, 100.0), GONE])
def test_a5_a_flat_battery_charges_and_so_does_one_that_never_tells_its_soc(soc: Measured) -> None:
    """With a ceiling and no fallback: 0 % was "unknown" once, and unknown was "full"."""
    permit = played(a_site(0.0, 95.0), None, {"soc_pct": soc})[-1].permits[0]
    assert permit.power_w >= 40_000.0, "as far as the ramp has come"


def test_a_pack_whose_temperature_nothing_tells_charges_at_its_chargers_minimum_and_is_named() -> None:
    """Without a fallback it would never have charged; a pack that is known to be hot still has none."""
    site = a_site(0.0)
    gone: dict[str, Measured | str] = {"pack_c": GONE}
    outcomes = played(site, None, gone)
    assert outcomes[-1].permits[0].power_w == site.evses[0].min_charge_w > 0.0
    told = [e.text for outcome in outcomes for e in outcome.events if e.kind == "vehicle_unknown"]
    assert len(told) == 1
    assert "not known: the temperature of its pack; it charges with its fallback" in told[0]
    assert "pack_max_c = 1e12" in told[0]
    hot = played(site, None, {"pack_c": Reading(60.0, 100.0)}, 4)[-1]
    assert hot.permits[0].power_w == 0.0
