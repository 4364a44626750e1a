"""One day of prices in the shapes in which markets publish them: documents of our own making, after the
public formats.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

DAY: Final = datetime(2026, 3, 28, 23, tzinfo=UTC)
"""The local day of 29 March 2026 in Brussels, of 23 hours."""
PER_MWH: Final = tuple(round(60.0 + 55.0 * ((h * 7) % 11 - 5) / 5.0, 2) for h in range(23))
"""23 hourly prices from 5 to 115, none equal to the one before."""
BRUSSELS: Final = ZoneInfo("Europe/Brussels")


def hours() -> list[tuple[datetime, datetime, float]]:
    """(start, end, price per MWh) of each hour."""
    return [
        (DAY + timedelta(hours=h), DAY + timedelta(hours=h + 1), price) for h, price in enumerate(PER_MWH)
    ]


def _z(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def plain_csv() -> bytes:
    """Our own form: UTC hour and price per MWh."""
    return (
        "Datetime,Price (EUR/MWh)\n" + "".join(f"{a:%Y-%m-%d %H:%M:%S},{p}\n" for a, _, p in hours())
    ).encode()


def kwh_csv() -> bytes:
    """Per kWh, with offsets."""
    return (
        "time,price EUR/kWh\n" + "".join(f"{a.isoformat()},{p / 1000:.5f}\n" for a, _, p in hours())
    ).encode()


def transparency_csv() -> bytes:
    """The CSV export of the Transparency Platform: quoted, an interval of local time in one cell."""
    lines = ['"MTU (CET/CEST)","Day-ahead Price [EUR/MWh]","Currency","BZN|NL"']
    for a, b, p in hours():
        start, end = a.astimezone(BRUSSELS), b.astimezone(BRUSSELS)
        lines.append(f'"{start:%d.%m.%Y %H:%M} - {end:%d.%m.%Y %H:%M}","{p}","EUR",""')
    return "\n".join(lines).encode()


def smard_csv() -> bytes:
    """SMARD: semicolons, decimal commas, German local time from and until."""
    lines = ["Datum von;Datum bis;Deutschland/Luxemburg [€/MWh] Berechnete Auflösungen"]
    for a, b, p in hours():
        start, end = a.astimezone(BRUSSELS), b.astimezone(BRUSSELS)
        lines.append(f"{start:%d.%m.%Y %H:%M};{end:%d.%m.%Y %H:%M};{str(p).replace('.', ',')}")
    return "﻿".encode() + "\n".join(lines).encode()


def entsoe_xml(*, repeats: bool = False) -> bytes:
    """A44 with quarter hours; ``repeats`` leaves out equal positions (curve type A03), and adds another
    auction.
    """
    points = [
        f"<Point><position>{4 * h + quarter + 1}</position><price.amount>{p}</price.amount></Point>"
        for h, p in enumerate(PER_MWH)
        for quarter in range(1 if repeats else 4)
    ]
    end = DAY + timedelta(hours=23)

    def series(sequence: int, body: str) -> str:
        name = "classificationSequence_AttributeInstanceComponent.position"
        return (
            f"<TimeSeries><{name}>{sequence}</{name}><currency_Unit.name>EUR</currency_Unit.name>"
            "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
            f"<curveType>{'A03' if repeats else 'A01'}</curveType>"
            f"<Period><timeInterval><start>{DAY:%Y-%m-%dT%H:%MZ}</start><end>{end:%Y-%m-%dT%H:%MZ}</end></timeInterval>"
            f"<resolution>PT15M</resolution>{body}</Period></TimeSeries>"
        )

    other = (
        series(2, "<Point><position>1</position><price.amount>999</price.amount></Point>") if repeats else ""
    )
    space = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
    created = "<createdDateTime>2026-03-28T12:57:00Z</createdDateTime>"
    text = (
        '<?xml version="1.0"?><Publication_MarketDocument'
        f' xmlns="{space}">{created}{other}{series(1, "".join(points))}'
    )
    return f"{text}</Publication_MarketDocument>".encode()


def energy_charts() -> bytes:
    """``/price`` of Energy-Charts."""
    starts = [int(a.timestamp()) for a, _, _ in hours()]
    return json.dumps(
        {"unix_seconds": starts, "price": list(PER_MWH), "unit": "EUR / MWh", "deprecated": False}
    ).encode()


def nord_pool() -> bytes:
    """``DayAheadPrices`` of Nord Pool's data portal."""
    entries = [
        {"deliveryStart": _z(a), "deliveryEnd": _z(b), "entryPerArea": {"NL": p}} for a, b, p in hours()
    ]
    head = {"version": 3, "updatedAt": "2026-03-28T11:55:00Z", "currency": "EUR", "market": "DayAhead"}
    return json.dumps(head | {"multiAreaEntries": entries}).encode()


