"""Prices from CSV files: our own form, and the exports of ENTSO-E, Nord Pool, SMARD, Energy-Charts and
others.

The delimiter, the decimal sign, the time format, the zone, the currency and the unit are recognised, most of
them from the header line. What cannot be recognised is an error, never a guess: a file without any word on
its unit must be given one (``unit``).
"""

import csv
import io
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.market.rows import ROWS_MAX, BadPrices, in_order, row
from v2g_edge.model.plan import PriceRow

FAULTS_MAX: Final = 20
"""So many bad lines show what is wrong with a file."""

HEADER_LINES: Final = 12
"""Exports put up to ten lines of title above the header."""

CURRENCIES: Final = {
    "€": "EUR",
    "£": "GBP",
    "$": "USD",
    "eur": "EUR",
    "usd": "USD",
    "gbp": "GBP",
    "chf": "CHF",
} | {
    code.lower(): code
    for code in ("NOK", "SEK", "DKK", "PLN", "CZK", "HUF", "RON", "BGN", "AUD", "CAD", "JPY")
}
CENTS: Final = re.compile(
    r"(?:(?<![a-z])(?:c|p|ct|cts|cents?|pence|öre|øre|rp|rappen|gr|grosz[ey]?|hal[eé][rř][ůyeu]?|bani?|stotinki)"
    r"|(?:euro?|us|au|¢|€|\$)[ -]?(?:c|ct|cts|cents?)|¢)\.?\s*/\s*kwh",
    re.IGNORECASE,
)
"""Hundredths of a currency, as retailers write them: "ct/kWh", "EURct/kWh", "Rp./kWh", "¢/kWh"."""
SMALL: Final = re.compile(r"(?<![a-z])(?:m€|m(?:eur|usd|gbp|chf)|mills?)\s*/\s*kwh", re.IGNORECASE)
"""Thousandths: no market publishes them, and a guess would be a thousand times off."""
ENERGY: Final = re.compile(r"/\s*(mwh|kwh)", re.IGNORECASE)
ABBREVIATION: Final = re.compile(r"[A-Z]{1,3}[SDE]T")
ABBREVIATIONS: Final = {
    "WET": "Europe/Lisbon",
    "WET/WEST": "Europe/Lisbon",
    "EET": "Europe/Helsinki",
    "EET/EEST": "Europe/Helsinki",
}
"""Zones that a header names by letters. Those of North America differ by state, and are refused unless the tz
database has them.
"""
HOUR_S: Final = 3_600.0
PRICE_WORDS: Final = re.compile(r"price|preis|lmp|€|eur|usd|gbp|/\s*[mk]wh", re.IGNORECASE)
START_WORDS: Final = re.compile(
    r"^(mtu|date|datum|time|start|from|datetime|hour|interval|utc|period|valid_from)", re.IGNORECASE
)
END_WORDS: Final = re.compile(
    r"^(?:end|until|to\b|valid_to|he\b|hour ?ending|.*\b(?:ends?|ending|until|bis)\b|.*_(?:to|end|ending)\b)",
    re.IGNORECASE,
)
BLANKS: Final = re.compile("[\\s\u00a0\u202f]")
TIME_FORMATS: Final = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%Y%m%d%H%M",
)
EXPECTED: Final = "a header line, then a start time and a price in each line"


class Layout(NamedTuple):
    """Where a file keeps what, as its header says."""

    header_line: int
    start: int
    end: int | None
    price: int
    zone: tzinfo
    currency: str
    unit: str
    cents: bool


class _Line(NamedTuple):
    """What one line says; ``end_s`` is None where the file gives no ends."""

    line: int
    start_s: float
    end_s: float | None
    price: float


