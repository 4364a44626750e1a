"""A bill: a tariff and metered intervals make lines of money, in millionths of the currency, rounded once."""

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from v2g_edge.model.calendar import Day
from v2g_edge.study.bill.demand import Peak, billed_kw, peak_of
from v2g_edge.study.bill.tariff import DemandRate, EnergyRate, Tariff, fits, money, rate_at

MICRO: Final = Decimal("0.000001")
CENT: Final = Decimal("0.01")
MILLI: Final = Decimal("0.001")
Kind = Literal["energy", "export", "demand", "fixed", "tax"]


class Interval(NamedTuple):
    """Metered energy from ``start_wall_s`` on, at the grid connection, in kWh ≥ 0."""

    start_wall_s: float
    import_kwh: float
    export_kwh: float


class BillLine(Struct, frozen=True):
    """One line.

    Attributes:
        kind: What it is for.
        name: The tariff's name for it.
        quantity: How much: kWh, kW, months, days, or the sum that is taxed.
        unit: The unit of the quantity.
        price: Price of one; the mean one where it changes.
        amount: Money, in millionths; negative is earned.
    """

    kind: Kind
    name: str
    quantity: Decimal
    unit: str
    price: Decimal
    amount: Decimal


class Bill(Struct, frozen=True):
    """A bill of a time.

    Attributes:
        tariff: The tariff's name.
        currency: Its currency.
        lines: The lines.
        peaks: The highest window by demand charge: (name, kW, start).
        notes: What was assumed.
    """

    tariff: str
    currency: str
    lines: tuple[BillLine, ...]
    peaks: tuple[tuple[str, float, float], ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """The sum of the lines, each to the cent: what is printed adds up."""
        return sum((cents(line.amount) for line in self.lines), Decimal(0).quantize(CENT))


def cents(amount: Decimal) -> Decimal:
    """To the cent, half away from zero, as bills are rounded."""
    return amount.quantize(CENT, ROUND_HALF_UP)


class Hours:
    """Local days of a site: which day an interval belongs to, and its minute."""

    def __init__(self, timezone: str, holidays: Sequence[str]) -> None:
        self._zone, self._holidays = ZoneInfo(timezone), frozenset(holidays)

    def local(self, wall_s: float) -> datetime:
        """The local moment."""
        return datetime.fromtimestamp(wall_s, UTC).astimezone(self._zone)

    def day(self, wall_s: float) -> tuple[Day, int]:
        """(day, minute of it)."""
        moment = self.local(wall_s)
        name = f"{moment:%Y-%m-%d}"
        return Day(moment.weekday(), name, name in self._holidays), moment.hour * 60 + moment.minute


def bill_of(
    tariff: Tariff,
    intervals: Sequence[Interval],
    timezone: str,
    *,
    interval_s: float = 900.0,
    spot: Mapping[float, float] | None = None,
    before_kw: Mapping[str, Sequence[float]] | None = None,
    months: Decimal = Decimal(1),
    days: int = 0,
    unsure: Set[float] = frozenset(),
) -> Bill:
    """The bill of one month or a part of it.

    ``spot`` are prices per kWh by the start of an interval; ``before_kw`` the peaks of the months before by
    demand charge; ``months`` the share of a month that is billed, for the fixed parts; ``unsure`` the starts
    of intervals that hold more or less than their time, so that they are no peak.
    """
    hours = Hours(timezone, tariff.holidays)
    notes: list[str] = []
    lines = _energy(tariff, intervals, hours, spot or {}, notes)
    sure = [each for each in intervals if each.start_wall_s not in unsure]
    demand, peaks = _demand(tariff, sure, hours, interval_s, before_kw or {}, notes)
    lines += demand
    for part in tariff.fixed:
        quantity = months if part.each == "month" else Decimal(days)
        price = money(part.amount)
        lines.append(BillLine("fixed", part.name, quantity, part.each, price, _micro(quantity * price)))
    lines += _taxes(tariff, lines, sum(each.import_kwh for each in intervals))
    return Bill(tariff.name, tariff.currency, tuple(lines), tuple(peaks), tuple(notes))


class _Sum(NamedTuple):
    kwh: float = 0.0
    amount: Decimal = Decimal(0)


def _energy(
    tariff: Tariff, intervals: Sequence[Interval], hours: Hours, spot: Mapping[float, float], notes: list[str]
) -> list[BillLine]:
    net = tariff.metering == "net_metering"
    dearest = max(spot.values(), default=0.0)
    bought: dict[str, _Sum] = {}
    sold: dict[str, _Sum] = {}
    holes: list[float] = []
    for each in intervals:
        day, minute = hours.day(each.start_wall_s)
        price = spot.get(each.start_wall_s)
        uses_spot = False
        for sums, rates, kwh in _sides(tariff, each, bought, sold, net=net):
            rate = rate_at(rates, day, minute)[:1]
            if rate and kwh:
                spot_price = price if price is not None else (dearest if sums is bought else 0.0)
                uses_spot = uses_spot or rate[0].per_kwh == "spot"
                old = sums.get(rate[0].name, _Sum())
                amount = Decimal(repr(kwh)) * _price(rate[0], spot_price)
                sums[rate[0].name] = _Sum(old.kwh + kwh, old.amount + amount)
        if uses_spot and price is None:
            holes.append(each.start_wall_s)
    if holes:
        notes.append(
            f"{len(holes)} intervals without a price, the first at {hours.local(holes[0]):%Y-%m-%d %H:%M}:"
            f" import counts at the dearest known price ({dearest:.5f}), export earns nothing"
        )
    found = [_line("energy", name, each, 1) for name, each in bought.items()]
    found += [_line("export", name, each, -1) for name, each in sold.items()]
    return _carried(found, notes) if net else found


def _sides(
    tariff: Tariff, each: Interval, bought: dict[str, _Sum], sold: dict[str, _Sum], *, net: bool
) -> list[tuple[dict[str, _Sum], tuple[EnergyRate, ...], float]]:
    if net:
        return [(bought, tariff.energy, each.import_kwh - each.export_kwh)]
    return [(bought, tariff.energy, each.import_kwh), (sold, tariff.export, each.export_kwh)]


def _price(rate: EnergyRate, spot: float) -> Decimal:
    base = Decimal(repr(round(spot, 8))) if rate.per_kwh == "spot" else money(rate.per_kwh)
    return base + money(rate.add_per_kwh)


def _line(kind: Kind, name: str, each: _Sum, sign: int) -> BillLine:
    kwh = _milli(each.kwh)
    mean = (each.amount / Decimal(repr(each.kwh))).quantize(MICRO) if each.kwh else Decimal(0)
    return BillLine(kind, name, kwh, "kWh", mean, _micro(sign * each.amount))


def _carried(lines: list[BillLine], notes: list[str]) -> list[BillLine]:
    """Net metering pays nothing out: what is left over is carried to the next month."""
    left = sum((line.amount for line in lines), Decimal(0))
    if left >= 0:
        return lines
    credit = -sum((cents(line.amount) for line in lines), Decimal(0))
    notes.append(f"more was exported than imported: a credit of {credit} is carried over")
    return [*lines, BillLine("energy", "credit carried over", Decimal(1), "credit", credit, credit)]


def _demand(
    tariff: Tariff,
    intervals: Sequence[Interval],
    hours: Hours,
    interval_s: float,
    before_kw: Mapping[str, Sequence[float]],
    notes: list[str],
) -> tuple[list[BillLine], list[tuple[str, float, float]]]:
    lines, peaks = [], []
    for rate in tariff.demand:
        peak = peak_by(rate, intervals, hours, interval_s)
        if not peak.kw and rate.season:
            continue
        if rate.window_s < interval_s:
            notes.append(
                f"{rate.name}: windows of {rate.window_s} s; the mean of {interval_s:.0f} s stands in"
            )
        before = list(before_kw.get(rate.name, ()))[-rate.ratchet_months :]
        if rate.ratchet_pct and len(before) < rate.ratchet_months:
            text = f"the ratchet looks at {rate.ratchet_months} months, {len(before)} of them are known"
            notes.append(f"{rate.name}: {text}")
        kw = _milli(billed_kw(peak.kw, before, rate.ratchet_pct, rate.minimum_kw))
        price = money(rate.per_kw)
        lines.append(BillLine("demand", rate.name, kw, "kW", price, _micro(kw * price)))
        peaks.append((rate.name, peak.kw, peak.start_wall_s))
    return lines, peaks


def peak_by(rate: DemandRate, intervals: Sequence[Interval], hours: Hours, interval_s: float = 900.0) -> Peak:
    """The highest window of a demand charge, in the hours that it counts."""

    def counts(start_s: float) -> bool:
        return not (rate.when or rate.season) or bool(fits(rate.season, rate.when, *hours.day(start_s)))

    starts = [each.start_wall_s for each in intervals]
    kwh = [each.import_kwh for each in intervals]
    # Windows begin on full local hours: zones of half and quarter hours are met.
    local_s = hours.local(starts[0]).utcoffset() if starts else None
    offset_s = local_s.total_seconds() if local_s is not None else 0.0
    return peak_of(starts, kwh, interval_s, rate.window_s, rate.step_s, counts, offset_s=offset_s)


def _taxes(tariff: Tariff, lines: list[BillLine], import_kwh: float) -> list[BillLine]:
    found: list[BillLine] = []
    for tax in tariff.taxes:
        levy, share = money(tax.per_kwh), money(tax.pct) / 100
        if levy:
            kwh = _milli(import_kwh)
            found.append(BillLine("tax", tax.name, kwh, "kWh", levy, _micro(kwh * levy)))
        if share:
            base = sum((line.amount for line in (*lines, *found)), Decimal(0))
            found.append(
                BillLine("tax", tax.name, _micro(base), tariff.currency, share, _micro(base * share))
            )
    return found


def _micro(amount: Decimal) -> Decimal:
    return amount.quantize(MICRO, ROUND_HALF_UP)


def _milli(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(MILLI, ROUND_HALF_UP)


def month_name(day: date | datetime) -> str:
    """A month as "2026-01"."""
    return f"{day:%Y-%m}"
