"""Keeps the prices of a service at hand: asks when they are due, waits longer after each failure, keeps each
day on disk.

An answer that cannot be used never replaces prices that were known; those hold until their own intervals end.
A missing day is reported once, when it is late. Failures of network, server and document all end in
``fault``, never in an exception.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import httpx
import structlog

from v2g_edge.market.price_file import OCTETS_MAX, plan_prices, read_bytes
from v2g_edge.market.price_services import FEEDS, Call, Feed
from v2g_edge.market.rows import BadPrices, in_order
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Price, PriceRow
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import PriceSettings

log = structlog.get_logger()

TIMEOUT_S: Final = 20.0
"""A zip of CAISO takes some ten seconds to be made."""
WAITS_S: Final = (60.0, 120.0, 300.0, 600.0, 900.0)
"""Waits after failures in a row: a service that struggles is not helped by being asked."""
RETRY_AFTER_MAX_S: Final = 3_600.0
LOOK_S: Final = 300.0
"""How often it is looked at whether a day is due."""
ANSWER_MAX: Final = 8 << 20
"""A day of quarter hours is 40 kB of XML; an answer above 8 MiB is no day."""
DAYS_KEPT: Final = 3


class FeedFault(Exception):  # noqa: N818 - names the fault of a service
    """A call failed; the message says how. ``wait_s``: the server asked for that much patience."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class PriceFeed:
    """The prices of one service. ``rows`` and ``prices`` hold what is known; ``on_change`` is called when
    that changes.
    """

    def __init__(
        self,
        settings: PriceSettings,
        clock: ClockPort,
        folder: Path,
        *,
        tell: Callable[[Event], None],
        on_change: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._feed: Feed = FEEDS[settings.feed]
        self._clock = clock
        self._folder = folder
        self._tell = tell
        self._on_change = on_change
        self._tls = tls
        self._days: dict[date, tuple[PriceRow, ...]] = {}
        self._late: date | None = None
        self.rows: tuple[PriceRow, ...] = ()
        self.prices: tuple[Price, ...] = ()
        self.fault = ""

    def load(self) -> None:
        """Take the days that are on disk, so that a restart without a network still knows its prices."""
        for day in self._wanted_days():
            try:
                data = self._path(day).read_bytes()
                self._days[day] = read_bytes(data, f"{self._settings.feed} {day}", self._settings)
            except (OSError, BadPrices):
                continue
        self._publish()

    async def run(self) -> None:
        """Ask for what is due until cancelled."""
        failures = 0
        async with self._client() as client:
            while True:
                wait_s = LOOK_S
                try:
                    await self._ask_for_what_is_due(client)
                    failures = 0
                except FeedFault as fault:
                    failures += 1
                    wait_s = max(fault.wait_s, WAITS_S[min(failures, len(WAITS_S)) - 1])
                    self._fail(str(fault), wait_s)
                self._tell_when_late()
                await self._clock.sleep_s(wait_s)

    def _client(self) -> httpx.AsyncClient:
        context = self._tls or ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2 if self._settings.tls_1_2 else ssl.TLSVersion.TLSv1_3
        return httpx.AsyncClient(verify=context, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall_s(), ZoneInfo(self._feed.timezone))

    def _wanted_days(self) -> tuple[date, date]:
        today = self._now().date()
        return today, today + timedelta(days=1)

    async def _ask_for_what_is_due(self, client: httpx.AsyncClient) -> None:
        today, tomorrow = self._wanted_days()
        due = [today] if today not in self._days else []
        if tomorrow not in self._days and self._now().time() >= self._feed.due:
            due.append(tomorrow)
        for index, day in enumerate(due):
            if index:
                await self._clock.sleep_s(self._feed.gap_s)
            await self._ask(client, day)

    async def _ask(self, client: httpx.AsyncClient, day: date) -> None:
        key = await self._key()
        call = self._feed.call(self._settings.url or self._feed.url, self._settings.zone, day, key)
        data = await fetch(client, call)
        source = f"{self._settings.feed} {day}"
        try:
            rows = await asyncio.to_thread(read_bytes, data, source, self._settings)
        except BadPrices as fault:
            raise FeedFault(str(fault)) from fault
        start_s, end_s = (self._feed.start(each).timestamp() for each in (day, day + timedelta(days=1)))
        inside = tuple(each for each in rows if start_s <= each.start_wall_s < end_s)
        if not inside:
            first = datetime.fromtimestamp(rows[0].start_wall_s, UTC)
            raise FeedFault(f"{source}: the answer has prices from {first:%Y-%m-%d %H:%M}Z, none of that day")
        self._days[day] = inside
        self.fault = ""
        log.info("prices_fetched", feed=self._settings.feed, day=str(day), rows=len(inside))
        self._publish()
        await asyncio.to_thread(self._keep, day, data)

    async def _key(self) -> str:
        if not self._settings.key_file:
            return ""
        try:
            text = await asyncio.to_thread(Path(self._settings.key_file).read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise FeedFault(f"prices.key_file {self._settings.key_file} cannot be read: {fault}") from fault
        return text.strip()

    def _publish(self) -> None:
        wanted = self._wanted_days()
        self._days = {day: rows for day, rows in self._days.items() if day >= wanted[0] - timedelta(days=1)}
        rows = [each for day in sorted(self._days) for each in self._days[day]]
        try:
            self.rows = in_order(rows)
        except BadPrices as fault:
            self.fault = str(fault)
            return
        self.prices = plan_prices(self.rows)
        self._on_change()

    def _keep(self, day: date, data: bytes) -> None:
        """Write a day to disk, and forget those before. What cannot be kept is only logged: control does
        not need it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path(day).write_bytes(data)
            for old in sorted(self._folder.glob(f"{self._settings.feed}-*.prices"))[:-DAYS_KEPT]:
                old.unlink(missing_ok=True)
        except OSError as fault:
            log.warning("prices_not_kept", feed=self._settings.feed, day=str(day), why=str(fault))

    def _path(self, day: date) -> Path:
        return self._folder / f"{self._settings.feed}-{day}.prices"

    def _fail(self, text: str, wait_s: float) -> None:
        if text != self.fault:
            self.fault = text
            log.warning("prices_fetch_failed", feed=self._settings.feed, why=text, again_in_s=wait_s)

    def _tell_when_late(self) -> None:
        """Say once a day that tomorrow's prices are missing."""
        tomorrow = self._wanted_days()[1]
        if tomorrow in self._days or self._late == tomorrow or self._now().time() < self._feed.late:
            return
        self._late = tomorrow
        why = self.fault or "the service does not have them yet"
        text = (
            f"{self._settings.feed} has no prices for {tomorrow}: {why}. The plan ends with the prices that"
            " are known"
        )
        self._tell(Event("prices_late", "alarm", "site", text, self._clock.wall_s()))


async def fetch(client: httpx.AsyncClient, call: Call) -> bytes:
    """The body of one GET, at most ``ANSWER_MAX`` octets. Raises ``FeedFault`` for everything else that
    can happen.
    """
    basic = httpx.BasicAuth(*call.basic) if call.basic else None
    try:
        async with client.stream(
            "GET", call.url, params=call.query, headers=call.headers, auth=basic
        ) as answer:
            _refuse(answer, call)
            data = b""
            async for part in answer.aiter_bytes():
                data += part
                if len(data) > min(ANSWER_MAX, OCTETS_MAX):
                    raise FeedFault(f"{_host(call)} sends more than {ANSWER_MAX} octets")
            return data
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as fault:
        # The query may hold a key, so the address is shown without it.
        raise FeedFault(
            f"{_host(call)} cannot be asked: {type(fault).__name__}: {_plain(str(fault), call)}"
        ) from fault


def _refuse(answer: httpx.Response, call: Call) -> None:
    if answer.is_redirect:
        raise FeedFault(
            f"{_host(call)} sends us elsewhere ({answer.status_code}); set prices.url to the right address"
        )
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        said = answer.headers.get("Retry-After", "")
        wait_s = min(float(said), RETRY_AFTER_MAX_S) if said.isdecimal() else 0.0
        raise FeedFault(f"{_host(call)} asks for patience (429)", wait_s)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise FeedFault(f"{_host(call)} refuses the key ({answer.status_code}); see prices.key_file")
    # ENTSO-E answers 400 with a document that says why; the reader names the reason.
    if answer.status_code not in (httpx.codes.OK, httpx.codes.BAD_REQUEST):
        raise FeedFault(f"{_host(call)} answers {answer.status_code} {answer.reason_phrase}")


def _host(call: Call) -> str:
    return httpx.URL(call.url).host or call.url


def _plain(text: str, call: Call) -> str:
    for secret in (call.query.get("securityToken", ""), *(call.basic or ())):
        text = text.replace(secret, "…") if secret else text
    return text[:200]
