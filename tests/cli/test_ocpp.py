"""`v2g-edge ocpp` against a running central system: a real control socket, a real station."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer
from tests.field.ocpp.test_server import ready
from v2g_edge.cli.main import main
from v2g_edge.host.control import BadRequestError, ControlSocket


@contextlib.asynccontextmanager
async def asked(tmp_path: Path) -> AsyncIterator[tuple[Depot, Peer, list[str]]]:
    """A depot with one station, and the option that names its control socket."""
    depot = Depot(tmp_path)

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        if "operation" not in params:
            return {"stations": depot.central.describe()}
        try:
            return await depot.central.perform(params["station"], params["operation"], params["params"])
        except ValueError as error:
            raise BadRequestError(str(error)) from error

    control = ControlSocket(str(tmp_path / "c.sock"), {"ocpp": answer})
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
