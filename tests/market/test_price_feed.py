"""A price service is asked when its prices are due, and nothing it does breaks the daemon or forgets good
prices.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from tests.market.http_server import Answer, HttpServer, Request
from v2g_edge.config.keys.key import FEED
from v2g_edge.market.price_feed import LOOK_S, WAITS_S, PriceFeed
from v2g_edge.market.price_services import FEEDS
from v2g_edge.model.event import Event
from v2g_edge.model.settings import PriceSettings

ZONE = ZoneInfo("Europe/Brussels")


class StepClock:
    """A clock that only moves while somebody sleeps, and stops the test's feed after ``until_s``."""

    def __init__(self, start: datetime, until: datetime) -> None:
        self.wall, self._until_s = start.timestamp(), until.timestamp()
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.wall

    def wall_s(self) -> float:
        return self.wall

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        self.wall += duration_s
        if self.wall >= self._until_s:
            raise asyncio.CancelledError


def prices_of(day: str, price: float = 50.0) -> bytes:
    """A day of hours as Energy-Charts gives it."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZONE)
    end = (start + timedelta(days=1)).timestamp()
    starts = list(range(int(start.timestamp()), int(end), 3_600))
    return json.dumps({"unix_seconds": starts, "price": [price] * len(starts), "unit": "EUR / MWh"}).encode()


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    server = HttpServer(lambda request: Answer(prices_of(request.query["start"])))
    await server.start()
    yield server
    await server.stop()


class Rig:
    """A feed over a step clock."""

    def __init__(
        self, server: HttpServer, folder: Path, start: datetime, hours: float, **settings: object
    ) -> None:
        self.clock = StepClock(start, start + timedelta(hours=hours))
        self.events: list[Event] = []
        self.changes = 0
        base = PriceSettings(feed="energy-charts", zone="NL", url=f"http://127.0.0.1:{server.port}")
        self.feed = PriceFeed(
            replace(base, **settings), self.clock, folder, tell=self.events.append, on_change=self._changed
        )

    def _changed(self) -> None:
        self.changes += 1

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await self.feed.run()


def at(hour: float) -> datetime:
    return datetime(2026, 11, 27, tzinfo=ZONE) + timedelta(hours=hour)


async def test_today_is_asked_for_at_once_and_tomorrow_when_it_is_due(
    server: HttpServer, tmp_path: Path
) -> None:
    rig = Rig(server, tmp_path, at(10), 4)
    await rig.run()
    assert [request.query["start"] for request in server.requests] == ["2026-11-27", "2026-11-28"]
    assert rig.feed.rows[-1].end_wall_s == at(48).timestamp()
    assert rig.changes == 2
    assert rig.events == []


async def test_a_restart_without_a_network_knows_what_was_fetched(server: HttpServer, tmp_path: Path) -> None:
    await Rig(server, tmp_path, at(10), 1).run()
    server.requests.clear()
    rig = Rig(server, tmp_path, at(11), 1)
    rig.feed.load()
    assert len(rig.feed.prices) == 24
    await rig.run()
    assert server.requests == []


async def test_late_prices_are_an_alarm_once_and_the_waits_grow(server: HttpServer, tmp_path: Path) -> None:
    server.answer = lambda request: (
        Answer(prices_of("2026-11-27")) if request.query["start"] == "2026-11-27" else Answer(b"", 503)
    )
    rig = Rig(server, tmp_path, at(12), 9)
    await rig.run()
    assert [event.kind for event in rig.events] == ["prices_late"]
    assert "127.0.0.1 answers 503" in rig.events[0].text
    assert len(rig.feed.rows) == 24, "what was known stays"
    failures = [slept for slept in rig.clock.slept if slept != LOOK_S or slept in WAITS_S]
    assert failures[-1] == WAITS_S[-1]
    assert len(server.requests) < 60


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: Answer(b"<html>maintenance</html>"), "an HTML page, no prices"),
        (
            lambda _: Answer(b"", 302, (("Location", "https://elsewhere.example/"),)),
            "sends us elsewhere (302)",
        ),
        (lambda _: Answer(b"", 401), "refuses the key (401)"),
        (lambda _: Answer(prices_of("2026-11-27"), close=True), "cannot be asked"),
        (lambda _: Answer(prices_of("2020-01-01")), "none of that day"),
        (lambda _: Answer(b"x" * (9 << 20)), "sends more than 8388608 octets"),
        (lambda _: Answer(b'{"unix_seconds": [], "price": [], "unit": "EUR/MWh"}'), "has no prices"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_told_and_costs_nothing(
    server: HttpServer, tmp_path: Path, answer: Callable[[Request], Answer], said: str
) -> None:
    server.answer = answer
    rig = Rig(server, tmp_path, at(9), 0.5)
    await rig.run()
    assert said in rig.feed.fault
    assert rig.feed.rows == ()


async def test_a_server_that_asks_for_patience_gets_it(server: HttpServer, tmp_path: Path) -> None:
    server.answer = lambda _: Answer(b"", 429, (("Retry-After", "1800"),))
    rig = Rig(server, tmp_path, at(9), 1)
    await rig.run()
    assert rig.clock.slept[0] == 1_800.0


async def test_a_closed_port_is_told(tmp_path: Path, server: HttpServer) -> None:
    await server.stop()
    rig = Rig(server, tmp_path, at(9), 0.5)
    await rig.run()
    assert "127.0.0.1 cannot be asked: ConnectError" in rig.feed.fault
    await server.start()


async def test_a_key_is_sent_and_never_told(server: HttpServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret-token\n")
    server.answer = lambda request: Answer(b"", 500, (("X-Echo", request.query["securityToken"]),))
    rig = Rig(server, tmp_path, at(9), 0.5, feed="entsoe", zone="NL", key_file=str(key))
    await rig.run()
    assert server.requests[0].query["securityToken"] == "s3cret-token"
    assert server.requests[0].query["in_Domain"] == "10YNL----------L"
    assert "s3cret" not in rig.feed.fault
    key.unlink()
    rig = Rig(server, tmp_path, at(9), 0.5, feed="entsoe", key_file=str(key))
    await rig.run()
    assert "prices.key_file" in rig.feed.fault


async def test_a_disk_that_takes_nothing_costs_no_prices(server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rig = Rig(server, tmp_path / "file" / "prices", at(10), 1)
    await rig.run()
    assert len(rig.feed.rows) == 24


@pytest.mark.parametrize("name", FEEDS)
def test_every_service_is_asked_for_a_whole_local_day_also_when_the_clock_changes(name: str) -> None:
    feed = FEEDS[name]
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)):
        call = feed.call(feed.url, "NL", day, "user:key")
        assert call.url.startswith("https://")
        assert feed.start(day).astimezone(ZoneInfo(feed.timezone)).hour == 0
        assert feed.due < feed.late
    start, end = feed.start(date(2026, 7, 1)), feed.start(date(2026, 7, 2))
    assert (end - start, start.tzinfo) == (timedelta(days=1), UTC)


def test_the_site_file_takes_the_services_that_there_are() -> None:
    assert f"^({'|'.join(FEEDS)})?$" == FEED
