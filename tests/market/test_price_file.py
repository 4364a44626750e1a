"""Prices are read from what market exports look like, and every bad line is named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from v2g_edge.market.csv_prices import FAULTS_MAX
from v2g_edge.market.price_file import PriceFile, read_prices
from v2g_edge.market.rows import BadPrices
from v2g_edge.model.settings import PriceSettings

HEAD = "Datetime,Price (EUR/MWh)\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    return path


def test_hours_are_utc_and_prices_become_per_kwh(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "2023-01-01 00:00:00,-3.61\n2023-01-01 01:00:00,146\n")
    first, second = read_prices(path)
    assert (first.start_wall_s, first.per_kwh) == (datetime(2023, 1, 1, tzinfo=UTC).timestamp(), -0.00361)
    assert (second.start_wall_s - first.start_wall_s, second.per_kwh) == (3_600.0, 0.146)


def test_an_offset_in_the_file_is_honoured(tmp_path: Path) -> None:
    (price,) = read_prices(written(tmp_path, HEAD + "2023-06-01T02:00:00+02:00,1\n"))
    assert price.start_wall_s == datetime(2023, 6, 1, tzinfo=UTC).timestamp()


def test_another_year_takes_the_same_days_and_leaves_out_the_one_it_lacks(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "2024-02-28 23:00:00,1\n2024-02-29 00:00:00,2\n2024-03-01 00:00:00,3\n")
    prices = read_prices(path, PriceSettings(shift_to_year=2026))
    assert [price.per_kwh for price in prices] == [0.001, 0.003]
    assert prices[0].start_wall_s == datetime(2026, 2, 28, 23, tzinfo=UTC).timestamp()


def test_every_bad_line_is_named_with_its_number(tmp_path: Path) -> None:
    bad = (
        "nonsense",
        "2023-01-01 01:00:00",
        "2023-01-01 02:00:00,dear",
        "2023-01-01 03:00:00,inf",
        "2023-01-01 00:00:00,5",
    )
    path = written(tmp_path, HEAD + "2023-01-01 00:00:00,1\n" + "\n".join(bad) + "\n")
    with pytest.raises(BadPrices) as found:
        read_prices(path)
    lines = str(found.value).splitlines()
    assert [int(line.removeprefix(f"{path}:").split(":")[0]) for line in lines] == [3, 4, 5, 6, 7]
    assert "expected a header line, then a start time and a price in each line, found 'nonsense'" in lines[0]
    assert "stands in line 2 already" in lines[-1]


def test_a_file_full_of_bad_lines_is_reported_in_short(tmp_path: Path) -> None:
    with pytest.raises(BadPrices, match="and 80 more") as found:
        read_prices(written(tmp_path, HEAD + "x\n" * 100))
    assert len(str(found.value).splitlines()) == FAULTS_MAX + 1


@pytest.mark.parametrize(
    "unit",
    ["ct", "EURct", "Eurocent", "€ct ", "USc", "¢", "Rp.", "Rappen", "öre", "gr"],
)
def test_hundredths_are_hundredths_however_they_are_written(tmp_path: Path, unit: str) -> None:
    """Taken for whole ones the price is a hundred times too high, and every kWh is sold."""
    (price,) = read_prices(written(tmp_path, f"Datetime,{unit}/kWh\n2026-01-01 00:00,25.5\n"))
    assert price.per_kwh == pytest.approx(0.255)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Datetime,m€/kWh\n2026-01-01 00:00,255\n", "thousandths"),
        ("Interval End,EUR/MWh\n2026-01-01 01:00,25\n", "none its start"),
        ("Datetime (hour ending),EUR/MWh\n2026-01-01 01:00,25\n", "none its start"),
        ("time_to,EUR/MWh\n2026-01-01 01:00,25\n", "none its start"),
        ("Time (EDT),EUR/MWh\n2026-01-01 01:00,25\n", "time zone 'EDT' is not known"),
        ("Datetime;EUR/MWh\n2026-01-01 00:00;1,234.56\n", "decimal mark"),
    ],
)
def test_what_would_be_a_guess_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadPrices, match=said):
        read_prices(written(tmp_path, text))


@pytest.mark.parametrize(
    ("header", "utc_hour"),
    [
        ("UTC", 12),
        ("UTC+1", 11),
        ("UTC-05:30", 17.5),
        ("GMT+01:00", 11),
        ("EET/EEST", 10),
        ("WET", 12),
        ("EST", 17),
    ],
)
def test_the_zone_of_the_header_counts(tmp_path: Path, header: str, utc_hour: float) -> None:
    (price,) = read_prices(written(tmp_path, f"Time ({header}),EUR/MWh\n2026-01-01 12:00,1\n"))
    start_s = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + utc_hour * 3_600.0
    assert price.start_wall_s == start_s


def test_the_start_counts_though_the_end_stands_first(tmp_path: Path) -> None:
    text = "Interval End,Interval Start,EUR/MWh\n2026-01-01 01:00,2026-01-01 00:00,\N{MINUS SIGN}5\n"
    (price,) = read_prices(written(tmp_path, text))
    start_s = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert (price.start_wall_s, price.end_wall_s, price.per_kwh) == (start_s, start_s + 3_600.0, -0.005)


@pytest.mark.parametrize("text", ["", HEAD, "\xff\xfe\0"])
def test_a_file_without_prices_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadPrices, match=r"prices\.csv"):
        read_prices(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPrices, match="absent"):
        read_prices(tmp_path / "absent.csv")


def test_a_file_is_read_again_when_it_changes_and_a_bad_one_leaves_the_prices_that_were_known(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, HEAD + "2023-01-01 00:00:00,10\n")
    file = PriceFile(PriceSettings(file=str(path)))
    assert file.is_changed()
    assert file.read() == ""
    assert not file.is_changed()
    written(tmp_path, HEAD + "2023-01-01 00:00:00,10\n2023-01-01 01:00:00,dear\n")
    assert file.is_changed()
    assert f"{path}:3: " in file.read()
    assert not file.is_changed(), "told once"
    assert [price.per_kwh for price in file.prices] == [0.01]
    path.unlink()
    assert file.is_changed()
    assert "cannot be read" in file.read()
    written(tmp_path, HEAD + "2023-01-01 00:00:00,20\n")
    assert file.is_changed()
    assert file.read() == ""
    assert [price.per_kwh for price in file.prices] == [0.02]


def test_without_a_file_there_are_no_prices_and_nothing_is_wrong() -> None:
    file = PriceFile(PriceSettings())
    assert (file.is_changed(), file.read(), file.prices) == (False, "", ())
