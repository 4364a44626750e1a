"""The depot adds up: each feeder carries everything behind it, registers integrate it, disturbances come
and go on time.
"""

import pytest

from sim.world.depot import Depot, Disturbance, Grid, Load
from sim.world.physics import Battery, Charger
from v2g_edge.model.site import CurvePoint, Evse, Feeder, GridSettings, SafetySettings, Site

WALL_S = 1_768_000_000.0


def site() -> Site:
    evses = tuple(
        Evse(f"E{n}", feeder, 100_000, 80_000, 0, 0, "L1L2L3", "ocpp_profile", "negative_limit")
        for n, feeder in enumerate(("main", "yard", "yard"))
    )
    feeders = (Feeder("main", "", 4e5, 3e5, 5e4, 0, "grid"), Feeder("yard", "main", 2e5, 1e5, 1e4, 0, ""))
    grid = GridSettings("", 230, 50, "relay", "grid", export_allowed=True)
    return Site(
        "Depot", "Europe/Berlin", grid, feeders, evses, (), (), ("grid",), ("relay",), (), SafetySettings()
    )


def depot(grid: Grid | None = None, loads: tuple[Load, ...] = ()) -> Depot:
    chargers = {evse.id: Charger(evse) for evse in site().evses}
    for charger in chargers.values():
        charger.plug(Battery(charger.evse.id, 250_000, 50, (CurvePoint(0, 2e5), CurvePoint(100, 2e5)), 2e5))
    return Depot(site(), grid or Grid(230, 50), loads, chargers, WALL_S)


def test_feeders_carry_the_sum_of_all_behind_them() -> None:
    made = depot(loads=(Load("main", 10_000), Load("yard", 3_000)))
    for charger, command_w in zip(made.chargers.values(), (40_000, -30_000, 20_000), strict=True):
        charger.command_w = command_w
    made.advance(WALL_S + 10)
    assert made.feeder_w == {"yard": pytest.approx(-7_000), "main": pytest.approx(43_000)}


def test_registers_count_each_direction_for_itself() -> None:
    made = depot()
    unit = made.chargers["E0"]
    unit.command_w = -50_000
    made.advance(WALL_S + 3_600)
    unit.command_w = 50_000
    made.advance(WALL_S + 2 * 3_600)
    assert made.export_wh["main"] == pytest.approx(50_000, rel=0.01)
    assert made.import_wh["main"] == pytest.approx(50_000, rel=0.01)
    assert made.import_wh["yard"] == made.export_wh["yard"] == 0


def test_watchers_see_every_step_and_time_never_runs_back() -> None:
    made = depot()
    seen: list[float] = []
    made.watchers.append(lambda _, dt_s: seen.append(dt_s))
    made.advance(WALL_S + 2.5)
    made.advance(WALL_S + 1)
    assert seen == [1.0, 1.0, pytest.approx(0.5)]


def test_a_disturbance_begins_and_ends_on_time() -> None:
    grid = Grid(230, 50, (Disturbance(WALL_S, 40, relay_open=True, frequency_hz=51.8, voltage_pu=0.7),))
    assert grid.relay_closed(WALL_S - 0.01)
    assert not grid.relay_closed(WALL_S)
    assert grid.relay_closed(WALL_S + 40)
    assert grid.frequency_hz(WALL_S + 1) == pytest.approx(51.8, abs=0.02)
    assert grid.voltage_v(WALL_S + 1, 2) == pytest.approx(161, rel=0.02)
    assert grid.frequency_hz(WALL_S + 41) == pytest.approx(50, abs=0.02)


def test_the_building_is_restless_but_the_same_at_the_same_time() -> None:
    load = Load("main", 10_000, evening_w=8_000, restless_w=900)
    assert len({load.power_w(WALL_S + n) for n in range(60)}) == 60
    assert load.power_w(WALL_S) == load.power_w(WALL_S)
    assert load.power_w(17 * 3_600) > load.power_w(5 * 3_600) + 5_000
