"""Who listens to the controller finds what does not fit what is there, and only that."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from sim.judges.panel import Panel
from sim.judges.reported import Held, Told
from sim.scenarios.fault import Fault
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.world.depot import Depot
from sim.world.physics import Charger
from v2g_edge.model.event import Event
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit

BASE = night(1, quiet=True, chargers=2)


def permit(power_w: float, wish_w: float | None = None, rule: str = "wish") -> Permit:
    """A permit of E01."""
    wish_w = power_w if wish_w is None else wish_w
    return Permit("E01", power_w, -50_000.0, 50_000.0, 60.0, True, wish_w, Bound(-5e4, 5e4, rule, ""))


class Bench:
    """One charger with a bus, and a controller whose words are made up."""

    def __init__(self, *faults: Fault, soc_pct: float = 60.0) -> None:
        self.scenario: Scenario = replace(BASE, faults=faults)
        self.depot: Depot = self.scenario.depot()
        self.panel = Panel(self.scenario, lambda _: self.depot.wall_s)
        self.depot.watchers.append(self.panel.look)
        self.charger: Charger = self.depot.chargers["E01"]
        visit = replace(BASE.visits[0], arrives_wall_s=self.depot.wall_s)
        self.charger.plug(self.scenario.battery(visit.vehicle, soc_pct))
        self.panel.arrived(visit, self.charger, self.depot.wall_s)
        self.permit = permit(20_000.0)
        self.held: frozenset[Held] = frozenset()
        self.taken: Mapping[str, float] = {}

    def pass_s(self, seconds: float, *events: Event) -> set[str]:
        """Ticks of two seconds; the rules broken so far."""
        for _ in range(int(seconds / 2.0)):
            self.panel.hear(Told(self.depot.wall_s, {"E01": self.permit}, events, self.held, self.taken))
            events = ()
            self.depot.advance(self.depot.wall_s + 2.0)
        return {violation.rule for violation in self.panel.violations}


def test_a_charger_that_follows_its_permit_breaks_nothing() -> None:
    bench = Bench()
    bench.charger.command_w = 20_000.0
    assert bench.pass_s(600) == set()


@pytest.mark.parametrize("command_w", [26_000.0, 6_000.0, 60_000.0, -20_000.0])
def test_an_order_that_is_not_the_permit_is_found(command_w: float) -> None:
    bench = Bench()
    bench.charger.command_w = 20_000.0
    assert bench.pass_s(200) == set()
    bench.charger.command_w = command_w
    assert "permit_not_in_force" in bench.pass_s(100)


def test_a_station_that_refused_has_its_default_until_it_is_asked_again() -> None:
    """The pauses between two tries treble: after 1,000 s of refusals the next may come 2,000 s later."""
    bench = Bench(Fault("reject", "CS01", BASE.start_wall_s, 1_000.0))
    bench.charger.command_w = 6_000.0
    assert bench.pass_s(2_900) == set()
    assert bench.pass_s(300) == {"permit_not_in_force"}


def test_who_moves_more_than_permitted_must_be_named() -> None:
    long_s = BASE.site.safety.obey_within_s + 200.0
    for held, rules in (
        (frozenset[Held](), {"disobedience_unnoticed"}),
        (frozenset({Held("disobedient", "E01")}), set()),
    ):
        bench = Bench(Fault("ignore", "CS01", BASE.start_wall_s, 4_000.0))
        bench.charger.command_w = 50_000.0
        bench.held = held
        assert bench.pass_s(200 + long_s) == rules


def test_a_permit_must_rise_along_the_ramp_and_may_fall_at_once() -> None:
    bench = Bench()
    bench.permit = permit(0.0)
    bench.pass_s(4)
    bench.permit = permit(38_000.0)
    assert bench.pass_s(2) == set(), "20 kW a second"
    bench.permit = permit(0.0)
    assert bench.pass_s(2) == set()
    bench.permit = permit(-46_000.0)
    assert bench.pass_s(2) == {"ramp"}


@pytest.mark.parametrize(("excess_w", "rules"), [(0.0, set()), (1_000.0, {"ramp"})])
def test_the_least_that_a_charger_can_is_one_step_however_slow_the_ramp(
    excess_w: float, rules: set[str]
) -> None:
    bench = Bench()
    safety = replace(BASE.site.safety, ramp_up_w_per_s=100.0)
    bench.panel = Panel(
        replace(bench.scenario, site=replace(BASE.site, safety=safety)), lambda _: bench.depot.wall_s
    )
    bench.permit = permit(0.0)
    bench.pass_s(4)
    bench.permit = permit(-BASE.site.evses[0].min_discharge_w - excess_w)
    assert bench.pass_s(2) == rules


@pytest.mark.parametrize(
    ("kind", "subject", "fault", "just"),
    [
        ("disobedient", "E01", ("ignore", "CS01"), True),
        ("disobedient", "E01", ("stall", "controller"), False),
        ("disobedient", "E01", ("ignore", "CS02"), False),
        ("charger_silent", "E01", ("stall", "controller"), True),
        ("meter_silent", "grid", ("meter_nan", "grid_meter"), True),
        ("meter_silent", "grid", ("ignore", "CS01"), False),
        ("grid_relay_open", "site", ("contact_open", "grid_relay"), True),
    ],
)
def test_an_alarm_needs_a_cause(kind: str, subject: str, fault: tuple[str, str], just: bool) -> None:
    bench = Bench(Fault(fault[0], fault[1], BASE.start_wall_s + 200.0, 60.0))  # type: ignore[arg-type]
    bench.charger.command_w = 20_000.0
    bench.pass_s(220)
    found = bench.pass_s(2, Event(kind, "alarm", subject, "said", bench.depot.wall_s))
    assert ("alarm_without_cause" in found) != just


def test_nothing_is_held_an_hour_after_the_last_fault() -> None:
    bench = Bench(Fault("ignore", "CS01", BASE.start_wall_s + 10.0, 60.0))
    bench.charger.command_w = 20_000.0
    bench.held = frozenset({Held("disobedient", "E01"), Held("soc_low", "E01"), Held("disobedient", "E02")})
    bench.pass_s(3_800)
    bench.panel.finish(bench.depot)
    late = [
        violation.place for violation in bench.panel.violations if violation.rule == "latch_outlives_cause"
    ]
    assert late == ["E01:disobedient"], "E02 has no vehicle with which it could prove itself"


def test_what_is_taken_out_must_be_in_the_ledger() -> None:
    for booked_pct, rules in ((4.0, {"ledger_short"}), (20.0, set())):
        bench = Bench(soc_pct=95.0)
        bench.permit, bench.charger.command_w = permit(-40_000.0), -40_000.0
        bench.taken = {"BUS01": booked_pct}
        bench.pass_s(3_600)
        bench.panel.finish(bench.depot)
        assert {v.rule for v in bench.panel.violations if v.rule == "ledger_short"} == rules


def test_availability_counts_what_was_wished_and_did_not_flow_by_the_limit_that_held_it() -> None:
    bench = Bench()
    bench.permit = permit(0.0, 50_000.0, "feeder_import")
    bench.pass_s(3_660)
    figures = bench.panel.availability.figures
    assert figures.lacking_h == pytest.approx(1.0, abs=0.02)
    assert figures.held_h == {"feeder_import": pytest.approx(1.0, abs=0.02)}
    assert figures.held_pct == pytest.approx(100.0)
    charges = Bench()
    charges.permit, charges.charger.command_w = permit(50_000.0), 50_000.0
    charges.pass_s(3_660)
    assert charges.panel.availability.figures.held_h == {}
