"""Times on the wire: RFC 3339 text to UTC epoch seconds and back."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_WRITTEN: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[T ](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)? ?"
    r"(?:Z|([+-])(\d{1,2}):?(\d{2}))?(?:\[[^\]]*\])?",
    re.ASCII,
)
"""As some stations write it: without leading noughts, with a leap second, with a zone in brackets."""
LEAP: Final = 60
_DIGITS: Final = re.compile(r"\d{10}|\d{13}", re.ASCII)
_SECONDS: Final = (1e9, 1e10)
_MILLISECONDS: Final = (1e12, 1e13)
"""Epoch times from 2001 to 2286, which no text of RFC 3339 can be taken for."""


def parse_wall(text: object) -> float | None:
    """UTC epoch seconds of an RFC 3339 time; None when it is none. Without an offset it counts as UTC (OCPP
    1.6 3.14).

    T and Z may be small (RFC 3339 5.6). What is meant beyond doubt is read though it is written otherwise.
    """
    if not isinstance(text, str):
        return _epoch(text)
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return _written(text.strip().upper())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _written(text: str) -> float | None:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return _epoch(int(text)) if _DIGITS.fullmatch(text) else None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    offset = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0)).total_seconds()
    return at.timestamp() + (second == LEAP) - (-offset if found[7] == "-" else offset)


def _epoch(number: object) -> float | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if _SECONDS[0] <= number < _SECONDS[1]:
        return float(number)
    return number / 1_000.0 if _MILLISECONDS[0] <= number < _MILLISECONDS[1] else None


def format_wall(wall_s: float) -> str:
    """RFC 3339 with milliseconds and Z, the form that every station seen can read."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
