"""The judges find what is wrong and only that: each one is shown a breach, and the same thing within its
tolerance.
"""

import pytest
from msgspec.structs import replace

from sim.judges.book import Book
from sim.judges.checkers import Checkers
from sim.scenarios.fault import Fault
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario, Visit
from sim.world.depot import Depot, Disturbance
from sim.world.physics import Charger


class World:
    """A small night's depot with its checkers; powers are set by hand."""

    def __init__(self, *, scenario: Scenario | None = None) -> None:
        self.scenario = scenario or night(1, quiet=True)
        self.heard: float | None = None
        self.depot: Depot = self.scenario.depot()
        self.checkers = Checkers(self.scenario, lambda _: self.heard)
        self.depot.watchers.append(self.checkers.look)

    def plug(self, evse: str = "E01", soc_pct: float = 60, stay_s: float = 36_000) -> tuple[Visit, Charger]:
        """A bus at ``evse``."""
        wall_s = self.depot.wall_s
        visit = Visit(evse, f"BUS{evse[1:]}", wall_s, wall_s + stay_s, 90, soc_pct)
        charger = self.depot.chargers[evse]
        charger.plug(self.scenario.battery(visit.vehicle, soc_pct))
        self.checkers.arrived(visit, charger, wall_s)
        return visit, charger

    def pass_s(self, seconds: float) -> set[str]:
        """Let time pass; the rules broken so far."""
        self.depot.advance(self.depot.wall_s + seconds)
        return {violation.rule for violation in self.checkers.book.all()}


def test_a_condition_counts_after_its_grace_and_once_however_long() -> None:
    book = Book()
    for second in range(10):
        book.note("r", "p", second, 2 <= second < 9, 5, found=second, allowed=1, unit="W")
    (only,) = book.all()
    assert (only.wall_s, only.lasted_s, only.found) == (2, 6, 8)
    book.note("r", "p", 10, True, 5, 1, 1, "W")
    book.note("r", "p", 14, True, 5, 1, 1, "W")
    assert len(book.all()) == 1


def test_quiet_hours_break_nothing() -> None:
    world = World()
    world.plug()
    world.heard = world.depot.wall_s + 3_600
    assert world.pass_s(3_600) == set()


def test_a_feeder_above_its_limit_is_found_either_way() -> None:
    for sign, rules in (
        (1, {"feeder_import_1%", "feeder_import_10%"}),
        (-1, {"feeder_export_1%", "feeder_export_10%"}),
    ):
        world = World()
        for evse in world.depot.chargers:
            _, charger = world.plug(evse, 50)
            charger.command_w = sign * charger.evse.max_charge_w
        world.pass_s(30)
        found = {v.rule for v in world.checkers.book.all() if v.place == "main"}
        assert found == rules
    assert "feeder_import_1%" not in found


def test_discharge_may_go_on_for_the_reaction_time_only_and_not_return_before_enter_service() -> None:
    scenario = night(1, quiet=True)
    opened = Disturbance(scenario.start_wall_s + 60, 40, relay_open=True)
    for stops_s, starts_s, rules in (
        (61.0, 161.0, set()),
        (64.0, 161.0, {"discharge_without_grid"}),
        (61.0, 120.0, {"discharge_before_enter_service"}),
    ):
        world = World(scenario=_with(scenario, opened))
        _, charger = world.plug()
        charger.command_w = -20_000
        world.pass_s(stops_s)
        charger.command_w = 0
        world.pass_s(starts_s - stops_s)
        charger.command_w = -20_000
        assert world.pass_s(60) == rules


@pytest.mark.parametrize(
    "wrong",
    [
        Disturbance(0, 30, frequency_hz=52),
        Disturbance(0, 30, frequency_hz=47),
        Disturbance(0, 30, voltage_pu=0.7),
    ],
)
def test_frequency_and_voltage_count_like_the_relay(wrong: Disturbance) -> None:
    scenario = night(1, quiet=True)
    world = World(scenario=_with(scenario, _at(wrong, scenario.start_wall_s + 60)))
    _, charger = world.plug()
    charger.command_w = -20_000
    assert "discharge_without_grid" in world.pass_s(70)


def _at(disturbance: Disturbance, wall_s: float) -> Disturbance:
    return Disturbance(
        wall_s, disturbance.duration_s, False, disturbance.frequency_hz, disturbance.voltage_pu
    )


