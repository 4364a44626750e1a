"""The study of an investment: nights by hand, futures around their mean, reports that repeat, bad input."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tomli
from msgspec.structs import replace

from v2g_edge.cli.main import main
from v2g_edge.model.plan import PriceRow
from v2g_edge.study.invest.assumptions import (
    AssumptionError,
    Assumptions,
    Costs,
    Fleet,
    Prices,
    Risk,
    Scenario,
    Wear,
    read_assumptions,
)
from v2g_edge.study.invest.days import Values, night_value, nights_of_curve, nights_of_rows, values_of
from v2g_edge.study.invest.montecarlo import drawn, futures
from v2g_edge.study.invest.pdf import PAGE_WIDTH, pdf_table
from v2g_edge.study.invest.report import parts_of
from v2g_edge.study.invest.study import study_of

EXAMPLE = Path(__file__).parents[3] / "examples" / "roi-50-vans.toml"
FLEET = Fleet(10, 60.0, 20.0, 18, 22, 10.0, 10.0, efficiency=1.0, depth_cap=1.0)
SURE = Assumptions(
    "t", "EUR", FLEET, Prices(curve=(0.1,) * 24, day_spread=0.0, growth_sd_pct=0.0),
    wear=Wear(model="", per_kwh=0.0, sd_pct=0.0), costs=Costs(sd_pct=0.0, fails_pct=0.0),
    risk=Risk(100.0, 0.0, 0.0, 100.0), paths=50,
)  # fmt: skip


def test_a_night_by_hand() -> None:
    """18 to 22 h at 40, 30, 10, 20 ct: 20 kWh move from the first two hours into the last two, which are full
    then; 10 kWh are given at 40 ct and bought back at 30 ct.
    """
    saved, earned, given = night_value((0.4, 0.3, 0.1, 0.2), SURE, 0.0)
    assert [saved, earned, given] == pytest.approx([4.0, 1.0, 10.0])


def test_giving_pairs_the_dearest_hour_with_the_cheapest_that_has_room() -> None:
    """Need 5 kWh: 10 kWh out at 40 ct, bought back with 5 kWh at 10 ct and 5 at 20 ct."""
    small = replace(SURE, fleet=replace(FLEET, need_kwh=5.0))
    saved, earned, given = night_value((0.4, 0.3, 0.1, 0.2), small, 0.0)
    assert saved == pytest.approx(5.0 * 0.3)
    assert given == pytest.approx(15.0)  # and 5 kWh of the second hour at 30 ct, bought at 20 ct
    assert earned == pytest.approx(10.0 * 0.4 + 5.0 * 0.3 - 5.0 * 0.1 - 10.0 * 0.2)


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"depth_cap": 0.1}, 6.0),
        ({"discharge_kw": 0.0}, 0.0),
        ({"concurrency_limit": 5}, 10.0),
        ({"connection_kw": 50.0, "need_kwh": 2.0}, 8.0),
    ],
)
def test_caps_bound_what_is_given(change: dict[str, float], given: float) -> None:
    """Depth, power, how many at once, the connection (5 kW each)."""
    small = replace(SURE, fleet=replace(FLEET, **{"need_kwh": 5.0, **change}))
    assert night_value((0.4, 0.3, 0.1, 0.2), small, 0.0)[2] == pytest.approx(given)


def test_what_wear_and_fees_take_is_not_given() -> None:
    """At 25 ct of wear only the widest pair is left; at 40 ct none is."""
    small = replace(SURE, fleet=replace(FLEET, need_kwh=5.0))
    assert night_value((0.4, 0.3, 0.1, 0.2), small, 0.25)[2] == pytest.approx(5.0)
    assert night_value((0.4, 0.3, 0.1, 0.2), small, 0.40)[2] == 0.0


def test_certain_assumptions_give_one_future() -> None:
    """364 nights of 1.00 saved for ten vehicles, every year, in every path."""
    night = Values(np.ones(9), np.zeros(9), np.zeros(9))
    sums = drawn(dict.fromkeys(("winter", "spring", "summer", "autumn"), night), SURE)
    assert np.unique(sums.saved).tolist() == [365.0]
    made = futures(sums, SURE, Scenario(), 0.0)
    assert made.v1g[:, 1:] == pytest.approx(3_650.0)
    assert made.v2g == pytest.approx(made.v1g)


def test_the_mean_of_all_futures_is_the_mean_of_the_nights() -> None:
    """Drawing nights moves the spread, not the middle."""
    found = replace(
        SURE, prices=replace(SURE.prices, curve=tuple(0.1 + 0.01 * n for n in range(24)), day_spread=0.3)
    )
    values = values_of(nights_of_curve(found), found, 0.0)
    sums = drawn(values, replace(found, paths=2_000))
    days = {"winter": 90, "spring": 92, "summer": 92, "autumn": 91}
    expected = sum(days[season] * values[season].saved.mean() for season in days)
    assert sums.saved.mean() == pytest.approx(expected, rel=0.002)


def test_nights_of_a_price_file_that_lack_an_hour_are_left_out() -> None:
    """And counted; a winter week in Amsterdam."""
    zone = ZoneInfo("Europe/Amsterdam")
    start = datetime(2026, 1, 5, tzinfo=zone).timestamp()
    rows = [
        PriceRow(start + n * 3_600, start + (n + 1) * 3_600, 0.1, "EUR") for n in range(7 * 24) if n != 44
    ]
    nights, lost = nights_of_rows(rows, replace(FLEET, departs_h=6), zone)
    assert (len(nights), lost) == (5, 1)
    assert {night.season for night in nights} == {"winter"}
    assert len(nights[0].prices) == 12


@pytest.mark.parametrize("form", ["text", "csv", "json", "html", "pdf"])
def test_the_same_seed_gives_the_same_report(form: str, tmp_path: Path) -> None:
    """Byte for byte; another seed another one."""
    made = []
    for n, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{n}.{form}"
        words = ["roi", "--assumptions", str(EXAMPLE), "--paths", "200", "--seed", str(seed)]
        assert main([*words, "--export", f"--format={form}", f"--output={path}"]) == 0
        made.append(path.read_bytes())
    assert made[0] == made[1] != made[2]
    assert len(made[0]) > 1_000


def test_every_assumption_stands_in_the_report_with_what_it_means() -> None:
    """No table of the PDF is wider than its page: the values of assumptions stood beyond its edge once."""
    found = replace(read_assumptions(EXAMPLE), paths=50)
    parts = parts_of(study_of(found, nights_of_curve(found)))
    told = next(part for part in parts if part.title == "Assumptions").rows[1:]
    assert ("fleet.capacity_kwh", "75", "Usable capacity of one") in told
    assert [name for name, value, meaning in told if not value or not meaning] == []
    for part in parts:
        if part.rows:
            assert pdf_table(part).wrap(PAGE_WIDTH, 10_000.0)[0] <= PAGE_WIDTH + 1e-6, part.title


def test_the_example_reads_like_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Both ways against doing nothing, three scenarios, levers."""
    assert main(["roi", "--assumptions", str(EXAMPLE), "--paths", "500"]) == 0
    out = capsys.readouterr().out
    assert "Managed charging alone is worth" in out
    for scenario in ("conservative", "base", "optimistic"):
        assert sum(line.startswith(scenario) for line in out.splitlines()) == 3
    assert max(map(len, out.splitlines())) <= 80


