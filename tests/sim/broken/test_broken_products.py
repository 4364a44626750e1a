"""The judges are hard to fool: each broken product is caught by a judge, by name, and the sound one passes
the same evening.
"""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.pure import slowed
from sim.runners.runner import run_scenario
from sim.scenarios.fault import Fault
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.world.depot import Disturbance
from tests.sim.broken import products
from tests.sim.broken.depots import HOUR, broken_rules, charging, disturbed, evening
from tests.sim.broken.products import Break, always, broken, without
from v2g_edge.field.writer import Writer
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import CurrentLimit

RELAY = Disturbance(900.0, 120.0, relay_open=True)
FAST = Disturbance(900.0, 120.0, frequency_hz=52.2)


def limited(scenario: Scenario, **limits: float) -> Scenario:
    """All feeders with these limits."""
    return replace(
        scenario, site=replace(scenario.site,
            feeders=tuple(replace(f, **limits) for f in scenario.site.feeders))
    )  # fmt: skip


def slow_ramp(scenario: Scenario) -> Scenario:
    """500 W/s: at ticks of ten seconds a faster ramp would never show."""
    return replace(
        scenario, site=replace(scenario.site, safety=replace(scenario.site.safety, ramp_up_w_per_s=500.0))
    )


def idle(hours: float = 5.0) -> Scenario:
    """The cloud wants nothing, and 40 points have to be charged in 4.5 h all the same."""
    asleep = evening(("cloud_idle", "cloud", 0.0, hours * HOUR, 0.0), hours=hours, stay_h=4.5, soc_pct=50.0)
    return slowed(asleep, 60.0)


def sold_night() -> Scenario:
    """The cloud wants all out until morning, on a connection that needs hours to bring it back."""
    base = evening(("cloud_discharge", "cloud", 0.0, 8.0 * HOUR, 0.0), hours=9.0, soc_pct=70.0, stay_h=8.0)
    return slowed(limited(base, import_limit_w=100e3), 60.0)


def too_little() -> Scenario:
    """Four buses at a connection that cannot charge them until they leave."""
    base = evening(("cloud_idle", "cloud", 0.0, 2.5 * HOUR, 0.0), hours=2.5, soc_pct=30.0, stay_h=2.0)
    return slowed(limited(base, import_limit_w=100e3), 60.0)


def one_phase() -> Scenario:
    """Four vehicles on one phase each, all on L1 of a sub-feeder that carries 40 A there."""
    base = charging(
        limit_w=5e5, max_charge_w=22e3, max_discharge_w=0.0, discharge_by="none", phase_load="by_vehicle"
    )
    current = CurrentLimit(import_a=40.0, export_a=0.0, imbalance_a=ANY_W)
    feeders = tuple(replace(f, current=current) if f.parent else f for f in base.site.feeders)
    return replace(
        base,
        site=replace(base.site, feeders=feeders),
        one_phase=tuple(vehicle.id for vehicle in base.site.vehicles),
    )