def awattar() -> bytes:
    """``/v1/marketdata`` of aWATTar."""
    data = [
        {
            "start_timestamp": int(a.timestamp() * 1e3),
            "end_timestamp": int(b.timestamp() * 1e3),
            "marketprice": p,
            "unit": "Eur/MWh",
        }
        for a, b, p in hours()
    ]
    return json.dumps({"object": "list", "data": data}).encode()


def octopus() -> bytes:
    """Unit rates of Octopus, pence per kWh, newest first, half hours."""
    results = []
    for a, b, p in hours():
        middle = a + timedelta(minutes=30)
        for start, end in ((a, middle), (middle, b)):
            pence = round(p / 10, 4)
            results.append(
                {"value_exc_vat": pence, "value_inc_vat": pence, "valid_from": _z(start), "valid_to": _z(end)}
            )
    return json.dumps({"count": 46, "next": None, "results": results[::-1]}).encode()


def iso_ne() -> bytes:
    """Hourly LMP of ISO New England, times with offset."""
    zone = ZoneInfo("America/New_York")
    rows: list[dict[str, Any]] = [
        {
            "BeginDate": a.astimezone(zone).isoformat(timespec="milliseconds"),
            "Location": {"@LocId": "4000", "$": ".H.HUB"},
            "LmpTotal": p,
        }
        for a, _, p in hours()
    ]
    return json.dumps({"HourlyLmps": {"HourlyLmp": rows}}).encode()


def pjm() -> bytes:
    """``da_hrl_lmps`` of PJM's Data Miner 2, with a row that is not current."""
    items: list[dict[str, Any]] = [
        {
            "datetime_beginning_utc": f"{a:%Y-%m-%dT%H:%M:%S}",
            "pnode_id": 51217,
            "total_lmp_da": p,
            "row_is_current": True,
            "version_nbr": 1,
        }
        for a, _, p in hours()
    ]
    return json.dumps([{**items[0], "total_lmp_da": 9_999.0, "row_is_current": False}, *items]).encode()


def oasis() -> bytes:
    """A zip of PRC_LMP from CAISO OASIS, all components."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["INTERVALSTARTTIME_GMT", "INTERVALENDTIME_GMT", "NODE", "LMP_TYPE", "MW"])
    for a, b, p in hours():
        for kind, value in (("LMP", p), ("MCC", 1.0), ("MCE", p - 1.5), ("MCL", 0.5)):
            writer.writerow([a.isoformat(), b.isoformat(), "TH_NP15_GEN-APND", kind, value])
    return packed(out.getvalue())


def packed(text: str) -> bytes:
    """A zip of one CSV."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        archive.writestr("prices.csv", text)
    return octets.getvalue()


SHAPES: Final[dict[str, Callable[[], bytes]]] = {
    "kwh.csv": kwh_csv,
    "transparency.csv": transparency_csv,
    "smard.csv": smard_csv,
    "a44.xml": entsoe_xml,
    "a44-a03.xml": lambda: entsoe_xml(repeats=True),
    "energy-charts.json": energy_charts,
    "nord-pool.json": nord_pool,
    "awattar.json": awattar,
    "octopus.json": octopus,
    "iso-ne.json": iso_ne,
    "pjm.json": pjm,
    "oasis.zip": oasis,
}
"""Each shape under a file name."""
