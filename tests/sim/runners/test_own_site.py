"""An integrator's site, as it is written in ``examples/``: checked without a word, and played at its own
devices.
"""

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.runners.own_site import LINE_PORT, at_simulator
from sim.runners.pure import PureRun, slowed
from sim.runners.rehearse import world_of
from sim.runners.report import events, kept, read_bodies
from sim.runners.runner import run_scenario
from tests.depot import healthy, plugged
from v2g_edge import config
from v2g_edge.cli.main import main
from v2g_edge.cycle import Cycle, Memory

FOLDER = Path(__file__).parents[3] / "examples"
DEPOT, ONE = FOLDER / "depot.toml", FOLDER / "one-charger.toml"
LINES_MOST = 100
HOUR_S = 3_600.0
TOLD_MOST = 3
"""At the start, when its vehicle comes, and at the end."""


@pytest.mark.parametrize("path", [DEPOT, ONE], ids=lambda path: path.name)
def test_an_example_has_neither_error_nor_warning(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is short enough to be read."""
    assert path.read_text(encoding="utf-8").count("\n") < LINES_MOST
    assert main(["check", "--elsewhere", "--strict", str(path)]) == 0
    assert "no problem" in capsys.readouterr().out


def test_one_charger_without_a_meter_charges_within_the_fuse_and_never_gives() -> None:
    """The house counts with its most, since no meter says it; a vehicle that is not known charges as well."""
    site, memory = config.load(ONE).site, Memory()
    for second in range(60):
        now_s = 100.0 + second
        seen = replace(healthy(site), seq=second, now_s=now_s, wall_s=1e6 + second)
        outcome = Cycle(site).tick(replace(seen, evses=(plugged("", now_s, 1e6),)), None, memory)
        memory = outcome.memory
    assert outcome.permits[0].power_w == pytest.approx(11_000.0)
    assert outcome.permits[0].min_w >= 0.0


def test_only_addresses_and_what_is_outside_differ_from_the_file(tmp_path: Path) -> None:
    """The site, its devices and its stations are those of the file."""
    own = config.load(DEPOT)
    played = at_simulator(own, tmp_path, 8081, "prices.csv")
    assert played.site == own.site
    assert [line.port for line in played.lines] == [LINE_PORT, LINE_PORT + 1]
    assert [(d.id, d.map, d.unit) for d in played.devices] == [(d.id, d.map, d.unit) for d in own.devices]
    assert [s.outlets for s in played.stations] == [s.outlets for s in own.stations]
    assert not any(station.password_file for station in played.stations)


def test_vehicles_leave_as_the_calendar_says_and_stand_where_their_device_says() -> None:
    """A Thursday in January; the pool car is at the Quasar."""
    scenario = world_of(config.load(DEPOT), 7)
    visits = {visit.vehicle: visit for visit in scenario.visits}
    assert visits["POOL-1"].evse == "Q1"
    assert visits["TRUCK-1"].departs_wall_s == scenario.start_wall_s + 12.25 * HOUR_S
    assert visits["TRUCK-1"].target_soc_pct == 90.0


@pytest.mark.slow
def test_a_night_of_the_depot_breaks_nothing() -> None:
    """On the physics, each minute decided by the product's own tick: nobody short, no limit broken."""
    panel = PureRun(slowed(world_of(config.load(DEPOT), 7), 60.0)).play()
    assert panel.violations == []
    assert len(panel.departures) == len(config.load(DEPOT).site.vehicles)
    assert [each.vehicle for each in panel.departures if not each.is_met] == []


@pytest.mark.slow
def test_its_evening_is_played_over_protocols_at_its_own_devices(tmp_path: Path) -> None:
    """Eight stations, a meter by its map, a relay, the Quasar by its registers: vehicles come and charge, and
    no row comes and goes. `make night` plays all of it.
    """
    own = config.load(DEPOT)
    scenario = world_of(own, 7)
    visits = tuple(replace(visit, arrives_wall_s=scenario.start_wall_s + 60.0) for visit in scenario.visits)
    report = run_scenario(replace(scenario, visits=visits, duration_s=600.0), tmp_path, own=own)
    assert kept(report), report["violations"]
    charged = {evse for evse, (in_wh, out_wh) in report["end"]["charger_wh"].items() if in_wh + out_wh > 1.0}
    assert "Q1" in charged
    assert len(charged) >= 5, charged
    told = Counter(f"{each.kind} {each.subject}" for each in events(read_bodies(tmp_path / "journal.db")))
    assert max(told.values()) <= TOLD_MOST, told.most_common(3)
