"""What stands in for the devices of a site file, and what is left alone; a vehicle at each outlet."""

import asyncio
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from sim.runners import stand_in as played
from sim.runners.stand_in import become_nobody, is_here, scenario_of, stand_in, told
from sim.scenarios.scenario import Scenario
from sim.stations.station import Station
from tests.config.small import TEXT
from v2g_edge import config
from v2g_edge.model.settings import ModbusLine, Settings

WALL_S = 1.8e9
STARTER = Path("debian/site.starter.toml")


def starter(folder: Path, **changed: str) -> Path:
    """The site file that the package leaves, with a password beside it."""
    text = STARTER.read_text(encoding="utf-8").replace("@TIMEZONE@", "Europe/Berlin")
    text = text.replace("@IMPORT_W@", "11000.0")
    text = text.replace("/run/credentials/v2g-edge.service/secrets_CP01", str(folder / "CP01"))
    for old, new in changed.items():
        text = text.replace(old, new)
    (folder / "CP01").write_text("a-password-of-20-abc\n", encoding="utf-8")
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return folder / "site.toml"


@pytest.mark.parametrize(
    ("line", "here"),
    [
        (ModbusLine("a", host="127.0.0.1", port=1502), True),
        (ModbusLine("a", host="127.1.2.3"), True),
        (ModbusLine("a", host="localhost"), True),
        (ModbusLine("a", host="::1"), True),
        (ModbusLine("a", host="192.0.2.10"), False),
        (ModbusLine("a", host="meter.example"), False),
        (ModbusLine("a", transport="tls", host="127.0.0.1"), False),
        (ModbusLine("a", transport="rtu", serial_port="/dev/ttyUSB0"), False),
    ],
)
def test_a_line_that_leads_elsewhere_is_left_alone(line: ModbusLine, here: bool) -> None:
    assert is_here(line) is here


def test_the_first_site_file_gets_an_unknown_car_at_its_outlet(tmp_path: Path) -> None:
    settings = config.load(starter(tmp_path))
    scenario = scenario_of(settings, WALL_S, 40.0)
    (visit,) = scenario.visits
    assert (visit.evse, visit.vehicle, visit.soc_pct) == ("B01", "guest-B01", 40.0)
    assert scenario.battery("guest-B01", 40.0).capacity_wh == 60_000.0
    assert settings.site.vehicles == ()
    said = told(settings, scenario, settings.lines, frozenset())
    assert said[0] == "station CP01 (2.0.1): outlets B01"
    assert said[1] == "line field: its devices answer at 127.0.0.1:1502"


def _small(tmp_path: Path) -> Settings:
    site = tmp_path / "small.toml"
    site.write_text(TEXT, encoding="utf-8")
    return config.load(site)


def test_the_site_s_own_vehicles_come_first_and_only_to_outlets_that_are_played(tmp_path: Path) -> None:
    settings = _small(tmp_path)
    known = {vehicle.id for vehicle in settings.site.vehicles}
    everything = scenario_of(settings, WALL_S, 40.0)
    assert known <= {visit.vehicle for visit in everything.visits}
    none = scenario_of(replace(settings, stations=(), devices=()), WALL_S, 40.0)
    assert none.visits == ()


def test_where_everything_is_real_it_says_so(tmp_path: Path) -> None:
    settings = _small(tmp_path)
    scenario = scenario_of(replace(settings, stations=(), devices=()), WALL_S, 40.0)
    with pytest.raises(ValueError, match="nothing is left to stand in for"):
        told(settings, scenario, (), frozenset({"CP-A"}))


async def test_a_site_with_tls_only_names_what_to_add(tmp_path: Path) -> None:
    file = starter(tmp_path)
    listeners = 'security_profile = 2\ncertificate_files = ["c.pem"]\nkey_files = ["k.pem"]'
    file.write_text(file.read_text(encoding="utf-8").replace("security_profile = 1", listeners))
    with pytest.raises(ValueError, match="every listener has security_profile 2 or 3"):
        await stand_in(file, frozenset(), 40.0, "2.0.1")


async def test_stations_dial_in_with_their_passwords_and_connected_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played on the devices' own ports; the world ends at once."""
    dialled: dict[str, str] = {}

    async def run(station: Station) -> None:
        dialled[station._url] = station.keyring.password

    async def play(_world: object, _until_wall_s: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Station, "run", run)
    monkeypatch.setattr(played.StandIn, "play", play)
    monkeypatch.setattr(played, "become_nobody", lambda: None)
    file = starter(tmp_path, **{"port = 1502": "port = 0", "port = 8081": "port = 18081"})
    await stand_in(file, frozenset(), 40.0, "1.6")
    assert dialled == {"ws://127.0.0.1:18081/CP01": "a-password-of-20-abc"}
    dialled.clear()
    await stand_in(file, frozenset({"CP01"}), 40.0, "1.6")
    assert dialled == {}


def test_root_s_rights_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups first, then group, then user: the other way round the first two would be refused."""
    done: list[tuple[str, object]] = []
    for name in ("setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda what, name=name: done.append((name, what)))
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    become_nobody()
    assert done == []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    become_nobody()
    assert [name for name, _ in done] == ["setgroups", "setgid", "setuid"]
    assert done[0][1] == []
    assert all(number != 0 for _, number in done[1:])


def test_a_scenario_s_loads_are_half_of_what_the_site_file_allows(tmp_path: Path) -> None:
    scenario: Scenario = scenario_of(_small(tmp_path), WALL_S, 40.0)
    assert [load.base_w for load in scenario.loads] == [
        0.5 * feeder.base_load_max_w for feeder in scenario.site.feeders
    ]


async def test_passwords_that_may_not_be_read_say_who_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads everything, so the refusal is played."""
    file = starter(tmp_path)
    read = Path.read_text

    def refused(path: Path, *words: str, **more: str) -> str:
        if path.name == "CP01":
            raise PermissionError
        return read(path, *words, **more)

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(ValueError, match="CP01: only root may read it; sudo v2g-edge simulate"):
        await stand_in(file, frozenset(), 40.0, "2.0.1")
