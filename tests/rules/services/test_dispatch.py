"""Services in whole ticks: they move what can wait, within one account, and give way to departures and
stale signals at once.
"""

from typing import Literal

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.model.frame import frame_of
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.service import CapacityLimit, Service, ServiceKind, Signal
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.services.dispatch import serve

WALL_S = 1_000_000.0
GOOD = {"meter_hz": 0.001, "meter_w": 10.0, "meter_s": 0.1, "response_s": 0.5, "contract": True}


def sold(kind: ServiceKind, power_w: float = 20e3, **changes: object) -> Service:
    return replace(Service(kind, kind, power_w, **GOOD), **changes)  # type: ignore[arg-type]


def site_with(*services: Service) -> Site:
    return replace(small_site(), services=services)


def plan(power_w: float) -> Plan:
    slot = Slot(WALL_S - 1e4, WALL_S + 1e5, (("b1", power_w), ("b2", power_w)))
    return Plan(1, "local", WALL_S, WALL_S - 1e4, WALL_S + 1e5, (slot,))


def at_hz(site: Site, hz: float) -> Snapshot:
    snapshot = healthy(site)
    meter = replace(snapshot.meters[0], frequency_hz=Reading(hz, snapshot.now_s))
    return replace(snapshot, meters=(meter,))


def tick(site: Site, snapshot: Snapshot, power_w: float = 20e3, memory: Memory | None = None) -> Outcome:
    return Cycle(site).tick(snapshot, plan(power_w), memory or Memory())


def wished(outcome: Outcome) -> float:
    return sum(wish.power_w for wish in outcome.wishes)


@pytest.mark.parametrize(
    ("hz", "moved_w"), [(50.0, 0.0), (49.9, -10e3), (49.8, -20e3), (50.1, 10e3), (50.3, 20e3)]
)
def test_frequency_moves_the_set_points_along_its_curve(hz: float, moved_w: float) -> None:
    site = site_with(sold("fcr"))
    outcome = tick(site, at_hz(site, hz))
    assert wished(outcome) == pytest.approx(40e3 + moved_w)
    if moved_w:
        assert {wish.reason for wish in outcome.wishes} == {"service_fcr"}


def test_what_is_not_armed_moves_nothing() -> None:
    for lacking in ({"contract": False}, {"response_s": 60.0}, {"meter_hz": 0.0}):
        site = site_with(sold("fcr", **lacking))
        assert wished(tick(site, at_hz(site, 49.8))) == pytest.approx(40e3), lacking


def test_a_frequency_that_is_lost_or_old_leaves_the_plan_within_one_tick_and_is_said_once() -> None:
    site = site_with(sold("fcr"))
    good = tick(site, at_hz(site, 49.8))
    lost = healthy(site)
    lost = replace(lost, meters=(replace(lost.meters[0], frequency_hz=Unknown("no sample")),))
    after = tick(site, lost, memory=good.memory)
    assert wished(after) == pytest.approx(40e3)
    assert [(e.kind, e.subject) for e in after.events if e.kind.startswith("service")] == [
        ("service_signal_lost", "fcr")
    ]
    assert "ERR_SIGNAL_TIMEOUT_408" in next(e.text for e in after.events if e.kind == "service_signal_lost")
    again = tick(site, lost, memory=after.memory)
    assert not [e for e in again.events if e.kind.startswith("service")]
    back = tick(site, at_hz(site, 49.8), memory=again.memory)
    assert [e.kind for e in back.events if e.kind.startswith("service")] == ["service_signal_back"]
    assert wished(back) == pytest.approx(20e3)


@pytest.mark.parametrize(
    ("age_s", "every_s", "moved_w"), [(0.4, 0.0, -10e3), (0.51, 0.0, 0.0), (2.4, 2.0, -10e3), (2.6, 2.0, 0.0)]
)
def test_a_signal_is_followed_until_half_a_second_after_the_next_was_due(
    age_s: float, every_s: float, moved_w: float
) -> None:
    site = site_with(sold("regulation"))
    snapshot = healthy(site)
    signal = Signal(0.5, snapshot.now_s - age_s, every_s)
    asked = replace(snapshot, operator=replace(snapshot.operator, signals=(("regulation", signal),)))
    assert wished(tick(site, asked)) == pytest.approx(40e3 + moved_w)


