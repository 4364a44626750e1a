"""The cycle: one pure tick, the same outcome for the same inputs, every permit with the limit that bound it."""

import msgspec
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading, Unknown

WALL_S = 1_000_000.0


def export_plan(evse: str, power_w: float) -> Plan:
    return Plan(1, "local", WALL_S, WALL_S - 1e4, WALL_S + 1e5, (Slot(WALL_S - 1e4, WALL_S + 1e5, ((evse, power_w),)),))


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
    outcome = Cycle(site).tick(replace(snapshot, operator=replace(snapshot.operator, stop=True)), None, Memory())
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