def read_csv(
    text: str, source: str, *, unit: str = "", currency: str = "", zone: tzinfo = UTC
) -> tuple[PriceRow, ...]:
    """All rows of a CSV text. ``unit`` and ``currency`` hold where the file does not say them, ``zone``
    likewise.

    Raises ``BadPrices`` with every bad line (the first ``FAULTS_MAX``).
    """
    lines = text.removeprefix("\ufeff").splitlines()
    delimiter = _delimiter(lines[:HEADER_LINES])
    try:
        table = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error as fault:  # no ValueError: a field without end
        raise BadPrices(f"{source}: no CSV that can be read: {fault}") from fault
    layout = _layout(table, unit, currency, zone, source)
    rows, faults = _rows(table, layout, source, decimal_comma=delimiter != ",")
    if faults:
        more = f"\n{source}: and {len(faults) - FAULTS_MAX} more" if len(faults) > FAULTS_MAX else ""
        raise BadPrices(
            "\n".join(f"{source}:{number}: {what}" for number, what in faults[:FAULTS_MAX]) + more
        )
    if not rows:
        raise BadPrices(f"{source}: no prices; expected {EXPECTED}")
    try:
        return in_order(rows)
    except BadPrices as fault:
        raise BadPrices(f"{source}: {fault}") from fault


def _delimiter(lines: list[str]) -> str:
    """The sign that stands in the most lines; a comma where none does."""
    return max((";", "\t", ","), key=lambda sign: (sum(sign in line for line in lines), sign == ","))


def _layout(table: list[list[str]], unit: str, currency: str, zone: tzinfo, source: str) -> Layout:
    for number, cells in enumerate(table[:HEADER_LINES]):
        names = [cell.strip() for cell in cells]
        times = [i for i, name in enumerate(names) if START_WORDS.search(name) or END_WORDS.search(name)]
        start = next((i for i in times if not END_WORDS.search(names[i])), None)
        end = next((i for i in times if END_WORDS.search(names[i])), None)
        if start is None and end is not None and _price_of(names, (end,)) is not None:
            text = f"the header {names[end]!r} gives the end of each interval, and none its start"
            raise BadPrices(f"{source}:{number + 1}: {text}")
        if start is None:
            continue
        price = _price_of(names, (start, end))
        if price is None:
            continue
        said = names[price]
        if SMALL.search(said):
            raise BadPrices(
                f"{source}:{number + 1}: the header {said!r} counts thousandths; write them whole"
            )
        energy, cents = ENERGY.search(said), bool(CENTS.search(said))
        found_unit = "kWh" if energy and energy[1].lower() == "kwh" else "MWh" if energy else unit
        if not found_unit:
            text = f'the header {said!r} does not say its unit of energy; set prices.unit to "MWh" or "kWh"'
            raise BadPrices(f"{source}:{number + 1}: {text}")
        return Layout(
            number,
            start,
            end,
            price,
            _zone(names[start], zone, source),
            _currency(said) or currency,
            found_unit,
            cents,
        )
    raise BadPrices(f"{source}: no header line within {HEADER_LINES} lines; expected {EXPECTED}")


def _price_of(names: list[str], times: tuple[int | None, ...]) -> int | None:
    """The column of prices: the first that is called so, or the only one beside the times."""
    others = [i for i in range(len(names)) if i not in times]
    return next((i for i in others if PRICE_WORDS.search(names[i])), others[0] if len(others) == 1 else None)


def _currency(said: str) -> str:
    lowered = said.lower()
    return next((code for sign, code in CURRENCIES.items() if sign in lowered), "")


def _zone(said: str, default: tzinfo, source: str) -> tzinfo:
    """The zone that a header names: "MTU (UTC)", "MTU (CET/CEST)", "Date (GMT+1)"."""
    named = re.search(r"\(([^)]*)\)", said)
    word = (named[1] if named else said).strip().upper()
    offset = re.fullmatch(r"(?:GMT|UTC)\s*([+-])(\d{1,2})(?::?(\d{2}))?", word)
    if offset:
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-shift if offset[1] == "-" else shift)
    if "UTC" in word or word in ("GMT", "Z"):
        return UTC
    if "CEST" in word or word == "CET":
        return ZoneInfo("Europe/Brussels")
    if word == "DATUM VON":  # SMARD, the German regulator's platform, gives German time without saying so
        return ZoneInfo("Europe/Berlin")
    if named and ("/" in named[1] or ABBREVIATION.fullmatch(word)):
        try:
            return ZoneInfo(ABBREVIATIONS.get(word, named[1].strip()))
        except (KeyError, ValueError) as fault:
            raise BadPrices(f"{source}: the time zone {named[1]!r} is not known") from fault
    return default


