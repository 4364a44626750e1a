"""The importer: depot stays, the road as charge on arrival, prices of the same days, and errors that name
what is wrong.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from sim.scenarios.spice_ev import BadScenario, import_spice_ev, read_prices

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def small(tmp_path: Path, **changes: Any) -> tuple[Path, Path]:
    """A bus of 200 kWh: one trip, a stop at a charger on the way, the depot overnight; and a day of prices
    of another year.
    """

    def event(kind: str, clock: str, **update: Any) -> dict[str, Any]:
        return {
            "vehicle_id": "B_1",
            "event_type": kind,
            "start_time": f"2018-01-02T{clock}:00+01:00",
            "update": update,
        }

    def arrival(clock: str, station: str | None, delta: float) -> dict[str, Any]:
        later = "2018-01-02T23:00:00+01:00"
        return event(
            "arrival",
            clock,
            connected_charging_station=station,
            soc_delta=delta,
            desired_soc=0.9,
            estimated_time_of_departure=later,
        )

    source = {
        "scenario": {"start_time": "2018-01-02T00:00:00+01:00", "interval": 1, "n_intervals": 1440},
        "components": {
            "vehicle_types": {"B": {"capacity": 200, "charging_curve": [[0, 150], [1, 150]]}},
            "vehicles": {"B_1": {"vehicle_type": "B", "soc": 0.9}},
            "grid_connectors": {"Depot": {"max_power": 500}, "Stop": {"max_power": 200}},
            "charging_stations": {
                "B_1_Depot_deps": {"max_power": 100, "min_power": 10, "parent": "Depot"},
                "B_1_Stop_opps": {"max_power": 200, "min_power": 10, "parent": "Stop"},
            },
        },
        "events": {
            "vehicle_events": [
                arrival("08:00", "B_1_Stop_opps", -0.5),
                event("departure", "08:08"),
                arrival("09:00", None, -0.1),
                event("departure", "09:00"),
                arrival("10:00", "B_1_Depot_deps", -0.1),
                event("departure", "14:00"),
                arrival("16:00", "B_1_Depot_deps", -0.25),
            ]
        },
        **changes,
    }
    scenario, prices = tmp_path / "bus.json", tmp_path / "prices.csv"
    scenario.write_text(json.dumps(source))
    rows = [f"2023-01-{day:02} {hour:02}:00:00,{10 * day + hour}" for day in (1, 2, 3) for hour in range(24)]
    prices.write_text("\n".join(["Datetime,Price", *rows]))
    return scenario, prices


def test_a_stay_becomes_a_visit_and_the_road_its_charge(tmp_path: Path) -> None:
    scenario = import_spice_ev(*(small(tmp_path)[0], "Depot", small(tmp_path)[1]))
    first, second = scenario.visits
    # 90 % − 50 %, then 150 kW (the curve's bound) for 8 min at 95 % of 200 kWh = 9.5 %, then twice −10 %
    assert first.arrival_soc_pct(0) == pytest.approx(90 - 50 + 9.5 - 20)
    assert first.departs_wall_s - first.arrives_wall_s == 4 * 3_600
    assert first.target_soc_pct == 90
    assert second.arrival_soc_pct(80) == pytest.approx(55)
    assert second.departs_wall_s - second.arrives_wall_s == 7 * 3_600, (
        "the last stay ends when the file expects it to"
    )
    assert [evse.max_charge_w for evse in scenario.site.evses] == [100_000]
    assert scenario.site.feeders[0].import_limit_w == 500_000
    assert all(vehicle.may_discharge for vehicle in scenario.site.vehicles)


def test_prices_come_from_the_same_day_of_the_year(tmp_path: Path) -> None:
    scenario = import_spice_ev(*(small(tmp_path)[0], "Depot", small(tmp_path)[1]))
    assert scenario.prices[0].start_wall_s == scenario.start_wall_s, "23:00 UTC of the day before"
    assert scenario.prices[0].per_kwh == pytest.approx(0.033)
    assert scenario.prices[1].per_kwh == pytest.approx(0.020)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    scenario, prices = small(tmp_path)
    with pytest.raises(BadScenario, match=r"no grid connector 'X'; it has Depot, Stop"):
        import_spice_ev(scenario, "X", prices)
    with pytest.raises(BadScenario, match=r"'Stop' has no charging station that ends in '_deps'"):
        import_spice_ev(scenario, "Stop", prices)
    with pytest.raises(BadScenario, match="no prices for the whole"):
        read_prices(prices, 1_530_000_000, 1_530_100_000)
    prices.write_text("Datetime,Price\n2023-01-01 00:00:00,much\n")
    with pytest.raises(BadScenario, match=r"prices\.csv:2: expected"):
        import_spice_ev(scenario, "Depot", prices)
    scenario.write_text("[]")
    with pytest.raises(BadScenario, match="not a SpiceEV scenario"):
        import_spice_ev(scenario, "Depot", prices)


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="needs the real depot data, which is not part of the repository: ../shared/data is not there",
)
def test_the_real_depot_imports() -> None:
    scenario = import_spice_ev(
        DATA / "bus_depot/bus_scenario_D.json", "Betriebshof A", DATA / "prices/NL_2023.csv"
    )
    assert len(scenario.stations) == len(scenario.site.vehicles) == 29
    assert scenario.duration_s == 48 * 3_600
    assert len(scenario.visits) > 40
    outlets = {(visit.vehicle, visit.evse) for visit in scenario.visits}
    assert len(outlets) == len({vehicle for vehicle, _ in outlets}), "each bus has its own charger"
    for visit in scenario.visits:
        assert 0 <= visit.arrival_soc_pct(100) <= 100
