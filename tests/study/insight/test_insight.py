"""Key figures, carbon and counterfactuals, by hand."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from msgspec.structs import replace

from tests.study.ledger.test_book import WALL_S, Ticked, booked, hour, tick
from v2g_edge.cli.main import main
from v2g_edge.cli.study.whatif import noons
from v2g_edge.study.insight.carbon import CarbonError, carbon_of, factors_of, read_factors
from v2g_edge.study.insight.change import Change
from v2g_edge.study.insight.kpi import Figure, ended_in, figures_of, incomes_of, stays_of
from v2g_edge.study.insight.whatif import _next_noon, night_of
from v2g_edge.study.ledger.lines import Line, SocCycle, Stay
from v2g_edge.study.ledger.store import Store

UTC_ZONE = ZoneInfo("UTC")
QUARTER = [WALL_S + 900.0 * n for n in range(4)]


def line(slot: int, in_wh: float, out_wh: float, vehicle: str = "bus-1") -> Line:
    """A line of a quarter hour."""
    return Line(QUARTER[slot], "b1", "s1", vehicle, "local plan", "register", in_wh, out_wh, 0.0)


def test_money_is_energy_at_the_price_of_its_quarter_hour() -> None:
    """10 kWh in at 10 ct, 5 out at 30 ct less a fee of 1 ct, 2 in without a price."""
    rows = [line(0, 10_000.0, 0.0), line(1, 0.0, 5_000.0), line(2, 2_000.0, 0.0)]
    (income,) = incomes_of(rows, {QUARTER[0]: 0.10, QUARTER[1]: 0.30}, -0.01, {"bus-1": 0.02})
    assert income.earned == pytest.approx(1.45)
    assert income.paid == pytest.approx(1.00)
    assert income.wear == pytest.approx(0.10)
    assert income.unpriced_kwh == pytest.approx(2.0)


def stay(last_pct: float, out_wh: float, day: int, in_wh: float = 50_000.0) -> Stay:
    """From 50 % in a pack of 100 kWh, with a target of 80 %."""
    return Stay(
        f"s{day}", "b1", "bus-1", 0.0, 86_400.0 * day + 20_000.0, 50.0, last_pct, 80.0,
        in_wh=in_wh, out_wh=out_wh, capacity_wh=100_000.0,
    )  # fmt: skip


def named(figures: list[Figure]) -> dict[str, float | None]:
    """Values by name."""
    return {each.name: each.value for each in figures}


def test_a_departure_is_harmed_where_it_lacked_after_giving() -> None:
    """One of four; two of four days were close; every definition is told."""
    stays = [stay(90.0, 0.0, 1), stay(79.0, 0.0, 2), stay(79.0, 5_000.0, 3), stay(90.0, 5_000.0, 4)]
    figures = figures_of(stays, [SocCycle("bus-1", 0.0, 50.0, 60.0, 1.0, None)], [], 1.0, UTC_ZONE)
    told = named(figures)
    assert told["mission availability"] == pytest.approx(75.0)
    assert told["mission risk"] == pytest.approx(50.0)
    assert told["full cycles a vehicle and month"] == pytest.approx(0.5)
    assert all(each.definition for each in figures)


def test_round_trip_efficiency_is_what_meters_and_soc_say() -> None:
    """50 kWh in at 95 %, 9.5 kWh out of 10 stored: 37.5 % more SoC, 90.25 % both ways."""
    figures = figures_of([stay(50.0 + 37.5, 9_500.0, 1)], [], [], 1.0, UTC_ZONE)
    assert named(figures)["round-trip efficiency"] == pytest.approx(90.25)


def test_a_stay_over_the_end_of_a_month_counts_once_with_all_of_its_energy(tmp_path: Path) -> None:
    """Half of its hour lies before: it counts where it left, and its 30 kWh with it."""
    store = booked([*hour(), tick(61, 0.0, wh=30_000.0, session="s2")], tmp_path / "l.db")
    middle_s, end_s = WALL_S + 1_800.0, WALL_S + 7_200.0
    assert ended_in(stays_of(store, WALL_S, middle_s), WALL_S, middle_s) == []
    (gone,) = ended_in(stays_of(store, middle_s, end_s), middle_s, end_s)
    assert gone.in_wh == pytest.approx(30_000.0)


def test_days_are_local_days() -> None:
    """Two departures of one Californian morning lie on two days of UTC, and are one day of risk."""
    zone, gone = (
        ZoneInfo("America/Los_Angeles"),
        datetime(2026, 1, 15, tzinfo=ZoneInfo("America/Los_Angeles")),
    )
    stays = [
        replace(stay(79.0, 0.0, n), left_wall_s=gone.timestamp() + hours * 3_600.0)
        for n, hours in ((1, 15), (2, 17))
    ]
    stays.append(replace(stay(90.0, 0.0, 3), left_wall_s=gone.timestamp() + 26 * 3_600.0))
    assert named(figures_of(stays, [], [], 1.0, zone))["mission risk"] == pytest.approx(50.0)


def test_what_cannot_be_said_is_none_and_says_why() -> None:
    """Nobody left, nothing was given."""
    figures = {each.name: each for each in figures_of([], [], [], 1.0, UTC_ZONE)}
    for name in ("mission availability", "mission risk", "round-trip efficiency"):
        assert figures[name].value is None
        assert "no " in figures[name].definition


def factors(tmp_path: Path, text: str) -> Path:
    """A file of factors."""
    path = tmp_path / "f.csv"
    path.write_text(text)
    return path


def test_carbon_by_average_and_marginal_factors(tmp_path: Path) -> None:
    """10 kWh in at 200 and 500 g, 5 out at 400 and 600 g; 1 kWh without any factor."""
    stamps = ["2027-01-15T08:00Z", "2027-01-15T08:15+00:00"]
    path = factors(
        tmp_path,
        f"start,average_g_per_kwh,marginal_g_per_kwh\n{stamps[0]},200,500\n{stamps[1]},400,600\n",
    )
    rows = [
        line(0, 10_000.0, 0.0),
        line(1, 0.0, 5_000.0),
        Line(1e12, "b1", "", "", "", "register", 1e3, 0.0, 0.0),
    ]
    assert WALL_S == 1_800_000_000.0  # 2027-01-15 08:00 UTC
    found = carbon_of(rows, read_factors(path))
    assert (found["average"].charged_kg, found["average"].given_kg) == (2.0, 2.0)
    assert found["average"].net_kg == 0.0
    assert (found["marginal"].charged_kg, found["marginal"].given_kg) == (5.0, 3.0)
    assert found["marginal"].missing_kwh == 1.0


CHARTS = '{"unix_seconds": [1800000000, 1800000900, 1800001800], "co2eq": [200.0, null, 400.0]}'
BRITISH = """{"data": [
    {"from": "2027-01-15T08:00Z", "intensity": {"forecast": 210, "actual": 200}},
    {"from": "2027-01-15T08:30Z", "intensity": {"forecast": 400, "actual": null}}]}"""


@pytest.mark.parametrize("text", [CHARTS, BRITISH])
def test_factors_as_services_answer(text: str) -> None:
    """Quarter hours with a hole, half hours whose last is a forecast."""
    found = factors_of(text, "told")
    assert [(each.start_wall_s - WALL_S, each.average) for each in found] == [(0.0, 200.0), (1_800.0, 400.0)]
    assert {each.marginal for each in found} == {None}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "told: KeyError 'data'; expected the JSON of Energy-Charts"),
        ('{"unix_seconds": [1], "co2eq": [90000]}', "told: 90000 g/kWh; allowed are 0 to 3000"),
        ('{"unix_seconds": [1, 2], "co2eq": [1]}', "told: ValueError"),
        ("start,average\n" + "1" * 200_000, "told: no CSV that can be read"),
    ],
    ids=lambda each: each[:60],
)
def test_an_answer_that_cannot_be_used_is_refused_in_words(text: str, fault: str) -> None:
    """With what was expected."""
    with pytest.raises(CarbonError) as refused:
        factors_of(text, "told")
    assert fault in str(refused.value)


def test_a_service_is_asked_over_https_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And one that does not answer is named."""
    booked(list(hour()), tmp_path / "l.db").close()
    for url, fault in (
        ("http://factors.invalid/co2", "over https only"),
        ("https://factors.invalid/co2", "no answer that can be used"),
    ):
        assert main(["carbon", "--ledger", str(tmp_path / "l.db"), "--factors", url]) == 2
        assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("start,price\n2027-01-15T08:00Z,1\n", "no factors; expected a CSV with start"),
        (
            "start,average_g_per_kwh\n2027-01-15T08:00,1\n",
            "f.csv:2: start '2027-01-15T08:00' has no time zone",
        ),
        (
            "start,average_g_per_kwh\n2027-01-15T08:00Z,250000\n",
            "f.csv:2: 250000 g/kWh; allowed are 0 to 3000",
        ),
        (
            "start,average_g_per_kwh\n2027-01-15T08:00Z,1\n2027-01-15T08:00Z,2\n",
            "two rows for 2027-01-15T08:00Z",
        ),
    ],
)
def test_factors_that_cannot_be_used_are_refused_in_words(tmp_path: Path, text: str, fault: str) -> None:
    """With file and line."""
    with pytest.raises(CarbonError) as refused:
        read_factors(factors(tmp_path, text))
    assert fault in str(refused.value)


