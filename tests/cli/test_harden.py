"""The drop-in lets the daemon talk to what the site file names, and systemd understands it."""

import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.config.small import TEXT
from v2g_edge.cli.main import main
from v2g_edge.cli.site import harden
from v2g_edge.cli.site.harden import destinations, drop_in, name_servers
from v2g_edge.config.load import loads
from v2g_edge.model.settings import (
    CloudSettings,
    FleetSettings,
    ModbusLine,
    OcppSettings,
    PriceSettings,
    TelematicsSettings,
    UpstreamSettings,
)

UNIT = Path("systemd/v2g-edge.service")
SETTINGS = replace(
    loads(TEXT),
    lines=(ModbusLine("field", host="192.0.2.10"),),
    cloud=CloudSettings("192.0.2.20"),
    prices=PriceSettings(feed="energy-charts", url="https://192.0.2.30/prices"),
    ocpp=OcppSettings(ocsp_hosts=("192.0.2.40",)),
    fleet=FleetSettings(host="10.0.0.1", port=8_463),
    telematics=TelematicsSettings(host="10.0.0.1", mqtt_host="192.0.2.50"),
    upstreams=(UpstreamSettings("csms", "wss://192.0.2.60:443/ocpp"),),
)


def allowed(text: str) -> set[str]:
    return {line.partition("=")[2] for line in text.splitlines() if line.startswith("IPAddressAllow=")}


def test_every_host_that_is_dialled_is_a_destination_and_no_address_of_ours() -> None:
    assert set(destinations(SETTINGS)) == {f"192.0.2.{n}" for n in (10, 20, 30, 40, 50, 60)}


def test_a_price_service_without_an_address_of_its_own_counts_with_its_usual_one() -> None:
    plain = replace(SETTINGS, prices=PriceSettings(feed="energy-charts"))
    assert "api.energy-charts.info" in set(destinations(plain))


def test_the_drop_in_denies_all_and_allows_these() -> None:
    text = drop_in(SETTINGS, ["10.20.0.0/16"], ["9.9.9.9", "127.0.0.53"])
    assert "IPAddressDeny=any" in text
    found = allowed(text)
    assert found == {
        "localhost",
        "10.20.0.0/16",
        "9.9.9.9",
        *(f"192.0.2.{n}" for n in (10, 20, 30, 40, 50, 60)),
    }


def test_devices_go_where_no_line_is_serial() -> None:
    serial = replace(SETTINGS, lines=(ModbusLine("rs485", "rtu", serial_port="/dev/ttyUSB0"),))
    assert "PrivateDevices=yes" in drop_in(SETTINGS, ["10.0.0.0/8"], [])
    assert "PrivateDevices" not in drop_in(serial, ["10.0.0.0/8"], [])


@pytest.mark.parametrize("serial", [False, True])
def test_systemd_takes_the_unit_with_it_and_finds_it_closer(tmp_path: Path, serial: bool) -> None:
    lines = (ModbusLine("rs485", "rtu", serial_port="/dev/ttyUSB0"),) if serial else SETTINGS.lines
    text = drop_in(replace(SETTINGS, lines=lines), ["10.20.0.0/16"], [])
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")
    command = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        "--no-pager",
        f"--threshold={14 if serial else 12}",
    ]
    run = subprocess.run([*command, str(unit)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-300:]
    assert "Unknown" not in run.stderr


def test_it_is_shown_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.toml"
    site.write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(harden, "name_servers", list)
    monkeypatch.setattr(harden, "DROP_IN", tmp_path / "units" / "20-networks.conf")
    words = ["harden", "--config", str(site), "--network", "10.20.0.0/16"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert main([*words, "--write"]) == 0
    assert harden.DROP_IN.read_text(encoding="utf-8") == shown
    assert "daemon-reload" in capsys.readouterr().out


@pytest.mark.parametrize("network", ["10.20.0.1/16", "chargers", "10.20.0.0/33", ""])
def test_a_network_that_is_none_is_said_so(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["harden", "--network", network]) == 2
    assert "expected one like 10.20.0.0/16" in capsys.readouterr().err


def test_name_servers_are_read_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "search x\nnameserver 192.0.2.1\nnameserver\nnameserver nonsense\nnameserver fe80::1%eth0\n"
    )
    assert name_servers(file) == ["192.0.2.1", "fe80::1%eth0"]
    assert name_servers(tmp_path / "none") == []
