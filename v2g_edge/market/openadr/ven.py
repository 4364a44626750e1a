"""The VEN: asks at its own pace, keeps the last good events on disk, and turns them into limits and prices.

An answer that cannot be used, or none, leaves what was known; it holds until its own end. What a complete
answer does not list any more is deleted, and ends at once.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from v2g_edge.market.openadr.client import VtnClient, VtnFault
from v2g_edge.market.openadr.refine import refined
from v2g_edge.market.openadr.reports import Measured, Reports
from v2g_edge.market.openadr.timeline import (
    CARBON,
    POWERS,
    PRICES,
    Signal,
    limits_of,
    rows_of,
    signals_of,
    subscribed_of,
)
from v2g_edge.market.openadr.wire import AdrEvent, BadAnswer, Programme
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Price, PriceRow
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.settings import OpenAdrSettings
from v2g_edge.statefile import StateFile

log = structlog.get_logger()

WAITS_S: Final = (10.0, 30.0, 60.0, 120.0, 300.0)
"""Waits after failures in a row, where the site's own pace is not slower."""

FRESH_S: Final = 600.0
"""Signals are worked out anew this often, so that the horizon moves along."""

FILE: Final = "openadr.json"
KNOWN: Final = frozenset({*POWERS, *PRICES, "SIMPLE"})
ALERT: Final = "ALERT_"
TOLD_MAX: Final = 200


class Kept(Struct, frozen=True):
    """What is on disk between two runs."""

    programmes: dict[str, Programme] = {}
    events: list[AdrEvent] = []


