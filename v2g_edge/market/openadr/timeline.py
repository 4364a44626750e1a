"""Events of OpenADR as what holds when: signals with a start and an end, by type. Pure: no socket, no clock.

An interval without a period of its own begins where the one before ends; an event whose duration is longer
than its intervals repeats them. A start in the year 1 is the time of the last change. A random start is drawn
once for each event and change, and moves all intervals alike.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from msgspec import Struct

from v2g_edge.market.openadr.wire import (
    FOREVER_S,
    AdrEvent,
    BadAnswer,
    Descriptor,
    Programme,
    duration_s,
    wall_s,
)
from v2g_edge.market.rows import MAX_PER_KWH
from v2g_edge.model.plan import PriceRow
from v2g_edge.model.service import CapacityLimit

HORIZON_S: Final = 3 * 86_400.0
"""How far ahead signals are worked out: a plan looks two days ahead."""

SIGNALS_MAX: Final = 2_000
"""Values within the horizon: prices of four days in quarter hours are 384."""

PER_W: Final = {"W": 1.0, "KW": 1e3, "MW": 1e6}
"""Watts of one unit of power; a descriptor that names none means kW."""

PER_KWH: Final = {"KWH": 1.0, "MWH": 1e-3, "WH": 1e3}
"""Factor from a price for one unit of energy to a price for one kWh; one that is not named means kWh."""

LIMITS: Final = {
    "IMPORT_CAPACITY_LIMIT": "import",
    "EXPORT_CAPACITY_LIMIT": "export",
    "DISPATCH_SETPOINT": "import",
}
"""Types that bound the connection. A set-point is what the site consumes: its upper side is kept."""

SUBSCRIBED: Final = {"IMPORT_CAPACITY_SUBSCRIPTION": "import", "EXPORT_CAPACITY_SUBSCRIPTION": "export"}
RESERVED: Final = {"IMPORT_CAPACITY_RESERVATION": "import", "EXPORT_CAPACITY_RESERVATION": "export"}
"""Capacity that was subscribed bounds the connection; what was reserved comes on top of it."""

POWERS: Final = frozenset({*LIMITS, *SUBSCRIBED, *RESERVED})
CARBON: Final = "GHG"
CARBON_UNITS: Final = frozenset({"", "GHG", "G/KWH", "G_PER_KWH"})
MAX_G_PER_KWH: Final = 5_000.0
"""Lignite in an old plant makes 1,300 g/kWh."""

PRICES: Final = frozenset({"PRICE", "EXPORT_PRICE"})
LEAST_IMPORTANT: Final = 1_000_000


class Signal(Struct, frozen=True):
    """One value for a while.

    Attributes:
        kind: The payload's type.
        start_wall_s: From when it holds, UTC epoch seconds.
        end_wall_s: Until when, UTC epoch seconds.
        value: The value: a number, or text where the type has text.
        units: Unit in capitals; "" where none is named.
        currency: Currency of a price; "" where none is named.
        event: The event's id.
        priority: Lower is more important.
        modified_wall_s: When the event was last changed, UTC epoch seconds.
        source: Programme and event, in words.
    """

    kind: str
    start_wall_s: float
    end_wall_s: float
    value: float | str
    units: str
    currency: str
    event: str
    priority: int
    modified_wall_s: float
    source: str


def signals_of(
    events: Iterable[AdrEvent], programmes: Mapping[str, Programme], now_wall_s: float, ven: str
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    """All signals within the horizon, and what is wrong with events that cannot be used."""
    found: list[Signal] = []
    wrong: list[str] = []
    for event in events:
        try:
            signals = _signals(event, programmes.get(event.programme), now_wall_s, ven)
            if len(found) + len(signals) > SIGNALS_MAX:
                raise BadAnswer(
                    f"all events together have more than {SIGNALS_MAX} values within the next days"
                )
            found += signals
        except BadAnswer as fault:
            wrong.append(f"event {event.name or event.id}: {fault}")
    return tuple(found), tuple(wrong)


def _signals(event: AdrEvent, programme: Programme | None, now_wall_s: float, ven: str) -> list[Signal]:
    changed_wall_s = wall_s(event.modified or event.created) if event.modified or event.created else None
    changed_wall_s = now_wall_s if changed_wall_s is None else changed_wall_s
    steps = _steps(event, changed_wall_s, ven)
    if not steps:
        return []
    begin_wall_s, end_wall_s = steps[0][0], steps[-1][1]
    round_s = end_wall_s - begin_wall_s
    lasts_s = duration_s(event.duration)
    until_wall_s = end_wall_s if lasts_s is None else begin_wall_s + max(lasts_s, 0.0)
    horizon = (now_wall_s - HORIZON_S / 3.0, now_wall_s + HORIZON_S)
    name = f"OpenADR {programme.name if programme else event.programme}/{event.name or event.id}"
    signals: list[Signal] = []
    if round_s <= 0.0:
        return []
    turn = max(math.floor((horizon[0] - begin_wall_s) / round_s), 0)
    last_wall_s = min(until_wall_s, horizon[1])
    if (last_wall_s - begin_wall_s - turn * round_s) / round_s * len(steps) > SIGNALS_MAX:
        raise BadAnswer(f"it has more than {SIGNALS_MAX} intervals within the next days")
    while begin_wall_s + turn * round_s < last_wall_s:
        for place, (start_s, stop_s) in enumerate(steps):
            span = (start_s + turn * round_s, min(stop_s + turn * round_s, until_wall_s))
            if span[0] < span[1] and span[1] > horizon[0] and span[0] < horizon[1]:
                signals += _of_interval(event, programme, place, span, changed_wall_s, name)
        turn += 1
    return signals


def _steps(event: AdrEvent, changed_wall_s: float, ven: str) -> list[tuple[float, float]]:
    """Start and end of each interval in its first turn."""
    default = event.period
    default_s = duration_s(default.duration) if default else None
    start = wall_s(default.start) if default and default.start else None
    at_wall_s = changed_wall_s if start is None else start
    shift_s = _shift_s(event, ven)
    steps: list[tuple[float, float]] = []
    for interval in event.intervals:
        own, length_s = interval.interval_period, default_s
        if own is not None:
            if own.start:
                told = wall_s(own.start)
                at_wall_s = changed_wall_s if told is None else told
            own_s = duration_s(own.duration)
            length_s = own_s if own_s is not None else default_s
        length_s = FOREVER_S if length_s is None else length_s
        if length_s < 0.0:
            raise BadAnswer(f"interval {interval.id} has a negative duration")
        steps.append((at_wall_s + shift_s, at_wall_s + shift_s + length_s))
        at_wall_s += length_s
    for before, after in pairwise(steps):
        if after[0] < before[1] - 1e-6:
            raise BadAnswer("its intervals overlap each other")
    return steps


def _shift_s(event: AdrEvent, ven: str) -> float:
    """Between − and + the range, the same for each look at one edition of an event."""
    range_s = duration_s(event.period.randomize_start) if event.period else None
    if not range_s:
        return 0.0
    seed = hashlib.blake2b(f"{ven}/{event.id}/{event.modified}".encode(), digest_size=8).digest()
    return range_s * (2.0 * int.from_bytes(seed, "big") / 2.0**64 - 1.0)


def _of_interval(
    event: AdrEvent,
    programme: Programme | None,
    place: int,
    span: tuple[float, float],
    changed_wall_s: float,
    name: str,
) -> list[Signal]:
    priority = LEAST_IMPORTANT if event.priority is None else event.priority
    signals = []
    for payload in event.intervals[place].payloads:
        told = _descriptor(payload.type, event, programme)
        units, currency = ((told.units or "").upper(), (told.currency or "").upper()) if told else ("", "")
        if not payload.values:
            raise BadAnswer(f"{payload.type} has no value")
        value = payload.values[0]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise BadAnswer(f"{payload.type} is {str(value)[:40]!r}, no number and no text")
        if payload.type in POWERS or payload.type in PRICES or payload.type in {"SIMPLE", CARBON}:
            value = _number(payload.type, value, units)
        signals.append(
            Signal(payload.type, *span, value, units, currency, event.id, priority, changed_wall_s, name)
        )
    return signals


def _descriptor(kind: str, event: AdrEvent, programme: Programme | None) -> Descriptor | None:
    """The event's, else the programme's."""
    both = [*(event.descriptors or ()), *((programme.descriptors or ()) if programme else ())]
    return next((each for each in both if each.payload_type == kind), None)


def _number(kind: str, value: float | str, units: str) -> float:
    """W, currency per kWh, or a level."""
    if isinstance(value, str) or not math.isfinite(value):
        raise BadAnswer(f"{kind} is {str(value)[:40]!r}, no number")
    if kind == CARBON:
        if units not in CARBON_UNITS or not 0.0 <= value <= MAX_G_PER_KWH:
            raise BadAnswer(f"{kind} is {value:g} {units}; allowed are 0 to {MAX_G_PER_KWH:g} g/kWh")
        return value
    if kind in POWERS:
        if (units or "KW") not in PER_W or value < 0.0:
            raise BadAnswer(f"{kind} is {value:g} {units}; allowed are 0 or more in {', '.join(PER_W)}")
        return value * PER_W[units or "KW"]
    if kind in PRICES:
        if (units or "KWH") not in PER_KWH:
            raise BadAnswer(f"{kind} is per {units}; allowed are {', '.join(PER_KWH)}")
        per_kwh = value * PER_KWH[units or "KWH"]
        if abs(per_kwh) > MAX_PER_KWH:
            raise BadAnswer(f"{kind} is {per_kwh:g} per kWh; allowed are ±{MAX_PER_KWH:g}")
        return per_kwh
    return value


def limits_of(signals: Iterable[Signal], simple_w: tuple[float, ...]) -> tuple[CapacityLimit, ...]:
    """Limits of the connection. ``simple_w``: what SIMPLE levels 1, 2, 3 leave for import."""
    found = []
    for signal in signals:
        if isinstance(signal.value, str):
            continue
        direction, power_w = LIMITS.get(signal.kind, ""), signal.value
        if signal.kind == "SIMPLE" and simple_w and signal.value >= 1.0:
            direction, power_w = "import", simple_w[min(int(signal.value), len(simple_w)) - 1]
        if direction:
            span = (signal.start_wall_s, signal.end_wall_s)
            way = "import" if direction == "import" else "export"
            found.append(CapacityLimit(way, power_w, *span, f"{signal.source} {signal.kind}"))  # type: ignore[arg-type]
    return tuple(found)


def subscribed_of(signals: Iterable[Signal]) -> tuple[CapacityLimit, ...]:
    """Limits of the connection by what was subscribed, with what is reserved on top. Of several
    subscriptions the most important counts; a reservation without a subscription says nothing.
    """
    numbers = [each for each in signals if not isinstance(each.value, str)]
    found = []
    for direction in ("import", "export"):
        base = [each for each in numbers if SUBSCRIBED.get(each.kind) == direction]
        more = [each for each in numbers if RESERVED.get(each.kind) == direction]
        ranked = sorted(base, key=lambda each: (each.priority, -each.modified_wall_s, each.event))
        edges = sorted({e for each in (*base, *more) for e in (each.start_wall_s, each.end_wall_s)})
        for start, end in pairwise(edges):
            best = next((each for each in ranked if each.start_wall_s <= start < each.end_wall_s), None)
            if best is None:
                continue
            extra = sum(float(e.value) for e in more if e.start_wall_s <= start < e.end_wall_s)
            source = f"{best.source} {best.kind}" + (" and reservations" if extra else "")
            found.append(CapacityLimit(direction, float(best.value) + extra, start, end, source))
    return tuple(found)


def rows_of(signals: Iterable[Signal], kind: str = "PRICE") -> tuple[PriceRow, ...]:
    """Prices that do not overlap: at each instant the most important event, then the one changed last.
    ``BadAnswer`` for two currencies.
    """
    prices = [each for each in signals if each.kind == kind and not isinstance(each.value, str)]
    currencies = {each.currency for each in prices if each.currency}
    if len(currencies) > 1:
        raise BadAnswer(f"prices come in {' and '.join(sorted(currencies))}; one currency is allowed")
    edges = sorted({edge for each in prices for edge in (each.start_wall_s, each.end_wall_s)})
    ranked = sorted(prices, key=lambda each: (each.priority, -each.modified_wall_s, each.event))
    rows: list[PriceRow] = []
    for start, end in pairwise(edges):
        best = next((each for each in ranked if each.start_wall_s <= start < each.end_wall_s), None)
        if best is None:
            continue
        value = float(best.value)
        last = rows[-1] if rows else None
        same = (best.source, value) == ((last.source, last.per_kwh) if last else None)
        if last is not None and same and last.end_wall_s == start and best.start_wall_s < start:
            rows[-1] = PriceRow(
                last.start_wall_s, end, value, best.currency, best.source, best.modified_wall_s
            )
        else:
            rows.append(PriceRow(start, end, value, best.currency, best.source, best.modified_wall_s))
    return tuple(rows)