def evening(tmp_path: Path) -> Store:
    """bus-1 is there for six hours from noon: 60 kWh in the first two, at 30 kW."""
    ticks: list[Ticked] = []
    for minute in range(0, 361, 5):
        wh = 500.0 * min(minute, 120)
        ticks.append(
            tick(minute, 30_000.0 if minute <= 120 else 0.0, wh=wh, soc_pct=40.0 + wh * 0.94 / 2_000.0)
        )
    return booked(ticks, tmp_path / "l.db")


def test_the_ways_of_a_night_bring_the_same_energy_and_cost_less_in_their_order(tmp_path: Path) -> None:
    """Dear for two hours, then cheap: V2G costs less than managed charging, and that less than none."""
    store = evening(tmp_path)
    prices = {WALL_S + 900.0 * n: 0.40 if n < 8 else 0.10 for n in range(96)}
    night = night_of(store, WALL_S, prices, Change(wear_per_kwh=0.02))
    ways = {way.name: way for way in night.ways}
    assert night.notes == ()
    assert ways["metered"].in_kwh == pytest.approx(60.0, rel=0.01)
    assert ways["uncontrolled"].in_kwh == pytest.approx(60.0, rel=0.01)
    assert ways["managed"].cost < 0.3 * ways["uncontrolled"].cost
    assert ways["V2G"].cost < ways["managed"].cost - 1.0
    assert ways["V2G"].out_kwh > 10.0


