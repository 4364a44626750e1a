"""Reports that events ask for: one after the end of each event, from what the site measured meanwhile."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from v2g_edge.market.openadr.timeline import Signal
from v2g_edge.market.openadr.wire import AdrEvent
from v2g_edge.model.settings import OpenAdrSettings

KINDS: Final = {
    "USAGE": "KWH",
    "DEMAND": "KW",
    "OPERATING_STATE": "",
    "STORAGE_CHARGE_LEVEL": "PERCENT",
}
"""Types that are reported, with their units. Of others nothing is sent."""

OPEN_MAX: Final = 200
"""Events that are measured for at once."""


class Measured(Struct, frozen=True, gc=False):
    """What the site does at a moment.

    Attributes:
        wall_s: When, UTC epoch seconds.
        power_w: Power at the connection in W, + import; None while it is not known.
        soc_pct: Mean SoC of the vehicles that are here, in %; None while none is known.
    """

    wall_s: float
    power_w: float | None = None
    soc_pct: float | None = None


class _Sums:
    """What was seen during one event."""

    def __init__(self) -> None:
        self.powers_w: list[float] = []
        self.soc_pct: float | None = None

    def add(self, seen: Measured) -> None:
        if seen.power_w is not None and len(self.powers_w) < 100_000:
            self.powers_w.append(seen.power_w)
        if seen.soc_pct is not None:
            self.soc_pct = seen.soc_pct


class Reports:
    """Looks at ``measured`` whenever it is asked what is due."""

    def __init__(self, settings: OpenAdrSettings, measured: Callable[[], Measured | None]) -> None:
        self._settings = settings
        self._measured = measured
        self._open: OrderedDict[str, _Sums] = OrderedDict()
        self._done: OrderedDict[str, None] = OrderedDict()

    def due(
        self, events: Iterable[AdrEvent], signals: Iterable[Signal], now_wall_s: float
    ) -> list[dict[str, Any]]:
        """Reports of events that are over."""
        spans: dict[str, tuple[float, float]] = {}
        for signal in signals:
            start, end = spans.get(signal.event, (signal.start_wall_s, signal.end_wall_s))
            spans[signal.event] = (min(start, signal.start_wall_s), max(end, signal.end_wall_s))
        seen, bodies = self._measured(), []
        for event in events:
            kinds = [each.payload_type for each in event.reports or () if each.payload_type in KINDS]
            if not kinds or event.id in self._done or event.id not in spans:
                continue
            start, end = spans[event.id]
            if start <= now_wall_s < end and seen is not None:
                self._open.setdefault(event.id, _Sums()).add(seen)
                if len(self._open) > OPEN_MAX:
                    self._open.popitem(last=False)
            elif now_wall_s >= end and event.id in self._open:
                bodies.append(self._body(event, kinds, start, end))
        return bodies

    def sent(self, body: dict[str, Any]) -> None:
        """The VTN has it."""
        self._open.pop(body["eventID"], None)
        self._done[body["eventID"]] = None
        if len(self._done) > OPEN_MAX:
            self._done.popitem(last=False)

    def _body(self, event: AdrEvent, kinds: list[str], start: float, end: float) -> dict[str, Any]:
        sums = self._open[event.id]
        mean_w = sum(sums.powers_w) / len(sums.powers_w) if sums.powers_w else None
        values: dict[str, Any] = {
            "USAGE": None if mean_w is None else round(mean_w / 1e3 * (end - start) / 3_600.0, 3),
            "DEMAND": None if mean_w is None else round(mean_w / 1e3, 3),
            "OPERATING_STATE": "NORMAL",
            "STORAGE_CHARGE_LEVEL": sums.soc_pct,
        }
        told = [kind for kind in kinds if values[kind] is not None]
        period = {
            "start": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": f"PT{max(int(end - start), 0)}S",
        }
        return {
            "eventID": event.id,
            "clientName": self._settings.ven_name,
            "reportName": f"{self._settings.ven_name} {event.id}"[:128],
            "payloadDescriptors": [
                {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": KINDS[kind] or None}
                for kind in told
            ],
            "resources": [
                {
                    "resourceName": "AGGREGATED_REPORT",
                    "intervals": [
                        {
                            "id": 0,
                            "intervalPeriod": period,
                            "payloads": [{"type": kind, "values": [values[kind]]} for kind in told],
                        }
                    ],
                }
            ],
        }