def _with(scenario: Scenario, disturbance: Disturbance) -> Scenario:
    import msgspec  # noqa: PLC0415 - one use

    return msgspec.structs.replace(scenario, disturbances=(disturbance,))


def test_the_pack_is_guarded_below_its_floor_in_depth_and_in_temperature() -> None:
    world = World()
    _, charger = world.plug(soc_pct=20.2)
    charger.command_w = -charger.evse.max_discharge_w
    assert world.pass_s(30) == set()
    assert world.pass_s(600) == {"soc_floor"}

    world = World(scenario=replace(night(1, quiet=True), tick_s=60.0))
    _, charger = world.plug(soc_pct=19.6)
    charger.command_w = -charger.evse.max_discharge_w
    assert world.pass_s(60) == set(), "what a tick of a minute takes, nobody can know before it"
    assert world.pass_s(300) == {"soc_floor"}

    world = World()
    _, charger = world.plug(soc_pct=95)
    charger.command_w = -charger.evse.max_discharge_w
    assert "depth_per_event" in world.pass_s(4 * 3_600)

    world = World()
    _, charger = world.plug()
    assert charger.battery is not None
    charger.battery.pack_c, charger.command_w = 60, 30_000
    assert world.pass_s(60) == set()
    assert world.pass_s(120) == {"pack_hot"}


def test_depth_of_a_day_sums_over_events() -> None:
    world = World()
    _, charger = world.plug(soc_pct=95)
    for _ in range(12):
        charger.command_w = -charger.evse.max_discharge_w
        world.pass_s(1_200)
        charger.command_w = charger.evse.max_charge_w
        rules = world.pass_s(1_200)
    assert "depth_per_day" in rules
    assert "depth_per_event" not in rules


def test_a_charger_without_its_controller_must_be_at_its_default_when_the_lease_is_over() -> None:
    for command_w, rules in ((-20_000.0, {"lease"}), (30_000.0, {"lease"}), (6_000.0, set()), (0.0, set())):
        world = World()
        _, charger = world.plug()
        world.heard = world.depot.wall_s
        charger.command_w = command_w
        lease_s = world.scenario.site.safety.lease_s
        assert world.pass_s(lease_s + 4) == set()
        assert world.pass_s(3) == rules


def test_a_charger_beyond_its_rating_is_found() -> None:
    world = World()
    _, charger = world.plug()
    world.pass_s(1)
    charger.power_w = 1.5 * charger.evse.max_charge_w
    world.checkers.look(world.depot, 1)
    assert {violation.rule for violation in world.checkers.book.all()} == {"charger_rating"}


def test_departures_are_met_missed_or_were_never_possible() -> None:
    for soc_pct, stay_s, leaves_pct, verdict in (
        (60, 36_000, 89.6, "met"),
        (60, 36_000, 88.0, "missed_possible"),
        (60, 1_800, 70.0, "missed_impossible"),
    ):
        world = World()
        visit, charger = world.plug(soc_pct=soc_pct, stay_s=stay_s)
        battery = charger.unplug()
        assert battery is not None
        battery.soc_pct = leaves_pct
        world.checkers.left(visit, battery, visit.departs_wall_s)
        assert world.checkers.departures[0].verdict == verdict


@pytest.mark.parametrize(
    ("takes_w", "showed_w", "lost"),
    [(20_000.0, 0.0, True), (20_000.0, 40_000.0, False), (4_000.0, 0.0, False)],
)
def test_what_a_vehicle_takes_is_known_once_it_has_shown_it(
    takes_w: float, showed_w: float, lost: bool
) -> None:
    """Nothing charges for five hours of six. A vehicle that takes 20 kW could have been tried in time; one
    that showed 40 before, or that takes less than a sixth of its plate, could not.
    """
    base = night(1, quiet=True)
    weak = Fault("underdraw", "CS01", base.start_wall_s + 900.0, 36_000.0, takes_w)
    world = World(scenario=replace(base, faults=(weak,)))
    visit, charger = world.plug(stay_s=6.0 * 3_600.0, soc_pct=72.0)
    charger.command_w = showed_w
    world.pass_s(300.0)
    charger.command_w = 0.0
    world.pass_s(5.0 * 3_600.0)
    charger.command_w = takes_w
    world.pass_s(3_300.0)
    battery = charger.unplug()
    assert battery is not None
    world.checkers.left(visit, battery, world.depot.wall_s)
    assert [each.verdict == "missed_possible" for each in world.checkers.departures] == [lost]
