"""Day-ahead prices in JSON: Energy-Charts, Nord Pool, aWATTar, Octopus Agile, ISO-NE and PJM.

Each reader takes the decoded document and gives rows. A null price is a hole. Times with an offset keep it;
where a market writes times without one, its own zone counts. Unknown shapes raise ``BadPrices`` with the
place and what was expected.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.market.rows import BadPrices, in_order, row
from v2g_edge.model.plan import PriceRow

HOUR_S: Final = 3_600.0
CURRENCY: Final = re.compile(r"[A-Za-z]{3}|[€£$]|")
"""Cents are none: each service of these shapes says whole units."""
HOLE: Final = object()
"""Not a null: a price that is left out is a fault of the document, one that is null a hole in it."""
ENTRIES_MAX: Final = 200_000


def energy_charts(document: Mapping[str, Any], source: str) -> Iterator[PriceRow]:
    """``{"unix_seconds": […], "price": […], "unit": "EUR / MWh"}``; all intervals last as long as the
    shortest.
    """
    starts, prices = _list(document, "unix_seconds", source), _list(document, "price", source)
    if len(starts) != len(prices):
        raise BadPrices(f"{source}: {len(starts)} unix_seconds and {len(prices)} prices; expected as many")
    currency, unit = _unit(str(document.get("unit", "")), source)
    seconds = [_float(each, "unix_seconds", source) for each in starts]
    step_s = min((b - a for a, b in pairwise(seconds) if b > a), default=HOUR_S)
    for start_s, price in zip(seconds, prices, strict=True):
        if price is not None:
            yield row(start_s, start_s + step_s, _float(price, "price", source), unit, currency, source)


def nord_pool(document: Mapping[str, Any], source: str, area: str = "") -> Iterator[PriceRow]:
    """``multiAreaEntries`` with ``deliveryStart``, ``deliveryEnd`` and a price an area; ``area`` where
    there are several.
    """
    currency = str(document.get("currency", ""))
    published_s = _time(document["updatedAt"], UTC, source).timestamp() if document.get("updatedAt") else 0.0
    revision = int(_float(document.get("version", 0), "version", source))
    for entry in _list(document, "multiAreaEntries", source):
        prices = entry.get("entryPerArea", {}) if isinstance(entry, Mapping) else {}
        wanted = area or (next(iter(prices)) if len(prices) == 1 else "")
        if wanted not in prices:
            raise BadPrices(
                f"{source}: area {wanted!r} is not in {', '.join(sorted(prices)) or 'the entry'}; set"
                " prices.zone"
            )
        if prices[wanted] is not None:
            yield row(
                _time(entry["deliveryStart"], UTC, source).timestamp(),
                _time(entry["deliveryEnd"], UTC, source).timestamp(),
                _float(prices[wanted], wanted, source),
                "MWh",
                currency,
                source,
                published_wall_s=published_s,
                revision=revision,
            )


def awattar(document: Mapping[str, Any], source: str) -> Iterator[PriceRow]:
    """``{"data": [{"start_timestamp": ms, "end_timestamp": ms, "marketprice": 42.1, "unit":
    "Eur/MWh"}]}``.
    """
    for entry in _list(document, "data", source):
        if entry.get("marketprice", HOLE) is None:
            continue
        currency, unit = _unit(str(entry.get("unit", "")), source)
        start_s, end_s = (
            _float(entry.get(key), key, source) / 1_000.0 for key in ("start_timestamp", "end_timestamp")
        )
        yield row(
            start_s, end_s, _float(entry.get("marketprice"), "marketprice", source), unit, currency, source
        )


def octopus(document: Mapping[str, Any], source: str) -> Iterator[PriceRow]:
    """``results`` of half hours in pence per kWh including VAT, newest first; an open end lasts half an
    hour.
    """
    london = ZoneInfo("Europe/London")
    for entry in _list(document, "results", source):
        if entry.get("value_inc_vat", HOLE) is None:
            continue
        start_s = _time(entry.get("valid_from"), london, source).timestamp()
        end = entry.get("valid_to")
        end_s = _time(end, london, source).timestamp() if end else start_s + HOUR_S / 2.0
        yield row(
            start_s,
            end_s,
            _float(entry.get("value_inc_vat"), "value_inc_vat", source) / 100.0,
            "kWh",
            "GBP",
            source,
        )


def iso_ne(document: Mapping[str, Any], source: str, location: str = "") -> Iterator[PriceRow]:
    """``HourlyLmps.HourlyLmp`` or ``FiveMinLmps.FiveMinLmp``, made from XML: one row is an object, none is
    ``""``.
    """
    outer, inner, step_s = (
        ("HourlyLmps", "HourlyLmp", HOUR_S)
        if "HourlyLmps" in document
        else ("FiveMinLmps", "FiveMinLmp", 300.0)
    )
    body = document.get(outer) or {}
    entries = body.get(inner, []) if isinstance(body, Mapping) else []
    for entry in [entries] if isinstance(entries, Mapping) else entries or []:
        place = entry.get("Location", {})
        names = (place.get("@LocId"), place.get("$")) if isinstance(place, Mapping) else (place,)
        if (location and location not in names) or entry.get("LmpTotal", HOLE) is None:
            continue
        start_s = _time(entry.get("BeginDate"), ZoneInfo("America/New_York"), source).timestamp()
        yield row(
            start_s, start_s + step_s, _float(entry.get("LmpTotal"), "LmpTotal", source), "MWh", "USD", source
        )


def pjm(document: Any, source: str, location: str = "") -> Iterator[PriceRow]:
    """DataMiner 2 items of day-ahead hourly or real-time five-minute LMP; only current rows, times in UTC."""
    items = document.get("items", document) if isinstance(document, Mapping) else document
    if not isinstance(items, list):
        raise BadPrices(f"{source}: expected a list of items, found {type(items).__name__}")
    for entry in items:
        names = (str(entry.get("pnode_id", "")), str(entry.get("pnode_name", "")))
        if entry.get("row_is_current") is False or (location and location not in names):
            continue
        price, step_s = ("total_lmp_da", HOUR_S) if "total_lmp_da" in entry else ("total_lmp_rt", 300.0)
        if entry.get(price, HOLE) is None:
            continue
        start_s = _time(entry.get("datetime_beginning_utc"), UTC, source).timestamp()
        revision = int(_float(entry.get("version_nbr", 0) or 0, "version_nbr", source))
        yield row(
            start_s,
            start_s + step_s,
            _float(entry.get(price), price, source),
            "MWh",
            "USD",
            source,
            revision=revision,
        )


def read_json(document: Any, source: str, *, zone: str = "") -> tuple[PriceRow, ...]:
    """Rows of a document of any of these shapes, recognised by its keys. ``zone`` names the area or node.

    Raises ``BadPrices``.
    """
    reader = _reader(document, zone)
    if reader is None:
        found = ", ".join(sorted(document)[:8]) if isinstance(document, Mapping) else type(document).__name__
        known = "Energy-Charts, Nord Pool, aWATTar, Octopus, ISO-NE, PJM"
        raise BadPrices(
            f"{source}: a JSON document of no known shape (found {found or 'nothing'}); known: {known}"
        )
    try:
        rows = tuple(reader(source))
    except BadPrices as fault:
        raise BadPrices(str(fault) if str(fault).startswith(source) else f"{source}: {fault}") from fault
    except (KeyError, AttributeError, TypeError, ArithmeticError) as fault:
        raise BadPrices(f"{source}: an entry is not as expected: {type(fault).__name__}: {fault}") from fault
    if not rows:
        raise BadPrices(f"{source}: the document has no prices")
    return in_order(rows)


def _reader(document: Any, zone: str) -> Callable[[str], Iterator[PriceRow]] | None:
    if isinstance(document, list):
        return lambda source: pjm(document, source, zone)
    if not isinstance(document, Mapping):
        return None
    readers: dict[str, Callable[[str], Iterator[PriceRow]]] = {
        "unix_seconds": lambda source: energy_charts(document, source),
        "multiAreaEntries": lambda source: nord_pool(document, source, zone),
        "data": lambda source: awattar(document, source),
        "results": lambda source: octopus(document, source),
        "HourlyLmps": lambda source: iso_ne(document, source, zone),
        "FiveMinLmps": lambda source: iso_ne(document, source, zone),
        "items": lambda source: pjm(document, source, zone),
    }
    return next((reader for key, reader in readers.items() if key in document), None)


def _unit(said: str, source: str) -> tuple[str, str]:
    """Currency and unit of "EUR / MWh"."""
    currency, _, unit = said.partition("/")
    word = {"mwh": "MWh", "kwh": "kWh"}.get(unit.strip().lower())
    if word is None or not CURRENCY.fullmatch(currency.strip()):
        raise BadPrices(f"{source}: the unit {said!r} is not known; expected a currency per MWh or per kWh")
    return currency.strip().upper(), word


def _list(document: Mapping[str, Any], key: str, source: str) -> list[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise BadPrices(f"{source}: {key} is {type(found).__name__}; expected a list")
    if len(found) > ENTRIES_MAX:
        raise BadPrices(f"{source}: {key} has {len(found)} entries; allowed are {ENTRIES_MAX}")
    return found


def _float(found: object, key: str, source: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise BadPrices(f"{source}: {key} is {repr(found)[:60]}; expected a number")
    try:
        return float(found)
    except (ValueError, OverflowError) as fault:
        raise BadPrices(f"{source}: {key} is {repr(found)[:60]}; expected a number") from fault


def _time(found: object, zone: tzinfo, source: str) -> datetime:
    try:
        time = datetime.fromisoformat(str(found))
    except ValueError as fault:
        raise BadPrices(
            f"{source}: expected a time like 2026-11-27T18:00:00Z, found {str(found)[:40]!r}"
        ) from fault
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=zone).astimezone(UTC)