def test_scenarios_and_levers_lie_in_their_order() -> None:
    """Conservative below base below optimistic; more spread is worth more, more wear less."""
    found = replace(read_assumptions(EXAMPLE), paths=400)
    study = study_of(found, nights_of_curve(found))
    worth = {r.scenario: r.npv_mean for r in study.results if r.way == "V2G"}
    assert worth["conservative"] < worth["base"] < worth["optimistic"]
    levers = {each.name: each for each in study.tornado}
    assert levers["spread of prices"].npv_low < levers["spread of prices"].npv_high
    assert levers["wear of the battery"].npv_low < levers["wear of the battery"].npv_high
    widths = [abs(each.npv_high - each.npv_low) for each in study.tornado]
    assert widths == sorted(widths, reverse=True)


def test_the_csv_and_the_json_have_the_same_figures(tmp_path: Path) -> None:
    """For auditors and for programs."""
    paths = [tmp_path / "r.csv", tmp_path / "r.json"]
    for path in paths:
        form = path.suffix[1:]
        main(
            ["roi", "--assumptions", str(EXAMPLE), "--paths", "200", "--format", form, "--output", str(path)]
        )
    rows = list(csv.reader(io.StringIO(paths[0].read_text())))
    study = json.loads(paths[1].read_text())
    told = {(row[0], row[1]): row[3:6] for row in rows if row[2] == "npv"}
    for result in study["results"]:
        assert [float(v) for v in told[result["scenario"], result["way"]]] == pytest.approx(
            result["npv"], abs=0.01
        )