BASE = evening()
BREAKS: dict[str, tuple[Scenario, Break, str]] = {
    "ramps off": (slow_ramp(charging(limit_w=5e5)), products.ramps_off, "ramp"),
    "silent counted 0": (
        charging(("offline", "CS02", 600.0, 3_000.0, 0.0), limit_w=60e3, fallback_w=20e3),
        products.silent_counted_0,
        "feeder_import_10%",
    ),
    "quarantine off": (
        charging(("ignore", "CS02", 600.0, 3_000.0, 0.0), limit_w=120e3), products.quarantine_off,
        "disobedience_unnoticed"
    ),
    "live base load 0": (limited(charging(limit_w=5e5), import_limit_w=120e3), products.base_load_0,
        "feeder_import_often"),
    "orders of 1.3 × the permit": (charging(limit_w=60e3), products.orders_beyond_permit,
        "permit_not_in_force"),
    "departure proof says yes, and no rule looks at the feeders": (
        sold_night(), products.proof_says_yes, "departure_lost"
    ),
    "departure proof says yes": (too_little(), products.departures_always_proven, "short_untold"),
    "phases ignored": (one_phase(), products.phases_ignored, "phase_import_10%"),
    "orders with the other sign": (evening(hours=0.4), products.orders_turned, "permit_not_in_force"),
    "stop ignored": (
        evening(("operator_stop", "operator", 900.0, 600.0, 0.0), hours=0.5), without("operator_stop"),
        "moves_when_stopped"
    ),
    "hold ignored": (
        evening(("operator_hold", "operator", 900.0, 600.0, 0.0), hours=0.5), without("export_hold"),
        "discharge_on_hold"
    ),
    "relay ignored": (disturbed(evening(hours=0.7), RELAY), products.relay_ignored, "discharge_without_grid"),
    "frequency ignored": (disturbed(evening(hours=0.7), FAST), products.frequency_ignored,
        "discharge_without_grid"),
    "no wait for service": (
        disturbed(evening(hours=0.7), RELAY), products.no_wait_for_service, "discharge_before_enter_service"
    ),
    "silent contact ignored": (
        evening(("contact_silent", "grid_relay", 900.0, 600.0, 0.0), hours=0.5),
        products.silent_contact_ignored, "export_blind"
    ),
    "dead man not needed": (
        evening(hours=0.3, evses=tuple(replace(evse, dead_man="none") for evse in BASE.site.evses)),
        without("no_dead_man"),
        "discharge_without_dead_man",
    ),
    "authorisation not needed": (
        evening(hours=0.3,
            vehicles=tuple(replace(known, may_discharge=False) for known in BASE.site.vehicles)),
        without("not_authorised"), "discharge_not_authorised",
    ),
    "floor of the charge ignored": (evening(soc_pct=22.0), without("soc_low"), "soc_floor"),
    "depth of an event ignored": (evening(hours=4.0, soc_pct=95.0), without("depth_of_event"),
        "depth_per_event"),
    "an event that is never deep": (evening(hours=4.0, soc_pct=95.0), products.event_never_deep,
        "depth_per_event"),
    "the day is not booked": (evening(hours=2.0, soc_pct=95.0), products.day_not_booked, "ledger_short"),
    "a restart forgets": (
        evening(("restart", "controller", 1.5 * HOUR, 60.0, 0.0), hours=2.5, soc_pct=95.0),
        products.restart_forgets,
        "ledger_short",
    ),
    "heat ignored": (evening(("pack_c", "E01", 900.0, 900.0, 60.0), hours=0.6), products.pack_ignored,
        "pack_hot"),
    "feeders ignored": (charging(limit_w=60e3), products.feeders_ignored, "feeder_import_10%"),
    "feeders 1.2 ×": (charging(limit_w=60e3), products.feeders_generous, "feeder_import_10%"),
    "metered excess ignored": (
        limited(charging(("load", "main", 900.0, 1_200.0, 60e3), limit_w=5e5, hours=0.7),
            import_limit_w=160e3),
        products.excess_ignored, "feeder_import_10%",
    ),
    "export limit ignored": (limited(evening(), export_limit_w=60e3), products.feeders_ignored,
        "feeder_export_10%"),
    "a latch for ever": (
        charging(("ignore", "CS02", 600.0, 300.0, 0.0), limit_w=120e3, hours=1.5), products.latch_for_ever,
        "latch_outlives_cause",
    ),
    "quarantined counted 0": (
        charging(("ignore", "CS02", 600.0, 3_000.0, 0.0), limit_w=120e3), products.quarantined_counted_0,
        "feeder_import_10%"
    ),
    "a meter convicted for nothing": (evening(hours=0.3), always("meter_silent", "grid"),
        "alarm_without_cause"),
    "a charger convicted for nothing": (evening(hours=0.3), always("charger_faulted", "E01"),
        "alarm_without_cause"),
    "a relay seen open for nothing": (evening(hours=0.3), always("grid_relay_open", "site"),
        "alarm_without_cause"),
    "nobody is ever urgent": (idle(), products.never_urgent, "departure_lost"),
    "needs halved": (idle(), products.needs_halved, "departure_lost"),
}  # fmt: skip
"""Evening, what is broken, and who must notice."""


@pytest.mark.parametrize("name", BREAKS)
def test_each_broken_product_is_caught_by_name_and_the_sound_one_passes(name: str) -> None:
    scenario, how, rule = BREAKS[name]
    assert broken_rules(scenario) == set()
    with broken(how):
        assert rule in broken_rules(scenario)


def with_protocols() -> Scenario:
    """Two buses that charge at full power for ten minutes, because they must."""
    base = night(5, chargers=2, quiet=True)
    start_wall_s = base.start_wall_s
    visits = tuple(
        replace(v, arrives_wall_s=start_wall_s + 5.0, departs_wall_s=start_wall_s + 3_600.0, soc_pct=50.0)
        for v in base.visits
    )
    feeders = tuple(replace(f, import_limit_w=5e5) for f in base.site.feeders)
    return replace(base, duration_s=600.0, visits=visits, site=replace(base.site, feeders=feeders))


def test_leases_that_are_never_renewed_are_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run_scenario(with_protocols(), tmp_path / "sound")["violations"] == []
    real, told_w = Writer.submit, dict[str, float]()

    def once(self: Writer, permits: Any) -> int:
        new = tuple(permit for permit in permits if told_w.get(permit.evse) != permit.power_w)
        told_w.update({permit.evse: permit.power_w for permit in new})
        return real(self, new)

    monkeypatch.setattr(Writer, "submit", once)
    found = {
        violation["rule"] for violation in run_scenario(with_protocols(), tmp_path / "broken")["violations"]
    }
    assert "permit_not_in_force" in found


def test_orders_beyond_the_permit_are_caught_on_the_wire(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = Writer.submit

    def more(self: Writer, permits: Any) -> int:
        return real(self, tuple(replace(permit, power_w=1.3 * permit.power_w) for permit in permits))

    monkeypatch.setattr(Writer, "submit", more)
    slower = with_protocols()
    evses = tuple(replace(evse, max_charge_w=100_000.0) for evse in slower.site.evses)
    feeders = tuple(replace(f, import_limit_w=120_000.0) for f in slower.site.feeders)
    slower = replace(slower, site=replace(slower.site, evses=evses, feeders=feeders))
    found = {violation["rule"] for violation in run_scenario(slower, tmp_path / "broken")["violations"]}
    assert "permit_not_in_force" in found


def test_a_stall_convicts_nobody(tmp_path: Path) -> None:
    """Case A2 at the level of the judges: an alarm against a charger after a stall would be one without a
    cause.
    """
    scenario = with_protocols()
    stalled = replace(scenario, faults=(Fault("stall", "controller", scenario.start_wall_s + 240.0, 40.0),))
    assert run_scenario(stalled, tmp_path / "run")["violations"] == []
