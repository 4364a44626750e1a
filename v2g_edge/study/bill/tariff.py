"""Tariffs as data: a TOML file, checked, with every fault named at once.

A tariff says what a kWh and a kW cost by season, day and hour, what is fixed, what export earns, and what
taxes come on top. Prices are decimal numbers written as text, so that a cent is a cent.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import tomli
from msgspec import Struct

from v2g_edge.model.calendar import Day, hours_of, rank

SHIPPED: Final = Path(__file__).parent / "tariffs"
MINUTES: Final = 24 * 60
STEP_MINUTES: Final = 15
"""Tariffs change on quarter hours at the finest."""
YEAR: Final = 2024
"""A leap year, to look for gaps and overlaps day by day."""

Metering = Literal["net_billing", "net_metering"]
"""How import and export meet: by interval, each at its own price; or as one register over the month."""


class TariffError(Exception):
    """The file cannot be used; the message names it and every fault."""


class EnergyRate(Struct, frozen=True, forbid_unknown_fields=True):
    """What a kWh costs at a time.

    Attributes:
        name: What the bill calls it.
        per_kwh: Price of a kWh; "spot" stands for the price of the hour, from a file of prices.
        when: Lines of days and hours ("Mo-Fr 08:00-20:00", "PH 00:00-24:00"); empty: always.
        season: "06-01/09-30" or empty for the whole year.
        add_per_kwh: Added to a spot price.
    """

    name: str
    per_kwh: str
    when: tuple[str, ...] = ()
    season: str = ""
    add_per_kwh: str = "0"


class DemandRate(Struct, frozen=True, forbid_unknown_fields=True):
    """What the highest mean power of a metering window costs in a month.

    Attributes:
        name: What the bill calls it.
        per_kw: Price of a kW.
        window_s: The metering window.
        step_s: How far one window is from the next; the same as ``window_s`` for fixed windows.
        when: Lines of days and hours in which it is measured; empty: always.
        season: As in ``EnergyRate``.
        ratchet_pct: At least this share of the highest of the months before is billed.
        ratchet_months: How many months before.
        minimum_kw: At least this is billed.
    """

    name: str
    per_kw: str
    window_s: int = 900
    step_s: int = 0
    when: tuple[str, ...] = ()
    season: str = ""
    ratchet_pct: float = 0.0
    ratchet_months: int = 11
    minimum_kw: float = 0.0


class FixedPart(Struct, frozen=True, forbid_unknown_fields=True):
    """What is paid whatever flows.

    Attributes:
        name: What the bill calls it.
        amount: Price of a period.
        each: "month" or "day".
    """

    name: str
    amount: str
    each: Literal["month", "day"] = "month"


class Tax(Struct, frozen=True, forbid_unknown_fields=True):
    """A tax or levy.

    Attributes:
        name: What the bill calls it.
        pct: Share of the sum of everything before it, in percent; 0 where it is by energy.
        per_kwh: Levy on each imported kWh; "0" where it is a share.
    """

    name: str
    pct: str = "0"
    per_kwh: str = "0"


class Tariff(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole tariff.

    Attributes:
        name: Its name.
        currency: ISO 4217 code.
        source: Where the figures come from.
        effective: From when they are valid.
        metering: How import and export meet.
        energy: Prices of import.
        export: Prices of export; none: export earns nothing.
        demand: Demand charges.
        fixed: Fixed parts.
        taxes: Taxes, in their order.
        holidays: Dates that count as "PH".
    """

    name: str
    currency: str
    source: str
    effective: str
    metering: Metering = "net_billing"
    energy: tuple[EnergyRate, ...] = ()
    export: tuple[EnergyRate, ...] = ()
    demand: tuple[DemandRate, ...] = ()
    fixed: tuple[FixedPart, ...] = ()
    taxes: tuple[Tax, ...] = ()
    holidays: tuple[str, ...] = ()


def read_tariff(name: str) -> Tariff:
    """A shipped tariff by its name, or a file. Raises ``TariffError``."""
    path = SHIPPED / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    try:
        table: Any = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.toml")))
        raise TariffError(f"{path}: cannot be read ({error}); shipped tariffs: {known}") from error
    try:
        tariff = msgspec.convert(table, Tariff)
    except msgspec.ValidationError as error:
        raise TariffError(f"{path}: {error}") from error
    faults = [*_bad_numbers(tariff), *_bad_times(tariff)] or _gaps(tariff)
    if faults:
        raise TariffError("\n".join(f"{path}: {fault}" for fault in faults[:12]))
    return tariff


