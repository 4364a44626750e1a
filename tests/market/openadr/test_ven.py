"""The VEN against a VTN over real sockets: tokens, pages, outages, rude answers, deletions, reports."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response
from msgspec.structs import replace

from tests.field.ocpp.peer import Clock, until
from tests.market.openadr.test_timeline import NOW, NOW_S
from tests.market.openadr.vtn import Vtn
from v2g_edge.market.openadr.reports import Measured
from v2g_edge.market.openadr.ven import Ven
from v2g_edge.model.event import Event
from v2g_edge.model.orders import strictest
from v2g_edge.model.settings import OpenAdrSettings

HOUR = {"start": NOW, "duration": "PT1H"}


class FastClock(Clock):
    """A minute of waiting passes at once."""

    async def sleep_s(self, duration_s: float) -> None:
        await asyncio.sleep(0.005)


class Depot:
    """A VEN and what came of it."""

    def __init__(self, settings: OpenAdrSettings, folder: Path) -> None:
        self.clock = FastClock()
        self.clock.wall = NOW_S
        self.told: list[Event] = []
        self.changes = 0
        self.ven = Ven(
            settings, self.clock, folder, tell=self.told.append, on_change=self._changed,
            measured=lambda: Measured(self.clock.wall, 40e3, 55.0),
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    def import_w(self) -> float:
        return strictest(self.ven.limits_at(self.clock.wall), "import", self.clock.wall)[0]

    def said(self, kind: str) -> list[str]:
        return [event.text for event in self.told if event.kind == kind]


@pytest.fixture
async def vtn() -> AsyncIterator[Vtn]:
    vtn = Vtn()
    await vtn.start()
    yield vtn
    await vtn.stop()


@contextlib.asynccontextmanager
async def running(depot: Depot) -> AsyncIterator[Depot]:
    depot.ven.load()
    task = asyncio.get_running_loop().create_task(depot.ven.run())
    yield depot
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def limit(kw: float, **changes: Any) -> dict[str, Any]:
    payload = {"type": "IMPORT_CAPACITY_LIMIT", "values": [kw]}
    return {
        "eventName": "dim",
        "intervalPeriod": HOUR,
        "intervals": [{"id": 0, "payloads": [payload]}],
        **changes,
    }


async def test_a_limit_comes_changes_and_ends_when_it_is_deleted(vtn: Vtn, tmp_path: Path) -> None:
    vtn.put("e1", **limit(30.0))
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: depot.import_w() == 30e3)
        vtn.put("e1", **limit(12.0, modificationDateTime=NOW))
        await until(lambda: depot.import_w() == 12e3)
        vtn.events = []
        await until(lambda: depot.import_w() > 1e11)


async def test_an_outage_and_a_restart_leave_what_was_known_until_its_own_end(
    vtn: Vtn, tmp_path: Path
) -> None:
    vtn.put("e1", **limit(30.0))
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: depot.import_w() == 30e3)
        await until((tmp_path / "openadr.json.copy").exists)  # it is kept beside the control
    vtn.rude = Response("<html>maintenance</html>", media_type="text/html")
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: depot.said("openadr_offline"))
        assert depot.import_w() == 30e3
        assert "<html>" in depot.said("openadr_offline")[0]
        depot.clock.advance(3_600.0)
        assert depot.import_w() > 1e11
        vtn.rude = None
        await until(lambda: depot.said("openadr_back"))


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda: Response(status_code=429, headers={"Retry-After": "120"}), "patience"),
        (lambda: Response(status_code=302, headers={"Location": "http://elsewhere.example"}), "elsewhere"),
        (lambda: Response(status_code=503), "503"),
        (lambda: Response(status_code=403), "refuses"),
        (lambda: Response("x" * (5 << 20)), "octets"),
        (lambda: Response('{"a": 1}', media_type="application/json"), "no JSON list"),
        (lambda: Response("[" * 100_000, media_type="application/json"), "no JSON"),
    ],
)
async def test_a_rude_answer_is_named_once(
    vtn: Vtn, tmp_path: Path, answer: Callable[[], Response], word: str
) -> None:
    vtn.rude = answer()
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: len(vtn.calls) >= 3)
        assert len(depot.said("openadr_offline")) == 1
        assert word in depot.said("openadr_offline")[0]


async def test_a_token_is_fetched_kept_and_fetched_again_when_it_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    vtn = Vtn(secret="s3cret")
    vtn.put("e1", **limit(30.0))
    await vtn.start()
    settings = OpenAdrSettings(vtn.url, client_id="me", client_secret_file=str(tmp_path / "secret"))
    async with running(Depot(settings, tmp_path)) as depot:
        await until(lambda: depot.import_w() == 30e3)
        await until(lambda: vtn.calls.count("GET /events") >= 3)
        assert vtn.calls.count("POST /auth/token") == 1
        vtn.tokens.clear()
        await until(lambda: vtn.calls.count("POST /auth/token") == 2)
        assert depot.said("openadr_offline") == []
    await vtn.stop()


async def test_a_wrong_secret_is_said_without_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("wrong-one")
    vtn = Vtn(secret="s3cret")
    await vtn.start()
    settings = OpenAdrSettings(vtn.url, client_id="me", client_secret_file=str(tmp_path / "secret"))
    async with running(Depot(settings, tmp_path)) as depot:
        await until(lambda: depot.said("openadr_offline"))
        assert "client_id" in depot.said("openadr_offline")[0]
        assert "wrong-one" not in str(depot.told)
    await vtn.stop()


async def test_more_than_one_page_is_read(vtn: Vtn, tmp_path: Path) -> None:
    for number in range(120):
        vtn.put(f"e{number}", **limit(200.0 - number))
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: depot.import_w() == 81e3)


async def test_events_for_others_are_passed_over(vtn: Vtn, tmp_path: Path) -> None:
    vtn.put("ours", **limit(30.0, targets=["depot-1"]))
    vtn.put("theirs", **limit(1.0, targets=["depot-2"]))
    async with running(Depot(OpenAdrSettings(vtn.url, targets=("depot-1",)), tmp_path)) as depot:
        await until(lambda: depot.import_w() == 30e3)


async def test_prices_reach_the_plan_and_another_currency_is_refused(vtn: Vtn, tmp_path: Path) -> None:
    def priced(currency: str, value: float) -> dict[str, Any]:
        return {
            "intervalPeriod": HOUR,
            "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [value]}]}],
            "payloadDescriptors": [{"payloadType": "PRICE", "units": "KWH", "currency": currency}],
        }  # fmt: skip

    vtn.put("e1", **priced("EUR", -0.05))
    async with running(Depot(OpenAdrSettings(vtn.url, currency="EUR"), tmp_path)) as depot:
        await until(lambda: depot.ven.prices)
        (price,) = depot.ven.prices
        assert (price.start_wall_s, price.per_kwh, price.end_wall_s) == (NOW_S, -0.05, NOW_S + 3_600.0)
        vtn.put("e1", **priced("USD", 0.5))
        await until(lambda: depot.said("openadr_unusable"))
        assert "openadr.currency is EUR" in depot.said("openadr_unusable")[0]
        assert depot.ven.prices == (price,)


async def test_an_alert_and_a_type_that_is_not_acted_on_are_said_once(vtn: Vtn, tmp_path: Path) -> None:
    payloads = [{"type": "ALERT_GRID_EMERGENCY", "values": ["storm"]}, {"type": "CURVE", "values": [1]}]
    vtn.put("e1", intervalPeriod=HOUR, intervals=[{"id": 0, "payloads": payloads}])
    async with running(Depot(OpenAdrSettings(vtn.url), tmp_path)) as depot:
        await until(lambda: depot.said("openadr_alert") and depot.said("openadr_unusable"))
        await until(lambda: vtn.calls.count("GET /events") >= 4)
        assert len(depot.told) == 2
        assert "storm" in depot.said("openadr_alert")[0]


async def test_a_report_is_sent_once_when_its_event_is_over(vtn: Vtn, tmp_path: Path) -> None:
    asked = [{"payloadType": "USAGE"}, {"payloadType": "STORAGE_CHARGE_LEVEL"}, {"payloadType": "BASELINE"}]
    vtn.put("e1", **limit(30.0, reportDescriptors=asked))
    async with running(Depot(replace(OpenAdrSettings(vtn.url), ven_name="depot"), tmp_path)) as depot:
        await until(lambda: vtn.calls.count("GET /events") >= 2)
        depot.clock.advance(3_601.0)
        await until(lambda: vtn.reports)
        await until(lambda: vtn.calls.count("GET /events") >= 6)
    (report,) = vtn.reports
    (interval,) = report["resources"][0]["intervals"]
    told = {payload["type"]: payload["values"] for payload in interval["payloads"]}
    assert told == {"USAGE": [40.0], "STORAGE_CHARGE_LEVEL": [55.0]}
    assert (report["eventID"], report["clientName"]) == ("e1", "depot")