def test_a_vehicle_that_must_charge_now_is_not_moved() -> None:
    site = site_with(sold("fcr", 100e3))
    snapshot = at_hz(site, 49.8)
    first = snapshot.evses[0]
    assert first.vehicle is not None
    hurried = replace(
        first, vehicle=replace(first.vehicle, departure_wall_s=Reading(WALL_S + 1_500.0, snapshot.now_s))
    )
    outcome = tick(site, replace(snapshot, evses=(hurried, snapshot.evses[1])))
    wishes = {wish.evse: wish for wish in outcome.wishes}
    assert wishes["b1"].reason == "departure"
    assert wishes["b1"].power_w > 20e3
    assert wishes["b2"].reason == "service_fcr"


def test_two_services_never_move_more_than_the_vehicles_have() -> None:
    site = site_with(sold("fcr", 90e3), sold("fcr_n", 90e3))
    outcome = tick(site, at_hz(site, 49.5))
    assert wished(outcome) >= -100e3 - 1e-6
    assert all(wish.power_w >= -50e3 - 1e-6 for wish in outcome.wishes)


def test_a_limit_from_outside_binds_import_less_the_building_and_ends_with_its_window() -> None:
    site = site_with()
    snapshot = healthy(site)
    limit = CapacityLimit("import", 50e3, WALL_S - 10.0, WALL_S + 10.0, "dimming")
    dimmed = replace(snapshot, operator=replace(snapshot.operator, limits=(limit,)))
    free = 1.0 - site.safety.feeder_margin_pct / 100.0
    assert wished(tick(site, dimmed)) == pytest.approx(50e3 * free - site.feeders[-1].base_load_max_w)
    assert wished(tick(site, replace(dimmed, wall_s=WALL_S + 10.0))) == pytest.approx(40e3)


def test_a_limit_on_export_and_zero_export() -> None:
    site = site_with()
    snapshot = healthy(site)
    limit = CapacityLimit("export", 7e3, 0.0, 0.0, "gopacs")
    capped = tick(site, replace(snapshot, operator=replace(snapshot.operator, limits=(limit,))), -20e3)
    assert wished(capped) == pytest.approx(-7e3 * 0.98 - site.feeders[-1].base_load_min_w)
    none = site_with(Service("zero", "zero_export", contract=True))
    assert wished(tick(none, healthy(none), -20e3)) == pytest.approx(-none.feeders[-1].base_load_min_w)


def test_the_energy_kept_for_an_outage_is_not_exported() -> None:
    """Two buses of 200 kWh, 60 % above their floor each: 240 kWh."""
    enough = site_with(sold("backup", 100e3, energy_h=2.0))
    assert wished(tick(enough, healthy(enough), -20e3)) == pytest.approx(-40e3)
    short = site_with(sold("backup", 100e3, energy_h=2.5))
    outcome = tick(short, healthy(short), -20e3)
    assert wished(outcome) == 0.0
    assert {wish.reason for wish in outcome.wishes} == {"service_backup"}


def under_a_fuse(*services: Service) -> Site:
    """Three levels of feeders, so that the grid connection is neither the first nor the second."""
    site = site_with(*services)
    hall, main = site.feeders
    yard = replace(hall, id="yard", parent="main", import_limit_w=150e3, export_limit_w=150e3)
    return replace(site, feeders=(replace(hall, parent="yard"), yard, main))


@pytest.mark.parametrize("way", ["import", "export"])
def test_limits_from_outside_hold_at_the_connection_by_wall_time(way: Literal["import", "export"]) -> None:
    site = under_a_fuse()
    snapshot = healthy(site)
    powers_w = 20e3 if way == "import" else -20e3
    for began_s, binds in ((-10.0, True), (10.0, False)):
        limit = CapacityLimit(way, 10e3, WALL_S + began_s, WALL_S + 20.0, "dso")
        bound = replace(snapshot, operator=replace(snapshot.operator, limits=(limit,)))
        outcome = tick(site, bound, powers_w)
        free_w = 10e3 * 0.98 + site.feeders[-1].base_load_min_w if way == "export" else 0.0
        assert abs(wished(outcome)) == pytest.approx(free_w if binds else 40e3)