def money(text: str) -> Decimal:
    """A price of a tariff that was read."""
    return Decimal(text)


def _bad_numbers(tariff: Tariff) -> list[str]:
    found = []
    rates = (*tariff.energy, *tariff.export)
    texts = [(f"{e.name} per_kwh", e.per_kwh) for e in rates if e.per_kwh != "spot"]
    texts += [(f"{e.name} add_per_kwh", e.add_per_kwh) for e in rates]
    texts += [(f"{d.name} per_kw", d.per_kw) for d in tariff.demand]
    texts += [(f"{f.name} amount", f.amount) for f in tariff.fixed]
    texts += [
        (f"{t.name} {key}", value)
        for t in tariff.taxes
        for key, value in (("pct", t.pct), ("per_kwh", t.per_kwh))
    ]
    for where, text in texts:
        try:
            good = Decimal(text).is_finite()
        except InvalidOperation:
            good = False
        if not good:
            found.append(f'{where} is {text!r}; expected a number as text, like "0.0925"')
    for each in tariff.demand:
        step_s = each.step_s or each.window_s
        if each.window_s <= 0 or step_s <= 0 or each.window_s % step_s:
            found.append(f"{each.name}: window_s {each.window_s} must be a multiple of step_s {step_s}")
    return found


def _bad_times(tariff: Tariff) -> list[str]:
    found = []
    timed: tuple[EnergyRate | DemandRate, ...] = (*tariff.energy, *tariff.export, *tariff.demand)
    for each in timed:
        for line in each.when:
            try:
                days, begin, end = hours_of(line)
                rank(days, Day(0, "2024-01-01", is_holiday=False))
                _minute(begin), _minute(end)
            except (ValueError, IndexError):
                found.append(f'{each.name}: when {line!r}; expected days and hours, like "Mo-Fr 08:00-20:00"')
        try:
            if each.season:
                rank(each.season, Day(0, "2024-01-01", is_holiday=False))
                [date.fromisoformat(f"2024-{part}") for part in each.season.split("/", 1)]
        except ValueError:
            found.append(f'{each.name}: season {each.season!r}; expected two dates, like "06-01/09-30"')
    return found


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    value = int(hours) * 60 + int(minutes)
    if not 0 <= value <= MINUTES:
        raise ValueError(text)
    return value


def fits(season: str, when: Iterable[str], day: Day, minute: int) -> int:
    """How well a rate fits a local minute; 0: not at all. A holiday's line goes before a weekday's."""
    if season and not rank(season, day):
        return 0
    best, any_line = 0, False
    for line in when:
        any_line = True
        days, begin, end = hours_of(line)
        first, last = _minute(begin), _minute(end)
        inside = first <= minute < last if first < last else minute >= first or minute < last
        best = max(best, rank(days, day) if inside else 0)
    return best if any_line else 1


def rate_at(rates: tuple[EnergyRate, ...], day: Day, minute: int) -> list[EnergyRate]:
    """The rates that fit a local minute best: one in a sound tariff."""
    ranked = [(fits(each.season, each.when, day, minute), each) for each in rates]
    most = max((how for how, _ in ranked), default=0)
    return [each for how, each in ranked if how == most and how]


def _gaps(tariff: Tariff) -> list[str]:
    """Times of a year without a price of import, or with two."""
    found: dict[str, str] = {}
    for kind, rates in (("energy", tariff.energy), ("export", tariff.export)):
        if kind == "export" and not rates:
            continue
        for n in range(366):
            moment = date(YEAR, 1, 1) + timedelta(days=n)
            day = Day(moment.weekday(), str(moment), is_holiday=False)
            for minute in range(0, MINUTES, STEP_MINUTES):
                fitting = rate_at(rates, day, minute)
                if len(fitting) == 1:
                    continue
                names = ", ".join(each.name for each in fitting)
                text = f"two prices ({names})" if fitting else "no price"
                found.setdefault(
                    f"{kind} {text}",
                    f"{kind}: {text} on {moment:%a %m-%d} at {minute // 60:02}:{minute % 60:02}",
                )
    return list(found.values())
