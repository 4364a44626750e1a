"""`v2g-edge ocpp` against a running central system: a real control socket, a real station."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer
from tests.field.ocpp.test_server import ready
from v2g_edge import config
from v2g_edge.api.ocpp import OcppApi
from v2g_edge.cli.main import main
from v2g_edge.host.control import ControlSocket

EXAMPLE = Path(__file__).parents[2] / "examples" / "depot.toml"


@contextlib.asynccontextmanager
async def asked(tmp_path: Path) -> AsyncIterator[tuple[Depot, Peer, list[str]]]:
    """A depot with one station, and the option that names its control socket."""
    depot = Depot(tmp_path)
    api = OcppApi(depot.central, lambda: config.load(EXAMPLE).site)
    control = ControlSocket(str(tmp_path / "c.sock"), {"ocpp": api.ocpp})
    with structlog.testing.capture_logs():  # by default the log goes where the command prints
        await depot.central.start()
        await control.start()
        station = await ready(depot, "new", "2.0.1")
        try:
            yield depot, station, ["--socket", str(tmp_path / "c.sock")]
        finally:
            await station.close()
            await control.stop()
            await depot.central.stop()


async def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = await asyncio.to_thread(main, ["ocpp", *words])
    told = capsys.readouterr()
    return code, told.out + told.err


async def test_stations_are_listed_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with asked(tmp_path) as (_, station, socket):
        code, text = await said(capsys, *socket)
        assert (code, [line.split()[:2] for line in text.splitlines()[1:]]) == (
            0,
            [["old", "down"], ["new", "up"], ["newest", "down"]],
        )
        code, text = await said(capsys, *socket, "new")
        assert (code, json.loads(text)["version"]) == (0, "2.0.1")
        assert (await said(capsys, *socket, "nobody"))[0] == 2
        code, text = await said(capsys, *socket, "new", "reset", "type=Immediate", "evse=1")
        assert (code, json.loads(text)["outcome"]) == (0, "answered")
        assert station.got("Reset") == [{"type": "Immediate", "evseId": 1}]
        code, text = await said(capsys, *socket, "new", "reset", "typ=Immediate")
        assert (code, "no parameter 'typ'; reset takes [type], [evse]" in text) == (2, True)


async def test_values_stay_as_they_are_written_unless_they_are_lists_or_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2.10 is not 2.1, and 0012 and 1e5 are tokens."""
    async with asked(tmp_path) as (_, station, socket):
        await said(capsys, *socket, "new", "local-list", "version=3", 'tokens=["0012", "1e5"]')
        tokens = [
            row["idToken"]["idToken"] for row in station.got("SendLocalList")[0]["localAuthorizationList"]
        ]
        assert tokens == ["0012", "1e5"]
        await said(capsys, *socket, "new", "start", "token=1e5", "evse=1")
        assert station.got("RequestStartTransaction")[0]["idToken"]["idToken"] == "1e5"
        await said(capsys, *socket, "new", "cost", "transaction=7", "total=3.50")
        assert station.got("CostUpdated") == [{"transactionId": "7", "totalCost": 3.5}]
        code, text = await said(capsys, *socket, "new", "local-list", "version=3", "tokens=[0012]")
        assert (code, "tokens: '[0012]' is not JSON" in text) == (2, True)
        code, text = await said(capsys, *socket, "new", "reset", "Soft")
        assert (code, "'Soft' is not NAME=VALUE" in text) == (2, True)


async def test_what_concerns_all_stations_is_asked_of_the_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with asked(tmp_path) as (_, station, socket):
        rollout = ["make=v/m", "version=2.10", "location=https://a.b/c", 'waves=[1, "10%"]', "soak_s=60"]
        code, text = await said(capsys, *socket, "@site", "rollout", *rollout)
        assert code == 0, text
        assert (json.loads(text)["version"], json.loads(text)["terms"]["soak_s"]) == ("2.10", 60.0)
        code, text = await said(capsys, *socket, "@site", "rollout-abort")
        assert (code, json.loads(text)["state"]) == (0, "aborted")
        code, text = await said(capsys, *socket, "@site", "rollout-continue", "retry=true")
        assert (code, "only a stopped one can be continued" in text) == (2, True)
        code, text = await said(capsys, *socket, "@site", "tea")
        assert (code, "there are certificates, reload, rollout" in text) == (2, True)
        assert station.got("UpdateFirmware") == []


def test_the_help_names_every_operation_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ocpp", "--help"])
    text = capsys.readouterr().out
    for part in (
        "new-password",
        "rollout-status",
        "2.0.1, 2.1: slot, url, security_profile",
        "1.6, 2.0.1, 2.1: reservation",
    ):
        assert part in text


async def dials(depot: Depot, identity: str) -> None:
    """A station whose address is right, and which the site file does not have."""
    url = f"ws://127.0.0.1:{depot.port}/{identity}"
    versions = [Subprotocol("ocpp2.0.1"), Subprotocol("ocpp1.6")]
    with pytest.raises(InvalidStatus):
        await connect(url, subprotocols=versions, user_agent_header="ACME charger 1.2")


async def test_a_station_that_dialled_in_is_put_in_by_pasting_its_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Listed with where it came from and what it speaks; its entry is a sound drop-in of the site."""
    async with asked(tmp_path) as (depot, _, socket):
        await dials(depot, "CP-NEW")
        await dials(depot, "CP-NEW")
        code, text = await said(capsys, *socket)
        assert code == 0
        assert "CP-NEW                   from 127.0.0.1, last " in text
        assert "2 times; 1.6, 2.0.1, ACME charger 1.2" in text
        code, entry = await said(capsys, *socket, "CP-NEW")
    assert code == 0
    site = tmp_path / "site.toml"
    site.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "site.d").mkdir()
    (tmp_path / "site.d" / "CP-NEW.toml").write_text(entry, encoding="utf-8")
    capsys.readouterr()
    assert await asyncio.to_thread(main, ["check", "--elsewhere", "--strict", str(site)]) == 0
    assert "CP-NEW" in capsys.readouterr().out


async def test_what_a_stranger_calls_itself_steers_no_terminal_and_fills_no_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that no site file may use has no entry; the latest 32 are remembered."""
    async with asked(tmp_path) as (depot, _, socket):
        await dials(depot, "%1b[31mred%0a" + "x" * 200)
        code, text = await said(capsys, *socket)
        assert (code, "\x1b" in text) == (0, False)
        name = depot.central.knocks.describe()[0]["station"]
        code, text = await said(capsys, *socket, name)
        assert (code, "cannot be a station's name" in text) == (2, True)
        for number in range(40):
            depot.central.knocks.note(f"CP-{number}", "192.0.2.1", (), "", 1e6)
        known = [knock["station"] for knock in depot.central.knocks.describe()]
        assert (len(known), known[0], known[-1]) == (32, "CP-39", "CP-8")
