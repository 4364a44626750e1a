"""The cycle: one pure tick, the same outcome for the same inputs, every permit with the limit that bound
it.
"""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import CommandState

WALL_S = 1_000_000.0


def export_plan(evse: str, power_w: float) -> Plan:
    return Plan(
        1,
        "local",
        WALL_S,
        WALL_S - 1e4,
        WALL_S + 1e5,
        (Slot(WALL_S - 1e4, WALL_S + 1e5, ((evse, power_w),)),),
    )


def test_the_same_inputs_give_the_same_outcome_bit_for_bit() -> None:
    site = small_site()
    snapshot = healthy(site)
    plan = export_plan("b1", -10_000.0)
    first, second = (Cycle(site).tick(snapshot, plan, Memory()) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_memory_survives_the_journal_unchanged() -> None:
    site = small_site()
    memory = Cycle(site).tick(healthy(site), None, Memory()).memory
    assert msgspec.json.decode(msgspec.json.encode(memory), type=Memory) == memory


def test_without_plan_a_vehicle_charges_what_it_lacks() -> None:
    site = small_site()
    cycle, memory = Cycle(site), Memory()
    for second in range(4):
        outcome = cycle.tick(healthy(site, 100.0 + second), None, memory)
        memory = outcome.memory
    assert outcome.permits[0].power_w > 0.0
    assert {wish.reason for wish in outcome.wishes} == {"charge"}


def test_every_permit_names_the_limit_that_bound_it() -> None:
    site = small_site()
    snapshot = healthy(site)
    outcome = Cycle(site).tick(
        replace(snapshot, operator=replace(snapshot.operator, stop=True)), None, Memory()
    )
    assert [permit.bound_by.rule for permit in outcome.permits] == ["operator_stop", "operator_stop"]
    assert all(permit.power_w == 0.0 for permit in outcome.permits)


def test_a_plan_is_ignored_while_wall_time_is_a_guess() -> None:
    site = small_site()
    snapshot = replace(healthy(site), clock_synced=False)
    outcome = Cycle(site).tick(snapshot, export_plan("b1", -10_000.0), Memory())
    assert {wish.reason for wish in outcome.wishes} == {"charge"}


def test_unknown_soc_never_exports() -> None:
    site = small_site()
    snapshot = healthy(site)
    vehicle = snapshot.evses[0].vehicle
    assert vehicle is not None
    blind = replace(snapshot.evses[0], vehicle=replace(vehicle, soc_pct=Unknown("no SoC in MeterValues")))
    snapshot = replace(snapshot, evses=(blind, snapshot.evses[1]))
    outcome = Cycle(site).tick(snapshot, export_plan("b1", -10_000.0), Memory())
    assert outcome.permits[0].power_w >= 0.0
    assert isinstance(snapshot.evses[1].power_w, Reading)


def test_a_cars_limit_that_is_no_longer_reported_still_bounds_what_is_wished_and_permitted() -> None:
    site = small_site()
    cycle, memory = Cycle(site), Memory()
    for second in range(12):
        snapshot = healthy(site, 100.0 + second, seq=second)
        vehicle = snapshot.evses[0].vehicle
        assert vehicle is not None
        limit = Reading(11_000.0, 100.0) if second < 8 else Unknown("lost")
        evses = (replace(snapshot.evses[0], vehicle=replace(vehicle, max_charge_w=limit)), snapshot.evses[1])
        outcome = cycle.tick(replace(snapshot, evses=evses), None, memory)
        memory = outcome.memory
        assert outcome.wishes[0].power_w == 11_000.0
        assert outcome.permits[0].power_w <= 11_000.0


def test_a17_ten_buses_near_full_do_not_hold_the_fuse_against_the_eleventh() -> None:
    """98 kW for eleven: ten are told 8.9 kW and draw 3. Within eleven minutes the eleventh has what they
    leave.
    """
    site = small_site(11)
    site = replace(site, vehicle_types=tuple(replace(kind, charge_curve=()) for kind in site.vehicle_types))
    cycle, memory = Cycle(site), Memory()
    permits_w = [0.0] * 11
    for second in range(720):
        now_s = 100.0 + second
        snapshot = healthy(site, now_s, WALL_S + second, seq=second)
        evses = []
        for i, (state, permit_w) in enumerate(zip(snapshot.evses, permits_w, strict=True)):
            assert state.vehicle is not None
            near_full = i < 10
            vehicle = replace(
                state.vehicle,
                soc_pct=Reading(97.0 if near_full else 30.0, now_s),
                target_soc_pct=Reading(100.0, now_s),
                departure_wall_s=Reading(WALL_S + 8 * 3_600.0, now_s),
            )
            drawn_w = min(permit_w, 3_000.0) if near_full else permit_w
            told = CommandState(permit_w, "accepted", now_s - 1.0, now_s + 30.0)
            evses.append(replace(state, vehicle=vehicle, power_w=Reading(drawn_w, now_s), command=told))
        used_w = sum(state.power_w.value for state in evses if isinstance(state.power_w, Reading))
        meters = (replace(snapshot.meters[0], power_w=Reading(20_000.0 + used_w, now_s)),)
        outcome = cycle.tick(replace(snapshot, evses=tuple(evses), meters=meters), None, memory)
        memory, permits_w = outcome.memory, [permit.power_w for permit in outcome.permits]
        if second == 60:
            assert permits_w[10] < 10_000.0
    assert permits_w[10] > 45_000.0
    assert min(permits_w) >= site.evses[0].min_charge_w


@pytest.mark.parametrize(
    "changes", [{}, {"vehicle": "", "capacity_wh": Unknown("not said")}], ids=["known", "stranger"]
)
@pytest.mark.parametrize("leaves_in_s", [3_600.0, 36_000.0])
def test_a18_a_vehicle_that_takes_less_than_the_chargers_minimum_is_told_the_minimum(
    changes: dict[str, Any], leaves_in_s: float
) -> None:
    """One phase of 16 A, 3.7 kW, at three phases with 6 A at the highest mains: told 3.7 kW, the charger
    would pause for ever.
    """
    site = small_site()
    site = replace(
        site, evses=tuple(replace(evse, min_charge_w=4_554.0, fallback_w=4_554.0) for evse in site.evses)
    )
    cycle, memory = Cycle(site), Memory()
    for second in range(4):
        snapshot = healthy(site, 100.0 + second, WALL_S + second, seq=second)
        assert snapshot.evses[0].vehicle is not None
        departs = Reading(WALL_S + leaves_in_s, 100.0)
        vehicle = replace(
            snapshot.evses[0].vehicle,
            max_charge_w=Reading(3_680.0, 100.0),
            departure_wall_s=departs,
            **changes,
        )
        evses = (replace(snapshot.evses[0], vehicle=vehicle), snapshot.evses[1])
        outcome = cycle.tick(replace(snapshot, evses=evses), None, memory)
        memory = outcome.memory
    assert outcome.permits[0].power_w == 4_554.0