class Ven:
    """``tell`` takes events; ``on_change`` is called when prices or limits have changed; ``measured`` tells
    what the site does now, for reports.
    """

    def __init__(
        self,
        settings: OpenAdrSettings,
        clock: ClockPort,
        state_dir: Path,
        *,
        tell: Callable[[Event], None],
        on_change: Callable[[], None],
        measured: Callable[[], Measured | None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._file = StateFile[Kept](state_dir / FILE, msgspec.json.encode, msgspec.json.Decoder(Kept).decode)
        self._tell = tell
        self._on_change = on_change
        self._client = VtnClient(settings, clock)
        self._kept = Kept()
        self._signals: tuple[Signal, ...] = ()
        self._limits: tuple[CapacityLimit, ...] = ()
        self._told: set[str] = set()
        self._wrong: tuple[str, ...] = ()
        self._looked_s = float("-inf")
        self._reports = Reports(settings, measured)
        self.rows: tuple[PriceRow, ...] = ()
        self._export: tuple[PriceRow, ...] = ()
        self._carbon: tuple[PriceRow, ...] = ()
        self._refined: tuple[tuple[Price, ...], tuple[Price, ...]] = ((), ())
        self.prices: tuple[Price, ...] = ()
        self.fault = ""

    def load(self) -> None:
        """Take what was known before a restart. Where it cannot be read, it is asked for anew, and said."""
        kept, fault = self._file.load()
        if fault:
            why = f"{fault} Limits and prices of programmes are not known until the VTN answers"
            self._tell(Event("openadr_offline", "warning", "site", why, self._clock.wall_s()))
        if kept is not None:
            self._kept = kept
            self._work_out()

    async def run(self) -> None:
        """Ask until cancelled."""
        failures = 0
        try:
            while True:
                wait_s = self._settings.poll_s
                try:
                    await self._ask()
                    self._recover()
                    failures = 0
                except VtnFault as fault:
                    failures += 1
                    wait_s = max(fault.wait_s, min(wait_s, WAITS_S[min(failures, len(WAITS_S)) - 1]))
                    self._fail(str(fault))
                await self._clock.sleep_s(wait_s)
        finally:
            await self._client.close()

    def limits_at(self, _wall_s: float) -> tuple[CapacityLimit, ...]:
        """All limits that are known, now and later."""
        return self._limits

    def refine(self, prices: tuple[Price, ...]) -> tuple[Price, ...]:
        """Prices of any source, with the export prices and the carbon of the programmes. The same object for
        the same prices.
        """
        if self._refined[0] is not prices:
            co2_per_kg = self._settings.co2_price_per_kg
            self._refined = (prices, refined(prices, self._export, self._carbon, co2_per_kg))
        return self._refined[1]

    async def _ask(self) -> None:
        self._client.wrong.clear()
        programmes = await self._client.programmes()
        events = await self._client.events()
        for text in self._client.wrong:
            self._say("openadr_unusable", "warning", text)
        kept = Kept(programmes, events)
        changed = kept != self._kept
        self._kept = kept
        if changed or self._clock.now_s() - self._looked_s > FRESH_S:
            await asyncio.to_thread(self._work_out)
            self._announce()
            self._on_change()
        self._alert()
        if changed:
            await asyncio.to_thread(self._keep)
        for body in self._reports.due(self._kept.events, self._signals, self._clock.wall_s()):
            await self._client.report(body)
            self._reports.sent(body)

    def _work_out(self) -> None:
        """Signals, limits and prices of the events that are known."""
        self._looked_s = self._clock.now_s()
        kept, settings = self._kept, self._settings
        signals, self._wrong = signals_of(
            kept.events, kept.programmes, self._clock.wall_s(), settings.ven_name
        )
        self._signals = signals
        self._limits = (*limits_of(signals, settings.simple_import_w), *subscribed_of(signals))
        try:
            rows, export = rows_of(signals), rows_of(signals, "EXPORT_PRICE")
            others = {row.currency for row in (*rows, *export) if row.currency} - {settings.currency}
            if settings.currency and others:
                raise BadAnswer(
                    f"prices come in {', '.join(others)}; openadr.currency is {settings.currency}"
                )
        except BadAnswer as fault:
            self._wrong = (*self._wrong, str(fault))
            return  # the prices of before hold until their own intervals end
        self.rows, self._export, self._carbon = rows, export, rows_of(signals, CARBON)
        self._refined = ((), ())
        self.prices = tuple(Price(row.start_wall_s, row.per_kwh, row.end_wall_s) for row in rows)

    def _announce(self) -> None:
        """Say once what cannot be used, and which types are shown and not acted on."""
        for text in self._wrong:
            self._say("openadr_unusable", "warning", text)
        for signal in self._signals:
            priced = signal.kind == CARBON and self._settings.co2_price_per_kg > 0.0
            if signal.kind in KNOWN or signal.kind.startswith(ALERT) or priced:
                continue
            text = (
                f"{signal.kind} of {signal.source} is not acted on; acted on are {', '.join(sorted(KNOWN))}"
            )
            self._say("openadr_unusable", "info", text)

    def _alert(self) -> None:
        now_s = self._clock.wall_s()
        for signal in self._signals:
            if signal.kind.startswith(ALERT) and signal.start_wall_s <= now_s < signal.end_wall_s:
                self._say("openadr_alert", "warning", f"{signal.source}: {signal.kind}: {signal.value}")

    def _say(self, kind: str, severity: Any, text: str) -> None:
        text = text[:TOLD_MAX]
        if text not in self._told:
            if len(self._told) >= TOLD_MAX:
                self._told.clear()
            self._told.add(text)
            self._tell(Event(kind, severity, "site", text, self._clock.wall_s()))

    def _fail(self, text: str) -> None:
        if text != self.fault:
            self.fault = text
            why = f"{text}. What was known holds until its own end; asked again"
            self._tell(Event("openadr_offline", "warning", "site", why, self._clock.wall_s()))

    def _recover(self) -> None:
        if self.fault:
            self.fault = ""
            self._tell(Event("openadr_back", "info", "site", "the VTN answers again", self._clock.wall_s()))

    def _keep(self) -> None:
        try:
            self._file.save(self._kept)
        except OSError as fault:
            log.warning("openadr_not_kept", why=str(fault))