def _rows(
    table: list[list[str]], layout: Layout, source: str, *, decimal_comma: bool
) -> tuple[list[PriceRow], list[tuple[int, str]]]:
    found: list[_Line] = []
    seen: dict[float, int] = {}
    faults: list[tuple[int, str]] = []
    last: datetime | None = None
    for number, cells in enumerate(table[layout.header_line + 1 :], start=layout.header_line + 2):
        if not any(cell.strip() for cell in cells):
            continue
        if number > ROWS_MAX:
            faults.append((number, f"more than {ROWS_MAX} lines"))
            break
        try:
            parsed = _line(cells, layout, decimal_comma=decimal_comma, after=last)
        except ValueError as fault:
            faults.append((number, str(fault)))
            continue
        if parsed is None:
            continue  # an interval without a price stays a hole
        start, end, price = parsed
        last = start
        start_s = start.timestamp()
        if start_s in seen:
            faults.append((number, f"{cells[layout.start]} stands in line {seen[start_s]} already"))
            continue
        seen[start_s] = number
        found.append(_Line(number, start_s, end.timestamp() if end else None, price))
    rows = []
    found.sort(key=lambda each: each.start_s)
    for each, until_s in zip(found, _ends([(one.start_s, one.end_s) for one in found]), strict=True):
        try:
            rows.append(row(each.start_s, until_s, each.price, layout.unit, layout.currency, source))
        except BadPrices as fault:
            faults.append((each.line, str(fault)))
    return rows, sorted(faults)


def _ends(spans: list[tuple[float, float | None]]) -> list[float]:
    """Each interval's end: what the file says; else the next start, unless a hole begins there.

    Without an end, an interval lasts as long as one of its neighbours does and an hour at most: markets trade
    nothing longer.
    """
    starts = [start for start, _ in spans]
    gaps = [after - before for before, after in pairwise(starts)]
    ends: list[float] = []
    length_s = next((gap for gap in gaps if gap <= HOUR_S), HOUR_S)
    for index, (start, end) in enumerate(spans):
        if index < len(gaps):
            gap, beside = gaps[index], {length_s, gaps[index + 1] if index + 1 < len(gaps) else gaps[index]}
            length_s = gap if gap <= HOUR_S and (gap in beside or gap < length_s) else length_s
        ends.append(end if end is not None else start + length_s)
    return ends


def _line(
    cells: list[str], layout: Layout, *, decimal_comma: bool, after: datetime | None
) -> tuple[datetime, datetime | None, float] | None:
    if len(cells) <= max(layout.start, layout.price):
        raise ValueError(f"expected {EXPECTED}, found {','.join(cells)[:80]!r}")
    said = cells[layout.price].strip()
    if said.lower() in ("", "-", "n/e", "n/a", "nan", "null", "none"):
        return None
    number = BLANKS.sub("", said).replace("\N{MINUS SIGN}", "-")
    if decimal_comma and "," in number:
        if number.rfind(".") > number.rfind(","):
            raise ValueError(
                f"expected a price, found {said[:40]!r}: is its point or its comma the decimal mark?"
            )
        number = number.replace(".", "").replace(",", ".")
    try:
        price = float(number)
    except ValueError as fault:
        raise ValueError(f"expected a price, found {said[:40]!r}") from fault
    first, _, second = cells[layout.start].partition(" - ")
    start = _time(first, layout.zone, after)
    end_text = second or (cells[layout.end] if layout.end is not None and layout.end < len(cells) else "")
    end = _time(end_text, layout.zone, start) if end_text.strip() else None
    return start, end, price / 100.0 if layout.cents else price


def _time(said: str, zone: tzinfo, after: datetime | None) -> datetime:
    """A time in UTC. One that the clock shows twice (end of summer time) is the first one later than
    ``after``.
    """
    text = re.sub(r"\s*\((CES?T|UTC)\)\s*$", "", said.strip())
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _by_format(text)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    first = found.replace(tzinfo=zone).astimezone(UTC)
    if after is not None and first <= after:
        return found.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first


def _by_format(text: str) -> datetime:
    for pattern in TIME_FORMATS:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone is the header's
        except ValueError:
            continue
    raise ValueError(f"expected a time like 2026-11-27 18:00 or 27.11.2026 18:00, found {text[:40]!r}")
