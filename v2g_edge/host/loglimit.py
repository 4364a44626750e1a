"""How much may be logged on behalf of others: by source, and by all of them together, with a count of what
was left out.

A source is what a line names: a station, an address, a device, the subject of an event. A source that can
cause one line can cause a million: 3.4 MB/s were seen from one station, and a log that turns over in an hour
hides what it did. Lines that name no source are limited by the name of their event. Errors have a share of
their own, so that notes do not push them out.
"""

import reprlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

import structlog
from structlog.typing import EventDict

SOURCE_KEYS: Final = (
    "peer",
    "station",
    "device",
    "line",
    "subject",
    "evse",
    "vehicle",
    "host",
    "logger",
    "topic",
    "presystem",
    "person",
)
"""Keys that name another source; the first that a line has is its source."""

VALUE_MAX: Final = 2_000
"""Characters of one value: enough for eight problems of a payload, and for an exception."""

SOURCE_BURST: Final = 20_000.0
SOURCE_PER_S: Final = 1_000.0
ALL_BURST: Final = 200_000.0
ALL_PER_S: Final = 20_000.0
"""Characters of one source's lines in a row and as a rate for ever, and of all sources together."""

LINE: Final = 100
"""Characters that a line has besides its values."""

SOURCES_MAX: Final = 1_024
"""Sources remembered; the one that spoke longest ago is forgotten first."""

TELL_S: Final = 10.0
"""What was left out is reported this often."""

SEVERE: Final = frozenset({"error", "exception", "critical"})


_PARTS: Final = reprlib.Repr()
_PARTS.maxlevel, _PARTS.maxstring, _PARTS.maxother, _PARTS.maxlong = 4, VALUE_MAX, VALUE_MAX, 80
_PARTS.maxlist = _PARTS.maxtuple = _PARTS.maxdict = _PARTS.maxset = _PARTS.maxfrozenset = 50


class Bucket:
    """Characters left."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, burst: float, per_s: float, now_s: float) -> None:
        self._left = self._burst = burst
        self._per_s = per_s
        self._at_s = now_s

    def has(self, now_s: float) -> bool:
        """Whether something is left."""
        self._left = min(self._left + (now_s - self._at_s) * self._per_s, self._burst)
        self._at_s = now_s
        return self._left > 0.0

    def take(self, characters: int) -> None:
        """A line was written."""
        self._left -= characters


class LogLimit:
    """A processor of structlog. ``now_s`` is monotonic."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._sources: OrderedDict[tuple[str, bool], Bucket] = OrderedDict()
        self._all = {severe: Bucket(ALL_BURST, ALL_PER_S, now_s()) for severe in (False, True)}
        self._left_out: Counter[str] = Counter()
        self._told_s = now_s()
        self._since_s = now_s()

    def __call__(self, _logger: object, method: str, entry: EventDict) -> EventDict:
        """The line with its values shortened. ``DropEvent`` where it is left out."""
        now_s = self._now_s()
        if self._left_out and now_s - self._told_s >= TELL_S:
            self._tell(now_s)
        short = {key: _short(value) for key, value in entry.items()}
        named = (f"{key} {short[key]}" for key in SOURCE_KEYS if key in short)
        source = next(named, f"event {short.get('event', '')}")
        if not self._may(source[:100], method in SEVERE, short, now_s):
            raise structlog.DropEvent
        return short

    def _may(self, source: str, severe: bool, entry: EventDict, now_s: float) -> bool:
        bucket = self._sources.pop((source, severe), None) or Bucket(SOURCE_BURST, SOURCE_PER_S, now_s)
        self._sources[source, severe] = bucket
        if len(self._sources) > SOURCES_MAX:
            self._sources.popitem(last=False)
        if not bucket.has(now_s) or not self._all[severe].has(now_s):
            if not self._left_out:
                self._since_s = now_s
            if source in self._left_out or len(self._left_out) < SOURCES_MAX:
                self._left_out[source] += 1
            return False
        size = LINE + sum(
            len(key) + (len(value) if isinstance(value, str) else 8) for key, value in entry.items()
        )
        bucket.take(size)
        self._all[severe].take(size)
        return True

    def _tell(self, now_s: float) -> None:
        (worst, count), in_all = self._left_out.most_common(1)[0], sum(self._left_out.values())
        self._left_out.clear()
        self._told_s = now_s
        structlog.get_logger().warning(
            "log_lines_left_out",
            most_by=worst,
            count=count,
            in_all=in_all,
            after_s=round(now_s - self._since_s, 1),
        )


def _short(value: object) -> object:
    """Numbers and short texts as they are; anything else as text with an end."""
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or value.bit_length() < 256 else "a very long number"
    if not isinstance(value, str):
        # Never the whole of what others sent: a list of 10,000 takes milliseconds to write, and is cut.
        text = _PARTS.repr(value)
        return value if len(text) <= VALUE_MAX and _PARTS.fillvalue not in text else text[:VALUE_MAX]
    text = value
    if len(text) <= VALUE_MAX:
        return value
    return f"{text[:VALUE_MAX]}\N{HORIZONTAL ELLIPSIS} ({len(text)} characters in all)"
