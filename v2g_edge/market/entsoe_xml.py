"""ENTSO-E day-ahead prices: the A44 publication document (Transparency Platform, XML).

Curve type A03 leaves out positions whose value repeats, also at the end of a period. Some zones publish two
auctions: only the wanted ``sequence`` counts (1: SDAC), and a day that has only the other one stays without
prices.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from v2g_edge.market.rows import BadPrices, in_order, row
from v2g_edge.model.plan import PriceRow

RESOLUTIONS_S: Final = {"PT5M": 300.0, "PT15M": 900.0, "PT30M": 1_800.0, "PT60M": 3_600.0, "PT1H": 3_600.0}
POINTS_MAX: Final = 400
"""A day of five-minute intervals, 25 hours long, has 300."""


def read_entsoe(text: str, source: str = "entsoe", *, sequence: int = 1) -> tuple[PriceRow, ...]:
    """All rows of a document. Where a day is given in two resolutions, the finer one counts. Raises
    ``BadPrices``.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as fault:
        raise BadPrices(f"{source}: no XML document: {fault}") from fault
    kind = _name(root)
    if kind == "Acknowledgement_MarketDocument":
        reason = next((each.text for each in root.iter() if _name(each) == "text"), "")
        raise BadPrices(f"{source}: no data: {reason or 'an acknowledgement without a reason'}")
    if kind != "Publication_MarketDocument":
        raise BadPrices(f"{source}: expected a Publication_MarketDocument, found {kind}")
    published_s, revision = (
        _seconds(_text(root, "createdDateTime")),
        _number(_text(root, "revisionNumber"), 1),
    )
    by_step: dict[float, list[PriceRow]] = {}
    skipped = 0
    for series in _children(root, "TimeSeries"):
        position = _number(
            _text(series, "classificationSequence_AttributeInstanceComponent.position"), sequence
        )
        if position != sequence:
            skipped += 1
            continue
        for step_s, rows in _series(series, source, published_s, revision):
            by_step.setdefault(step_s, []).extend(rows)
    if not by_step:
        other = (
            f"; it has {skipped} series of another auction, and only sequence {sequence} is wanted"
            if skipped
            else ""
        )
        raise BadPrices(f"{source}: the document has no prices{other}")
    return in_order(_finest(by_step))


def _finest(by_step: dict[float, list[PriceRow]]) -> Iterator[PriceRow]:
    """Rows of the finest resolution, and coarser ones where no finer row stands."""
    taken: set[int] = set()
    for step_s in sorted(by_step):
        fresh = [each for each in by_step[step_s] if not any(slot in taken for slot in _slots(each))]
        yield from fresh
        for each in fresh:
            taken.update(_slots(each))


def _slots(each: PriceRow) -> range:
    return range(int(each.start_wall_s // 300), int(each.end_wall_s // 300))


def _series(
    series: Element, source: str, published_s: float, revision: int
) -> Iterator[tuple[float, list[PriceRow]]]:
    unit = _text(series, "price_Measure_Unit.name")
    if unit.upper() != "MWH":
        raise BadPrices(f"{source}: prices per {unit or 'an unnamed unit'}; expected per MWH")
    currency, repeats = _text(series, "currency_Unit.name"), _text(series, "curveType") == "A03"
    for period in _children(series, "Period"):
        interval = next(iter(_children(period, "timeInterval")), None)
        if interval is None:
            raise BadPrices(f"{source}: a Period without a timeInterval")
        start_s, end_s = _seconds(_text(interval, "start")), _seconds(_text(interval, "end"))
        resolution = _text(period, "resolution")
        step_s = RESOLUTIONS_S.get(resolution)
        if step_s is None or end_s <= start_s:
            raise BadPrices(
                f"{source}: a Period of resolution {resolution!r} from {start_s:g} to {end_s:g} s is not"
                " known"
            )
        count = round((end_s - start_s) / step_s)
        yield (
            step_s,
            [
                row(
                    start_s + step_s * index,
                    start_s + step_s * (index + 1),
                    value,
                    "MWh",
                    currency,
                    source,
                    published_wall_s=published_s,
                    revision=revision,
                )
                for index, value in _points(period, source, count, repeats=repeats)
            ],
        )


def _points(period: Element, source: str, count: int, *, repeats: bool) -> Iterator[tuple[int, float]]:
    """Positions from 0 with their values; a position left out repeats the last value (A03) or is a hole."""
    said: dict[int, float] = {}
    for point in _children(period, "Point"):
        position, amount = _number(_text(point, "position"), 0), _text(point, "price.amount")
        if not 1 <= position <= min(count, POINTS_MAX):
            raise BadPrices(f"{source}: position {position} of a Period with {count} intervals")
        try:
            said[position - 1] = float(amount)
        except ValueError as fault:
            raise BadPrices(
                f"{source}: price.amount {amount!r} at position {position} is no number"
            ) from fault
    last: float | None = None
    for index in range(min(count, POINTS_MAX)):
        last = said.get(index, last if repeats else None)
        if last is not None:
            yield index, last


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (each for each in element if _name(each) == name)


def _text(element: Element, name: str) -> str:
    return next((each.text or "" for each in _children(element, name)), "").strip()


def _number(said: str, default: int) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else default


def _seconds(said: str) -> float:
    try:
        return datetime.fromisoformat(said).astimezone(UTC).timestamp() if said else 0.0
    except ValueError as fault:
        raise BadPrices(f"expected a time like 2026-11-27T23:00Z, found {said[:40]!r}") from fault


def request_of(zone_eic: str, start: datetime, end: datetime) -> dict[str, str]:
    """The query of a day-ahead document from ``start`` to ``end`` (UTC); the caller adds its
    securityToken.
    """
    return {
        "documentType": "A44",
        "in_Domain": zone_eic,
        "out_Domain": zone_eic,
        "contract_MarketAgreement.type": "A01",
        "periodStart": f"{start:%Y%m%d%H%M}",
        "periodEnd": f"{end:%Y%m%d%H%M}",
    }
