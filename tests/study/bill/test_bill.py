"""Bills: published tariffs to the cent, demand windows and ratchets, export, taxes, holes, days of 23 and 25
hours.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from v2g_edge.model.plan import PriceRow
from v2g_edge.study.bill.charge import Bill, Hours, Interval, bill_of, peak_by
from v2g_edge.study.bill.demand import billed_kw, peak_of
from v2g_edge.study.bill.prices import CurrencyError, spot_of
from v2g_edge.study.bill.tariff import SHIPPED, DemandRate, Tariff, TariffError, read_tariff

LA, AMS = "America/Los_Angeles", "Europe/Amsterdam"


def series(first: str, days: float, kw: Callable[[datetime], float], zone: str = LA) -> list[Interval]:
    """Quarter hours of a power by local time."""
    start = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone)).timestamp()
    end = (datetime.fromisoformat(first) + timedelta(days=days)).replace(tzinfo=ZoneInfo(zone)).timestamp()
    found = []
    while start < end:
        power = kw(datetime.fromtimestamp(start, ZoneInfo(zone)))
        found.append(Interval(start, max(power, 0.0) / 4.0, max(-power, 0.0) / 4.0))
        start += 900.0
    return found


def of(bill: Bill, kind: str) -> Decimal:
    """The sum of one kind of line, to the cent."""
    return sum((line.amount for line in bill.lines if line.kind == kind), Decimal(0)).quantize(
        Decimal("0.001")
    )


# Where the cases are from: the Californian prices as ACN-Portal publishes them with its tests (Caltech,
# acnportal/signals/tariffs, after the utilities' sheets), 100 kW for a day of each kind; PNM 4B by eeco;
# a sample bill of the Energy Management Handbook (W. C. Turner, 18.5.1, PSE&G general lighting and power).


@pytest.mark.parametrize(
    ("tariff", "zone", "day", "energy", "demand"),
    [
        # 100 kW for a day: energy by hand from the published prices, demand 100 kW times the rate.
        ("sce-tou-ev-4", LA, "2019-07-10", "293.865", "1551.000"),  # summer weekday
        ("sce-tou-ev-4", LA, "2019-07-13", "134.952", "1551.000"),  # summer Saturday: 24 h × 0.05623
        (
            "sce-tou-ev-4",
            LA,
            "2019-01-16",
            "174.351",
            "1551.000",
        ),  # winter: 9 × .06087, 9 × .07492, 6 × .0869
        ("sce-tou-ev-8", LA, "2019-07-10", "487.438", "0.000"),  # 19 × 0.12597 + 5 × 0.49619
        ("sce-tou-ev-8", LA, "2019-07-13", "367.158", "0.000"),  # 19 × 0.12597 + 5 × 0.25563
        ("sce-tou-ev-8", LA, "2019-01-16", "359.540", "0.000"),  # 11 × .13568, 8 × .07724, 5 × .297
        ("pge-a-10-tou", LA, "2019-07-10", "427.241", "1999.000"),  # 11 × .14903, 7 × .1771, 6 × .23223
        ("pge-a-10-tou", LA, "2019-01-16", "335.714", "1166.000"),  # 11 × .13064, 13 × .1477
    ],
)
def test_a_day_by_published_tariffs(tariff: str, zone: str, day: str, energy: str, demand: str) -> None:
    """To a tenth of a cent."""
    bill = bill_of(read_tariff(tariff), series(day, 1, lambda _: 100.0, zone), zone, days=1)
    assert (of(bill, "energy"), of(bill, "demand")) == (Decimal(energy), Decimal(demand))


def test_two_demand_charges_each_on_its_own_peak() -> None:
    """PNM 4B: 300 kW on Tuesday at ten, 400 kW on Saturday: 666.65 + 300 × 28.44 + 400 × 19.79."""

    def kw(at: datetime) -> float:
        return 300.0 if (at.weekday(), at.hour) == (1, 10) else 400.0 if at.weekday() == 5 else 50.0

    bill = bill_of(read_tariff("pnm-4b"), series("2023-03-06", 7, kw, "America/Denver"), "America/Denver")
    assert bill.total == Decimal("17114.65")
    assert [(name, kw) for name, kw, _ in bill.peaks] == [
        ("on-peak demand", 300.0),
        ("off-peak demand", 400.0),
    ]


HANDBOOK = """
name = "PSE&G general service"
currency = "USD"
source = "Energy Management Handbook, 18.5.1"
effective = "not said"
[[energy]]
name = "energy"
per_kwh = "0.09444"
[[taxes]]
name = "energy cost adjustment"
per_kwh = "-0.017192"
[[fixed]]
name = "customer charge"
amount = "3.74"
[[fixed]]
name = "demand charge of 30 kW, by blocks"
amount = "262.34"
"""


def test_a_sample_bill_of_the_energy_management_handbook(tmp_path: Path) -> None:
    """17,588 kWh in June: 3.74 + 1,661.01 − 302.37 + 262.34 = 1,624.72; the blocks of demand as told."""
    june = series("2026-06-01", 30, lambda _: 17_588.0 / 720.0, "America/New_York")
    bill = bill_of(written(tmp_path, HANDBOOK), june, "America/New_York")
    cents = [line.amount.quantize(Decimal("0.01")) for line in bill.lines]
    assert cents == [Decimal(text) for text in ("1661.01", "3.74", "262.34", "-302.37")]
    assert bill.total == Decimal("1624.72")


def test_a_spot_contract_by_hand() -> None:
    """An hour of 40 kW at 0.10, one of 20 kW out at 0.25; contracted is the highest quarter hour."""
    rows = [
        *(Interval(900.0 * n, 10.0, 0.0) for n in range(4)),
        *(Interval(900.0 * n, 0.0, 5.0) for n in range(4, 8)),
    ]
    spot = {900.0 * n: 0.10 if n < 4 else 0.25 for n in range(8)}
    bill = bill_of(read_tariff("nl-spot"), rows, "Europe/Amsterdam", spot=spot)
    # 40 × 0.118 − 20 × 0.242 + 40 × 3.95 + 441.20 + 40 × 0.03868, and 21 % on it
    assert bill.total == Decimal("726.76")


def _minutes(*parts: tuple[float, int]) -> list[float]:
    return [kw / 60.0 for kw, minutes in parts for _ in range(minutes)]


@pytest.mark.parametrize(
    ("parts", "window_s", "step_s", "kw"),
    [
        (((200, 15), (500, 30), (200, 15)), 900, 0, 500.0),
        (((200, 15), (500, 30), (200, 15)), 1_800, 0, 350.0),
        (((200, 15), (500, 30), (200, 15)), 3_600, 0, 350.0),
        (((200, 15), (500, 30), (200, 15)), 1_800, 300, 500.0),
        (((200, 20), (600, 20), (200, 20)), 900, 0, 466.667),
        (((200, 20), (600, 20), (200, 20)), 1_800, 0, 333.333),
        (((200, 20), (600, 20), (200, 20)), 1_800, 300, 466.667),
    ],
)
def test_metering_windows(
    parts: tuple[tuple[float, int], ...], window_s: float, step_s: float, kw: float
) -> None:
    """Fixed and sliding windows over an hour of one-minute power."""
    kwh = _minutes(*parts)
    peak = peak_of([60.0 * n for n in range(60)], kwh, 60.0, window_s, step_s)
    assert peak.kw == pytest.approx(kw, abs=0.001)


def test_a_window_with_a_hole_is_no_peak() -> None:
    """Missing is unknown, not 0: ten minutes of fifteen are not measured."""
    starts = [60.0 * n for n in range(30) if not 3 <= n < 13]
    kwh = [10.0 if start < 900.0 else 5.0 for start in starts]
    assert peak_of(starts, kwh, 60.0, 900.0).kw == pytest.approx(300.0)


def test_a_ratchet_bills_a_share_of_the_highest_before() -> None:
    """80 % of the highest of eleven months."""
    peaks = [400.0, 420, 500, 610, 700, 690, 650, 600, 480, 410, 400, 390]
    billed = [billed_kw(kw, peaks[max(0, n - 11) : n], 80.0) for n, kw in enumerate(peaks)]
    assert billed[7:] == [600.0, 560.0, 560.0, 560.0, 560.0]


def test_windows_begin_on_full_local_hours() -> None:
    """In India an hour of 100 kW from 10:00 to 11:00 is a window of 100 kW, not two of 50 kW."""
    rate = DemandRate("d", "1", window_s=3_600)
    rows = series("2026-01-15", 1, lambda at: 100.0 if at.hour == 10 else 0.0, "Asia/Kolkata")
    assert peak_by(rate, rows, Hours("Asia/Kolkata", ())).kw == pytest.approx(100.0)


def test_the_printed_lines_add_up_to_the_total(tmp_path: Path) -> None:
    """Three lines of 0.334 are 0.33 each, and 0.99 together."""
    text = TARIFF.format(metering="net_billing")
    text += "".join(f'[[fixed]]\nname = "{n}"\namount = "0.334"\n' for n in range(3))
    assert bill_of(written(tmp_path, text), [], "UTC").total == Decimal("0.99")


TARIFF = """
name = "t"
currency = "EUR"
source = "test"
effective = "2026-01-01"
metering = "{metering}"
[[energy]]
name = "flat"
per_kwh = "0.30"
[[export]]
name = "export"
per_kwh = "0.08"
"""


def written(tmp_path: Path, text: str) -> Tariff:
    """A tariff from text."""
    path = tmp_path / "t.toml"
    path.write_text(text)
    return read_tariff(str(path))


@pytest.mark.parametrize(("metering", "total"), [("net_billing", "2.20"), ("net_metering", "0.00")])
def test_net_metering_and_net_billing(tmp_path: Path, metering: str, total: str) -> None:
    """10 kWh in, then 10 kWh out, at 0.30 and 0.08."""
    bill = bill_of(
        written(tmp_path, TARIFF.format(metering=metering)),
        [Interval(0.0, 10.0, 0.0), Interval(900.0, 0.0, 10.0)], "UTC",
    )  # fmt: skip
    assert bill.total == Decimal(total)


def test_net_metering_carries_a_credit_over_and_pays_nothing_out(tmp_path: Path) -> None:
    """And says how much."""
    tariff = written(tmp_path, TARIFF.format(metering="net_metering"))
    bill = bill_of(tariff, [Interval(0.0, 1.0, 11.0)], "UTC")
    assert bill.total == Decimal("0.00")
    assert "a credit of 3.00 is carried over" in bill.notes[0]


def test_taxes_in_their_order(tmp_path: Path) -> None:
    """A levy by kWh, then a share of everything before it."""
    text = TARIFF.format(metering="net_billing")
    text += '[[taxes]]\nname = "levy"\nper_kwh = "0.05"\n[[taxes]]\nname = "vat"\npct = "21"\n'
    assert bill_of(written(tmp_path, text), [Interval(0.0, 100.0, 0.0)], "UTC").total == Decimal("42.35")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_of_23_and_25_hours_are_as_long_as_they_are(tmp_path: Path, day: str, hours: int) -> None:
    """40 kW at 0.30."""
    bill = bill_of(
        written(tmp_path, TARIFF.format(metering="net_billing")), series(day, 1, lambda _: 40.0, AMS), AMS
    )
    assert bill.total == Decimal("12.00") * hours


def test_a_hole_in_the_prices_is_named_and_counts_at_the_dearest() -> None:
    """And export earns nothing in it."""
    spot = {0.0: 0.10, 900.0: 0.25}
    rows = [Interval(0.0, 10.0, 0.0), Interval(900.0, 10.0, 0.0), Interval(1_800.0, 10.0, 10.0)]
    tariff = Tariff(
        "t", "EUR", "", "", energy=read_tariff("nl-spot").energy, export=read_tariff("nl-spot").export
    )
    bill = bill_of(tariff, rows, "UTC", spot=spot)
    assert bill.total == Decimal("6.54") + Decimal("0.08")  # 10 × (.118 + .268 + .268), export at −0.008
    assert "1 intervals without a price" in bill.notes[0]


def test_prices_of_another_currency_need_a_rate() -> None:
    """And a half-covered quarter hour has no price."""
    rows = [PriceRow(0.0, 3_600.0, 0.10, "USD"), PriceRow(3_600.0, 4_000.0, 0.10, "USD")]
    with pytest.raises(CurrencyError, match=r"prices are in USD, the bill in EUR; say --exchange USD=RATE"):
        spot_of(rows, 0.0, 7_200.0, "EUR", {})
    assert spot_of(rows, 0.0, 7_200.0, "EUR", {"USD": 0.9}) == {
        n * 900.0: pytest.approx(0.09) for n in range(4)
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.toml")))
def test_shipped_tariffs_have_one_price_at_every_time(name: str) -> None:
    """No gap, no overlap, a source."""
    assert read_tariff(name).source


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (('per_kwh = "0.30"', 'per_kwh = "free"'), "flat per_kwh is 'free'; expected a number"),
        (
            ('per_kwh = "0.30"', 'per_kwh = "0.30"\nwhen = ["Mo-Fr 08:00-20:00"]'),
            "energy: no price on Mon 01-01 at 00:00",
        ),
        (
            ('per_kwh = "0.30"', 'per_kwh = "0.30"\n[[energy]]\nname = "more"\nper_kwh = "1"'),
            "two prices (flat, more)",
        ),
        (
            ('per_kwh = "0.30"', 'per_kwh = "0.30"\nwhen = ["Monday 8-20"]'),
            "when 'Monday 8-20'; expected days and hours",
        ),
        (('per_kwh = "0.30"', 'per_kwh = "0.30"\nseason = "summer"'), "season 'summer'; expected two dates"),
        (('per_kwh = "0.30"', "per_kwh = 0.30"), "Expected `str`, got `float`"),
        (('currency = "EUR"', 'curency = "EUR"'), "unknown field `curency`"),
    ],
)
def test_a_tariff_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, change: tuple[str, str], text: str
) -> None:
    """Gaps, overlaps, no numbers, no times, misspelt keys."""
    with pytest.raises(TariffError) as refused:
        written(tmp_path, TARIFF.format(metering="net_billing").replace(*change))
    assert text in str(refused.value)
    assert "t.toml" in str(refused.value)