def test_caps_and_limits_bind_and_a_hole_in_the_prices_is_named(tmp_path: Path) -> None:
    """10 % of 200 kWh; 20 kW of connection; a night without all its prices has no ways."""
    store = evening(tmp_path)
    prices = {WALL_S + 900.0 * n: 0.40 if n < 8 else 0.10 for n in range(96)}
    capped = night_of(store, WALL_S, prices, Change(depth_cap=0.1))
    assert {way.name: way.out_kwh for way in capped.ways}["V2G"] <= 20.0 * 0.94 + 1e-6
    small = night_of(store, WALL_S, prices, Change(connection_kw=20.0))
    assert {way.name: way.peak_kw for way in small.ways}["managed"] <= 20.0 + 1e-6
    del prices[WALL_S + 900.0 * 50]
    gone = night_of(store, WALL_S, prices, Change())
    assert gone.ways == ()
    assert "no price for 0.25 hours" in gone.notes[0]


def test_a_vehicle_without_soc_is_left_out_and_named(tmp_path: Path) -> None:
    """Nobody guesses a state of charge."""
    ticks = [
        each._replace(snapshot=tick(n, 30_000.0, wh=500.0 * n, soc_pct=None).snapshot)
        for n, each in enumerate(hour())
    ]
    store = booked(ticks, tmp_path / "l.db")
    prices = {WALL_S + 900.0 * n: 0.10 for n in range(96)}
    night = night_of(store, WALL_S, prices, Change())
    assert any("SoC or capacity not known" in note for note in night.notes)
    assert np.isfinite([way.cost for way in night.ways]).all()


@pytest.mark.parametrize(("evening", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-01-14", 24)])
def test_a_night_is_as_long_as_its_clocks_make_it(evening: str, hours: int) -> None:
    """From noon to the next local noon."""
    zone = ZoneInfo("Europe/Berlin")
    noon = datetime.fromisoformat(f"{evening}T12:00").replace(tzinfo=zone)
    starts = noons(noon.timestamp(), (noon + timedelta(days=2)).timestamp(), zone)
    assert starts[1] - starts[0] == hours * 3_600.0
    assert _next_noon(starts[0], "Europe/Berlin") == starts[1]