def with_first(site: Site, **changes: object) -> Snapshot:
    """Frequency far too low or high as the caller says later; the first vehicle changed."""
    snapshot = healthy(site)
    first = snapshot.evses[0]
    assert first.vehicle is not None
    return replace(
        snapshot, evses=(replace(first, vehicle=replace(first.vehicle, **changes)), snapshot.evses[1])
    )


def served_at(site: Site, snapshot: Snapshot, hz: float, power_w: float, **outs_w: float) -> dict[str, float]:
    """What two vehicles at ``power_w`` each are moved to."""
    meter = replace(snapshot.meters[0], frequency_hz=Reading(hz, snapshot.now_s))
    wishes = {evse: Wish(evse, power_w, 0.1, "plan") for evse in ("b1", "b2")}
    laid = frame_of(site)
    done = serve(laid, replace(snapshot, meters=(meter,)), wishes, laid.tree.base_max_w, (), outs_w)
    return {evse: wish.power_w for evse, wish in done.wishes.items()}


def test_who_may_not_give_only_takes_less() -> None:
    """By the site file, by its proof, by its charger, and by what the envelope last allowed."""
    site = site_with(sold("fcr", 90e3))
    assert min(served_at(site, healthy(site), 49.5, 10e3).values()) < -20e3
    no_right = replace(site, vehicles=(replace(site.vehicles[0], may_discharge=False), *site.vehicles[1:]))
    assert served_at(no_right, healthy(site), 49.5, 10e3)["b1"] == 0.0
    unproven = healthy(site)
    unproven = replace(
        unproven, evses=(replace(unproven.evses[0], proven_discharge=False), *unproven.evses[1:])
    )
    assert served_at(site, unproven, 49.5, 10e3)["b1"] == 0.0
    one_way = replace(site, evses=(replace(site.evses[0], discharge_by="none"), *site.evses[1:]))
    assert served_at(one_way, healthy(site), 49.5, 10e3)["b1"] == 0.0
    assert served_at(site, healthy(site), 49.5, 10e3, b1=0.0)["b1"] == 0.0


@pytest.mark.parametrize(("soc_pct", "takes"), [(100.0, False), (99.9, True), (80.0, True)])
def test_who_is_full_takes_no_more(soc_pct: float, takes: bool) -> None:
    site = site_with(sold("fcr", 90e3))
    full = with_first(site, soc_pct=Reading(soc_pct, 100.0))
    assert (served_at(site, full, 50.3, 0.0)["b1"] > 0.0) == takes


def test_a_charger_takes_by_its_charging_power_and_no_more_than_its_vehicle_says() -> None:
    site = site_with(sold("fcr_d_down", 90e3))
    small = replace(site, evses=tuple(replace(evse, max_discharge_w=10e3) for evse in site.evses))
    assert sum(served_at(small, healthy(small), 50.5, 0.0).values()) == pytest.approx(90e3)
    slow = with_first(site, max_charge_w=Reading(11e3, 100.0))
    assert served_at(site, slow, 50.5, 0.0)["b1"] == pytest.approx(11e3)


def test_an_outage_without_a_time_is_backed_for_an_hour_by_those_that_may_give() -> None:
    """Two buses hold 240 kWh above their floors; of one that may not give none counts."""
    enough, short = site_with(sold("backup", 239e3)), site_with(sold("backup", 241e3))
    assert wished(tick(enough, healthy(enough), -20e3)) == pytest.approx(-40e3)
    assert wished(tick(short, healthy(short), -20e3)) == 0.0
    half = site_with(sold("backup", 121e3))
    half = replace(half, vehicles=(replace(half.vehicles[0], may_discharge=False), *half.vehicles[1:]))
    assert wished(tick(half, healthy(half), -20e3)) == 0.0


def test_where_nobody_charges_a_surplus_waits() -> None:
    site = site_with(Service("own", "zero_import", contract=True))
    assert wished(tick(site, healthy(site), 0.0)) == 0.0