def test_the_site_files_own_numbers_go_first(capsys: pytest.CaptureFixture[str]) -> None:
    """And the report says so."""
    site = Path(__file__).parents[3] / "etc" / "site.example.toml"
    assert main(["roi", "--assumptions", str(EXAMPLE), "--paths", "50", "--site", str(site)]) == 0
    assert "kW in and" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("vehicles = 50", "vehicles = 0"), "fleet.vehicles is 0; allowed are 1 to 100000"),
        (("departs_h = 6", "departs_h = 17"), "are the same hour; nobody is plugged in"),
        (("0.140, 0.115, 0.098, 0.088]", "0.140]"), "prices.curve has 21 values; expected 24"),
        (("day_spread = 0.35", 'day_spread = 0.35\nfile = "x.csv"'), "prices need either a file or a curve"),
        (("depth_cap = 0.35", "depth_cap = 35"), "fleet.depth_cap is 35; allowed are 0 to 1"),
        (("winter = 1.0", "spring_ = 1.0"), "Invalid enum value 'spring_'"),
        (("capacity_kwh = 75.0", "capacity = 75.0"), "Object contains unknown field `capacity`"),
        (("pack_v = 400.0", "efficiency = 0.4"), "fleet efficiency comes to 0.400 one way"),
    ],
)
def test_assumptions_that_cannot_be_used_are_refused_in_words(
    tmp_path: Path, change: tuple[str, str], text: str
) -> None:
    """All of them name the file."""
    path = tmp_path / "a.toml"
    path.write_text(EXAMPLE.read_text().replace(*change))
    with pytest.raises(AssumptionError) as refused:
        read_assumptions(path)
    assert text in str(refused.value)
    assert "a.toml" in str(refused.value)


def test_prices_in_another_currency_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is converted in silence."""
    path, prices = tmp_path / "a.toml", tmp_path / "p.csv"
    rows = "\n".join(f"2026-01-{d:02} {h:02}:00:00,80" for d in range(1, 20) for h in range(24))
    prices.write_text(f"Datetime,Price (USD/MWh)\n{rows}\n")
    text = EXAMPLE.read_text()
    start, end = text.index("curve = ["), text.index("day_spread")
    path.write_text(text[:start] + 'file = "p.csv"\n' + text[end:])
    assert main(["roi", "--assumptions", str(path), "--paths", "50"]) == 2
    assert "prices in USD, assumptions in EUR" in capsys.readouterr().err


def test_a_study_says_how_far_it_is_and_fills_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From assumptions in JSON, as the console hands them over: the same figures as from TOML."""
    asked, folder = tmp_path / "a.json", tmp_path / "made"
    asked.write_text(json.dumps(tomli.loads(EXAMPLE.read_text())))
    words = ["roi", "--paths", "50", "--assumptions"]
    assert main([*words, str(asked), "--folder", str(folder), "--progress"]) == 0
    steps = [line for line in capsys.readouterr().err.splitlines() if line.startswith("progress ")]
    assert steps == [f"progress {n}/12" for n in range(1, 13)]
    assert sorted(path.name for path in folder.iterdir()) == ["roi.csv", "roi.html", "roi.json", "roi.pdf"]
    assert main([*words, str(EXAMPLE), "--format", "csv"]) == 0
    assert (folder / "roi.csv").read_text() == capsys.readouterr().out


def test_json_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("{", "[1, 2]", '{"name": ' + "9" * 5_000 + "}"):
        path.write_text(text)
        with pytest.raises(AssumptionError, match=r"a\.json"):
            read_assumptions(path)
