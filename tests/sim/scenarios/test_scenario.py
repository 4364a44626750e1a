"""Scenarios are values: the same seed gives the same one, JSON keeps it, and daemon and world are told of
the same depot.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.scenarios.night import CHARGERS, DURATION_S, START, night
from sim.scenarios.scenario import Visit, read_scenario, write_prices, write_scenario
from sim.scenarios.spice_ev import read_prices
from v2g_edge.config import dump, load


def test_the_same_seed_gives_the_same_night_and_another_seed_another() -> None:
    assert night(7) == night(7)
    assert night(7) != night(8)


@given(st.integers(0, 10_000))
def test_every_night_is_one_that_was_asked_for(seed: int) -> None:
    scenario = night(seed)
    assert len(scenario.site.evses) == len(scenario.stations) == len(scenario.visits) == CHARGERS
    for visit in scenario.visits:
        assert 0 <= visit.arrives_wall_s - START.timestamp() <= 3.5 * 3_600
        assert 12.5 * 3_600 <= visit.departs_wall_s - START.timestamp() < DURATION_S
        assert visit.soc_pct is not None
        assert visit.soc_pct < visit.target_soc_pct + 1
    for evse in scenario.site.evses:
        assert 50_000 <= evse.max_charge_w <= 100_000
    assert scenario.disturbances[0].relay_open
    assert scenario.prices[0].start_wall_s <= scenario.start_wall_s
    assert scenario.prices[-1].start_wall_s >= scenario.end_wall_s


def test_a_scenario_survives_its_file_and_a_bad_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "night.json"
    write_scenario(night(3), path)
    assert read_scenario(path) == night(3)
    path.write_text('{"name": 3}')
    with pytest.raises(ValueError, match=r"night\.json.*Expected `str`"):
        read_scenario(path)


def test_settings_and_world_speak_of_the_same_depot(tmp_path: Path) -> None:
    scenario = night(7)
    settings, depot = scenario.settings(tmp_path, ocpp_port=9000), scenario.depot()
    assert {outlet.evse for station in settings.stations for outlet in station.outlets} == set(depot.chargers)
    assert settings.listeners[0].port == 9000
    assert {device.target for device in settings.devices} == {
        scenario.site.grid.meter,
        scenario.site.grid.relay,
    }
    assert type(settings.site.feeders[0].base_load_min_w) is float
    battery = scenario.battery(scenario.visits[0].vehicle, 60)
    assert battery.capacity_wh in {280_000, 350_000}


def test_the_site_file_of_a_night_is_one_that_the_daemon_takes(tmp_path: Path) -> None:
    settings = night(7).settings(tmp_path, socket=str(tmp_path / "control.sock"))
    site = tmp_path / "site.toml"
    site.write_text(dump(settings))
    assert load(site) == settings


def test_the_charge_on_arrival_follows_the_road_step_by_step() -> None:
    first = Visit("E1", "B1", 0, 1, 100, soc_pct=50, route_pct=(-10, 70, -5))
    assert first.arrival_soc_pct(99) == 95
    assert Visit("E1", "B1", 2, 3, 100, route_pct=(-30, 20)).arrival_soc_pct(10) == 20


def test_prices_survive_their_file(tmp_path: Path) -> None:
    scenario = night(7)
    path = tmp_path / "prices.csv"
    write_prices(scenario.prices, path)
    back = read_prices(path, scenario.start_wall_s, scenario.end_wall_s)
    written = {price.start_wall_s: price.per_kwh for price in scenario.prices}
    assert len(back) > 14
    for price in back:
        assert price.per_kwh == pytest.approx(written[price.start_wall_s], abs=1e-5)
