"""What leaves the depot about people: pseudonyms by a key of the site, and coarser times."""

import base64
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from v2g_edge.study.ledger.lines import FORGOTTEN, Remark
from v2g_edge.study.ledger.statement import NOT_KNOWN, Statement

Granularity = Literal["interval", "hour", "day", "month"]
GRAINS: Final[tuple[Granularity, ...]] = ("interval", "hour", "day", "month")
LEAST_KEY: Final = 16
"""Octets: a key that cannot be guessed."""
LENGTH: Final = 10
"""Characters of a pseudonym, 50 bits: two of a fleet never meet."""
FORMS: Final = {"hour": "%Y-%m-%dT%H%z", "day": "%Y-%m-%d", "month": "%Y-%m"}


class WeakKeyError(ValueError):
    """The key cannot be used; the message says why."""


class Pseudonyms:
    """Names by a key: a name has always the same pseudonym, and without the key it tells nothing."""

    def __init__(self, key: bytes) -> None:
        if len(key.strip()) < LEAST_KEY:
            raise WeakKeyError(f"the key has {len(key.strip())} octets; at least {LEAST_KEY} are needed")
        self._key = key.strip()

    def __call__(self, name: str) -> str:
        """The pseudonym of a name. What names nobody stays."""
        if name in {"", NOT_KNOWN, FORGOTTEN}:
            return name
        digest = hmac.digest(self._key, name.encode(), "sha256")
        return f"V-{base64.b32encode(digest).decode()[:LENGTH].lower()}"


def hidden(statement: Statement, pseudonyms: Pseudonyms) -> Statement:
    """The statement with pseudonyms for vehicles. What people wrote into corrections is left out."""
    known = {row.energy.name for row in statement.vehicles}
    rows = []
    for row in statement.vehicles:
        name = pseudonyms(row.energy.name)
        life = replace(row.life, vehicle=name) if row.life is not None else None
        rows.append(replace(row, energy=replace(row.energy, name=name), life=life))
    return replace(
        statement,
        vehicles=sorted(rows, key=lambda row: row.energy.name),
        remarks=[_hidden(each, known, pseudonyms) for each in statement.remarks],
    )


def _hidden(remark: Remark, known: set[str], pseudonyms: Pseudonyms) -> Remark:
    subject = pseudonyms(remark.subject) if remark.subject in known else remark.subject
    text = "entered by hand" if remark.kind == "correction" else remark.text
    return replace(remark, subject=subject, text=text)


Row = tuple[float, float, float, float, float]


def coarser(rows: Sequence[Row], grain: Granularity, timezone: str) -> list[Row]:
    """Interval rows summed by local hour, day or month; the sums of all stay as they are."""
    if grain == "interval":
        return list(rows)
    zone, sums = ZoneInfo(timezone), dict[str, list[float]]()
    for start, *values in rows:
        name = datetime.fromtimestamp(start, UTC).astimezone(zone).strftime(FORMS[grain])
        total = sums.setdefault(name, [start, 0.0, 0.0, 0.0, 0.0])
        for n, value in enumerate(values, start=1):
            total[n] += value
    return [(each[0], each[1], each[2], each[3], each[4]) for each in sums.values()]
