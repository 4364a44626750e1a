"""Every kind of charger in one depot, driven by the whole daemon: all feed back, none breaks a promise,
all leave in time.
"""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.__main__ import main
from sim.modbus.rtu import RtuServer
from sim.runners.report import kept
from sim.runners.runner import run_scenario
from sim.runners.world import World
from sim.scenarios.mixed import SPEAK, mixed
from sim.scenarios.night import ZONE
from sim.scenarios.scenario import Scenario, Wired, read_scenario, speaking, write_prices, write_scenario
from sim.virtual.clock import LoopClock
from sim.world.depot import Disturbance
from v2g_edge.app import Daemon
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.reading import Reading

SOON = {"E03": 75, "E06": 80, "E07": 85, "E08": 90}
"""Who leaves during the evening (2.0.1, 1.6, Quasar, SunSpec), minutes after its beginning."""


def evening(duration_s: float = 6_000.0) -> Scenario:
    """From 17:40: all in within half a minute at 88 %, an open relay at 18:10 for 40 s, four of them out
    again with 84 %.
    """
    whole = mixed(7, quiet=True)
    start_wall_s = whole.start_wall_s + 4_200.0
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s + 30.0, soc_pct=88.0) for visit in whole.visits)
    visits = tuple(
        replace(visit, departs_wall_s=start_wall_s + 60.0 * SOON[visit.evse], target_soc_pct=84.0)
        if visit.evse in SOON
        else visit
        for visit in visits
    )
    leaves = {visit.vehicle: visit for visit in visits}
    vehicles = tuple(
        replace(
            vehicle,
            departs=datetime.fromtimestamp(leaves[vehicle.id].departs_wall_s, ZONE).strftime("%H:%M"),
            target_soc_pct=leaves[vehicle.id].target_soc_pct,
        )
        if vehicle.departs
        else vehicle
        for vehicle in whole.site.vehicles
    )
    feeders = tuple(replace(feeder, import_limit_w=5e5, export_limit_w=5e5) for feeder in whole.site.feeders)
    return replace(
        whole,
        start_wall_s=start_wall_s,
        duration_s=duration_s,
        visits=visits,
        site=replace(whole.site, vehicles=vehicles, feeders=feeders),
        disturbances=(Disturbance(start_wall_s + 1_800.4, 40.0, relay_open=True),),
    )


@pytest.mark.slow
def test_an_evening_of_every_kind_of_charger_breaks_no_promise_and_all_of_them_feed_back() -> None:
    report = run_scenario(evening())
    assert report["violations"] == []
    assert report["departures"] == {
        "met": len(SOON),
        "missed_possible": 0,
        "missed_impossible": 0,
        "missed": [],
    }
    assert [trip["kind"] for trip in report["trips"]] == ["grid_relay_open"]
    assert kept(report)
    fed_back_wh = {evse: export_wh for evse, (_, export_wh) in report["end"]["charger_wh"].items()}
    speakers = {
        version: [f"E{n:02}" for n, each in enumerate(SPEAK, 1) if each == version] for version in SPEAK
    }
    for kind, evses in (speakers | {"quasar": ["E07"], "sunspec": ["E08"]}).items():
        assert max(fed_back_wh[evse] for evse in evses) > 500.0, kind


@pytest.mark.slow
def test_the_same_seed_gives_the_same_digest() -> None:
    assert run_scenario(evening(300.0))["digest"] == run_scenario(evening(300.0))["digest"]


def test_the_scenario_is_what_it_says_and_survives_its_file(tmp_path: Path) -> None:
    scenario = mixed(7)
    write_scenario(scenario, tmp_path / "mixed.json")
    assert read_scenario(tmp_path / "mixed.json") == scenario == mixed(7) != mixed(8)
    assert [scenario.version_of(station.identity) for station in scenario.stations] == list(SPEAK)
    settings = scenario.settings(tmp_path)
    by_target = {device.target: device for device in settings.devices}
    lines = {line.id: line for line in settings.lines}
    assert (by_target["grid"].map, lines[by_target["grid"].line].transport) == ("sdm630", "rtu")
    assert (by_target["grid_relay"].map, lines[by_target["grid_relay"].line].transport) == (
        "discrete-input",
        "tcp",
    )
    assert [(by_target[w.evse].map, by_target[w.evse].vehicle) for w in scenario.wired] == [
        ("quasar1", "CAR07"),
        ("sunspec", "BUS08"),
    ]
    assert len({(line.host, line.port) for line in settings.lines if line.transport == "tcp"}) == 1 + len(
        scenario.wired
    )


def test_only_those_whose_charger_is_silent_have_their_departure_in_the_site_file() -> None:
    scenario = mixed(7)
    timed = {
        vehicle.id: (vehicle.departs, vehicle.target_soc_pct)
        for vehicle in scenario.site.vehicles
        if vehicle.departs
    }
    leaving = {
        visit.vehicle: (
            datetime.fromtimestamp(visit.departs_wall_s, ZONE).strftime("%H:%M"),
            visit.target_soc_pct,
        )
        for visit in scenario.visits
    }
    assert timed == {vehicle: leaving[vehicle] for vehicle in ("BUS05", "BUS06", "CAR07", "BUS08")}


def test_a_mixed_depot_cannot_be_told_to_speak_one_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="several protocols"):
        speaking(mixed(7), "2.1")
    assert main(["run", "--scenario", "mixed", "--ocpp", "1.6"]) == 2
    assert "leave --ocpp out" in capsys.readouterr().err
    assert Wired("E07", "quasar1", "CAR07") in mixed(7).wired


@pytest.mark.slow
async def test_in_real_time_the_meter_is_read_over_a_real_serial_line(tmp_path: Path) -> None:
    """Sockets and a pseudo-terminal, no virtual network; four played minutes at tenfold speed: it feeds
    back all the same.
    """
    scenario = replace(evening(), disturbances=())
    clock = LoopClock(scenario.start_wall_s, 10.0)
    world = World(scenario, clock, wired_port=0)
    await world.start()
    assert isinstance(world.meter, RtuServer)
    write_prices(scenario.prices, tmp_path / "prices.csv")
    settings = scenario.settings(
        tmp_path,
        ocpp_port=0,
        relay_port=world.relay.port,
        serial_port=world.meter.path,
        wired_ports=tuple(wired.server.port for wired in world.wired),
        price_file=str(tmp_path / "prices.csv"),
    )
    daemon = Daemon(settings, clock, Watchdog())
    await daemon.start()
    running = asyncio.create_task(daemon.run())
    world.join(f"ws://127.0.0.1:{daemon.ocpp.bound_port(0)}")
    try:
        await world.play(scenario.start_wall_s + 240.0)
        meter = daemon.board.meter("grid")
        assert isinstance(meter.power_w, Reading)
        assert clock.now_s() - meter.power_w.at_s < scenario.site.safety.meter_max_age_s
        assert isinstance(meter.energy_import_wh, Reading)
        assert meter.energy_import_wh.value == pytest.approx(world.depot.import_wh["main"], rel=0.05)
        assert world.panel.violations == []
        assert sum(charger.export_wh for charger in world.depot.chargers.values()) > 0.0
    finally:
        daemon.stop()
        await running
        await world.stop()
        await daemon.close()
