"""Prices mean the same in every shape in which a market publishes them, and a broken document is named."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, small_site
from tests.market.shapes import (
    DAY,
    PER_MWH,
    SHAPES,
    energy_charts,
    entsoe_xml,
    iso_ne,
    oasis,
    packed,
    plain_csv,
)
from v2g_edge.market.price_file import plan_prices, read_bytes, read_prices
from v2g_edge.market.rows import BadPrices, describe, holes
from v2g_edge.model.plan import Price, PriceRow
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.planner.price_rule import plan_from_prices

NONE = PriceSettings()


def at(rows: tuple[PriceRow, ...], wall_s: float) -> float | None:
    """The price at a time, as its rows say."""
    return next((row.per_kwh for row in rows if row.start_wall_s <= wall_s < row.end_wall_s), None)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_says_the_same_prices_as_our_own_csv(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SHAPES[name]())
    rows = read_prices(tmp_path / name, PriceSettings(zone="" if name != "iso-ne.json" else "4000"))
    ours = read_bytes(plain_csv(), "ours", NONE)
    quarters = [DAY.timestamp() + 900.0 * k for k in range(-2, 23 * 4 + 2)]
    assert [at(rows, t) for t in quarters] == [
        pytest.approx(price) if (price := at(ours, t)) is not None else None for t in quarters
    ]
    assert not holes(rows)
    assert {row.currency for row in rows} <= {"EUR", "USD", "GBP"}
    assert plan_prices(rows)[0].end_wall_s == rows[0].end_wall_s


def day_plan(prices: tuple[Price, ...]) -> list[tuple[float, tuple[float, ...]]]:
    """What a depot with a bus and a second one that may give does in each slot, in W."""
    site = small_site()
    picture = healthy(site, wall_s=DAY.timestamp())
    evses = []
    for state in picture.evses:
        assert state.vehicle is not None
        leaves = Reading(DAY.timestamp() + 20 * 3_600.0, picture.now_s)
        vehicle = replace(state.vehicle, departure_wall_s=leaves, target_soc_pct=Reading(90.0, picture.now_s))
        evses.append(replace(state, vehicle=vehicle))
    picture = replace(picture, evses=tuple(evses))
    plan = plan_from_prices(site, picture, prices, NONE, DAY.timestamp())
    return [
        (slot.start_wall_s, tuple(round(power_w, 3) for _, power_w in slot.evse_w)) for slot in plan.slots
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_the_same_plan_as_our_own_csv(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(SHAPES[name]())
    rows = read_prices(tmp_path / name, PriceSettings(zone="" if name != "iso-ne.json" else "4000"))
    ours = day_plan(plan_prices(read_bytes(plain_csv(), "ours", NONE)))
    assert day_plan(plan_prices(rows)) == ours
    assert len({powers for _, powers in ours}) > 3  # prices decide


def test_a_day_of_23_or_25_hours_is_whole() -> None:
    zone = ZoneInfo("Europe/Brussels")
    for start, count in ((datetime(2026, 3, 29, tzinfo=zone), 23), (datetime(2026, 10, 25, tzinfo=zone), 25)):
        lines, time = ["MTU (CET/CEST);Price [EUR/MWh]"], start.astimezone(UTC).timestamp()
        for hour in range(count):
            local = datetime.fromtimestamp(time + 3_600.0 * hour, zone)
            lines.append(f"{local:%d.%m.%Y %H:%M};{hour},5")
        rows = read_bytes("\n".join(lines).encode(), "day", NONE)
        assert [row.start_wall_s for row in rows] == [time + 3_600.0 * hour for hour in range(count)]
        assert [row.per_kwh for row in rows] == [
            pytest.approx((hour + 0.5) / 1_000.0) for hour in range(count)
        ]


def test_a_hole_stays_a_hole_and_is_told() -> None:
    text = plain_csv().decode().splitlines()
    rows = read_bytes("\n".join(text[:6] + text[8:]).encode(), "file", NONE)
    assert holes(rows) == ((DAY.timestamp() + 5 * 3_600.0, DAY.timestamp() + 7 * 3_600.0),)
    assert at(rows, DAY.timestamp() + 6 * 3_600.0) is None
    assert (
        describe(rows, UTC)
        == "21 h, 0.005 to 0.115 EUR/kWh, until Sun 2026-03-29 22:00; 1 hole without a price, the first at"
        " 2026-03-29 04:00"
    )


@pytest.mark.parametrize(
    "entries",
    [
        b'{"data": [{"start_timestamp": 3.6e6, "end_timestamp": 7.2e6, "marketprice": null,'
        b' "unit": "EUR/MWh"},'
        b' {"start_timestamp": 7.2e6, "end_timestamp": 10.8e6, "marketprice": 5, "unit": "EUR/MWh"}]}',
        b'{"results": [{"valid_from": "1970-01-01T01:00Z", "value_inc_vat": null},'
        b' {"valid_from": "1970-01-01T02:00Z", "valid_to": "1970-01-01T03:00Z", "value_inc_vat": 0.5}]}',
        b'{"HourlyLmps": {"HourlyLmp": [{"BeginDate": "1970-01-01T01:00Z", "LmpTotal": null},'
        b' {"BeginDate": "1970-01-01T02:00Z", "LmpTotal": 5}]}}',
        b'[{"datetime_beginning_utc": "1970-01-01T01:00", "total_lmp_da": null},'
        b' {"datetime_beginning_utc": "1970-01-01T02:00", "total_lmp_da": 5}]',
    ],
    ids=["awattar", "octopus", "iso-ne", "pjm"],
)
def test_a_null_is_a_hole_and_takes_no_other_price_away(entries: bytes) -> None:
    (only,) = read_bytes(entries, "feed", NONE)
    assert (only.start_wall_s, only.per_kwh) == (7_200.0, 0.005)


def test_a_change_from_hours_to_quarters_keeps_the_length_of_each() -> None:
    lines = ["time,EUR/MWh"] + [f"2025-09-30T{h}:00Z,1" for h in (20, 21, 22)]
    lines += [f"2025-09-30T23:{m:02d}Z,2" for m in (0, 15, 30, 45)]
    rows = read_bytes("\n".join(lines).encode(), "file", NONE)
    assert [row.end_wall_s - row.start_wall_s for row in rows] == [3_600.0] * 3 + [900.0] * 4


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>", "an HTML page, no prices"),
        (b"<a/>", "expected a Publication_MarketDocument, found a"),
        (b"<a", "no XML document"),
        (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "no XML document"),
        (b"{}", "no known shape (found nothing)"),
        (b'{"error": "rate limit"}', "no known shape (found error)"),
        (b'{"data": [{"start_timestamp": 1}]}', "the unit '' is not known"),
        (b'{"unix_seconds": [1, 2], "price": [1], "unit": "EUR/MWh"}', "2 unix_seconds and 1 prices"),
        (b'{"unix_seconds": [1], "price": [1], "unit": "EUR/MJ"}', "the unit 'EUR/MJ' is not known"),
        (b'{"multiAreaEntries": [{"entryPerArea": {"NL": 1, "BE": 2}}]}', "set prices.zone"),
        (b'{"unix_seconds": [1], "price": [1], "unit": "Cent/kWh"}', "the unit 'Cent/kWh' is not known"),
        (b'{"unix_seconds": [1e12], "price": [1], "unit": "EUR/MWh"}', "is it in milliseconds"),
        (b'{"unix_seconds": [NaN], "price": [1], "unit": "EUR/MWh"}', "a time of nan s"),
        (b'{"unix_seconds": [1%s], "price": [1], "unit": "EUR/MWh"}' % (b"0" * 400), "expected a number"),
        (b'{"unix_seconds": [1], "price": [1%s], "unit": "EUR/MWh"}' % (b"0" * 400), "expected a number"),
        (b'{"HourlyLmps": ""}', "has no prices"),
        (b"[1]", "an entry is not as expected"),
        (b"PK\x03\x04nothing", "no zip of CSV"),
        (b"time,price\n2026-01-01,1\n", "does not say its unit of energy"),
        (b"a,b\n1,2\n", "no header line"),
        (b"time,EUR/MWh\n2026-01-01,1\n2026-01-01,2\n", "stands in line 2 already"),
        (b"time,EUR/MWh\n2026-01-01,200000\n", "is not within"),
        (b"time,EUR/MWh\n" + b"1" * 200_000 + b",1\n", "no CSV that can be read"),
        (packed("NODE,MW\n" + "1" * 200_000 + ",1\n"), "columns missing"),
        (packed("INTERVALSTARTTIME_GMT,INTERVALENDTIME_GMT,NODE,LMP_TYPE,MW\n" + "1" * 200_000), "no CSV"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_a_document_that_cannot_serve_is_named_with_its_reason(data: bytes, said: str) -> None:
    with pytest.raises(BadPrices) as found:
        read_bytes(data, "feed", NONE)
    assert said in str(found.value)
    assert str(found.value).startswith("feed")


def test_only_the_wanted_auction_counts_and_a_day_with_another_alone_is_refused() -> None:
    document = entsoe_xml(repeats=True)
    assert 0.999 not in {row.per_kwh for row in read_bytes(document, "a44", NONE)}
    with pytest.raises(BadPrices, match="2 series of another auction"):
        read_bytes(document, "a44", PriceSettings(sequence=3))
    acknowledged = (
        b"<Acknowledgement_MarketDocument><Reason><text>No matching data"
        b" found</text></Reason></Acknowledgement_MarketDocument>"
    )
    with pytest.raises(BadPrices, match="No matching data found"):
        read_bytes(acknowledged, "a44", NONE)


def test_a_later_edition_replaces_an_earlier_one() -> None:
    times = '"deliveryStart": "2026-01-01T00:00Z", "deliveryEnd": "2026-01-01T01:00Z"'
    first, second = (f'{{{times}, "entryPerArea": {{"NL": {price}}}}}' for price in (1, 2))
    document = f'{{"version": 1, "currency": "EUR", "multiAreaEntries": [{first}, {second}]}}'
    assert [row.per_kwh for row in read_bytes(document.encode(), "np", NONE)] == [0.002]


def test_one_row_of_xml_made_json_is_an_object() -> None:
    document = iso_ne().decode()
    one = document[: document.index("}, {")].replace("[{", "{") + "}}}"
    assert len(read_bytes(one.encode(), "ne", NONE)) == 1


def test_a_node_among_several_must_be_named() -> None:
    text = oasis()
    assert len(read_bytes(text, "caiso", PriceSettings(zone="TH_NP15_GEN-APND"))) == len(PER_MWH)
    with pytest.raises(BadPrices, match="no LMP rows of node OTHER"):
        read_bytes(text, "caiso", PriceSettings(zone="OTHER"))


DOCUMENTS = (plain_csv(), entsoe_xml(), energy_charts(), iso_ne(), oasis())


@given(st.binary(max_size=300), st.sampled_from(DOCUMENTS), st.integers(0, 2_000), st.booleans())
def test_whatever_stands_in_a_document_is_rows_or_a_reason(
    noise: bytes, document: bytes, at_octet: int, alone: bool
) -> None:
    changed = noise if alone else document[:at_octet] + noise[:4] + document[at_octet + len(noise[:4]) :]
    try:
        rows = read_bytes(changed, "any", NONE)
    except BadPrices:
        return
    assert all(row.start_wall_s < row.end_wall_s for row in rows)
