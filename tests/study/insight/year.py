"""A simulated year of a depot's ledger, drawn from a seed: winter takes more, weekends differ, buses are late
now and then. ``fault`` puts one thing wrong.
"""

import math
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from v2g_edge.study.insight.anomalies import Anomaly, anomalies_of
from v2g_edge.study.insight.features import outlet_values, stay_values
from v2g_edge.study.ledger.lines import Line, Remark, Stay, VehicleAccount

ZONE = ZoneInfo("Europe/Amsterdam")
FIRST = date(2026, 1, 1)
DAYS = 365
CAPACITY_WH = 300_000.0
POWER_KW = 60.0

Night = dict[str, float]
Fault = Callable[[Night], None]


def plain_night(dice: random.Random, day: date) -> Night:
    """One night of one bus; hours since noon of ``day``."""
    winter = math.cos((day.timetuple().tm_yday - 15) / 365.0 * 2.0 * math.pi)
    work = day.weekday() < 5
    lag = dice.expovariate(1 / 0.25) if dice.random() < 0.3 else 0.0
    return {
        "arrives": 5.0 + dice.gauss(0.0, 0.3) + min(lag, 1.5),
        "leaves": 17.5 + dice.gauss(0.0, 0.25),
        "first": 52.0 - 6.0 * winter + dice.gauss(0.0, 3.5) + (0.0 if work else 8.0),
        "last": 90.0 + dice.gauss(0.0, 0.8),
        "gives": 60.0 + 10.0 * winter + dice.gauss(0.0, 5.0),
        "depth": 22.0 + dice.gauss(0.0, 1.5),
        "pack": 18.0 - 7.0 * winter + dice.gauss(0.0, 1.5),
        "loss": 0.09 + dice.gauss(0.0, 0.004),
        "idle": 35.0 + 6.0 * winter + dice.gauss(0.0, 2.0),
        "peak": POWER_KW + dice.gauss(0.0, 0.4),
        "sessions": 1.0, "told": 1.0, "pure": 1.0 if dice.random() < 0.4 else 0.0,
    }  # fmt: skip


def year(
    seed: int,
    chargers: int = 4,
    faults: dict[tuple[int, int], Fault] | None = None,
    remarks: list[Remark] | None = None,
    accounts: list[VehicleAccount] | None = None,
) -> list[Anomaly]:
    """The findings of a year; ``faults`` by (charger, day of the year)."""
    lines: list[Line] = []
    stays: list[Stay] = []
    for charger in range(chargers):
        dice = random.Random(f"{seed} {charger}")
        for n in range(DAYS):
            day = FIRST + timedelta(days=n)
            night = plain_night(dice, day)
            if faults and (charger, n) in faults:
                faults[charger, n](night)
            _lay(night, charger, day, lines, stays)
    ratings_kw = {f"E{n}": POWER_KW for n in range(chargers)}
    values = outlet_values(lines, {f"E{n}" for n in range(chargers)}, ZONE) + stay_values(stays, ZONE)
    return anomalies_of(values, stays, remarks or [], accounts or [], ZONE, ratings_kw)


def _lay(night: Night, charger: int, day: date, lines: list[Line], stays: list[Stay]) -> None:
    noon_s = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE).timestamp()
    outlet, bus, session = f"E{charger}", f"BUS{charger}", f"{charger} {day}"
    begin_s, end_s = noon_s + 3_600.0 * night["arrives"], noon_s + 3_600.0 * night["leaves"]
    gives_kwh = 0.0 if night["pure"] else max(night["gives"], 0.0)
    stored_kwh = (night["last"] - night["first"]) / 100.0 * CAPACITY_WH / 1e3
    in_kwh = max(stored_kwh * (1.0 + night["loss"]) + gives_kwh * 1.12, 0.0) * night.get("flows", 1.0)
    start_s = begin_s - begin_s % 900.0 + 900.0
    left = in_kwh
    while left > 0.0:
        part = min(left, night["peak"] / 4.0)
        lines.append(Line(start_s, outlet, session, bus, "plan", "register", part * 1e3, 0.0, 0.0))
        left, start_s = left - part, start_s + 900.0
    lines.append(Line(start_s, outlet, session, bus, "plan", "register", 0.0, gives_kwh * 1e3, 3_600.0))
    hours = [noon_s + 3_600.0 * n for n in range(-12, 5)]
    lines += [Line(at_s, outlet, "", "", "plan", "register", night["idle"], 0.0, 0.0) for at_s in hours]
    for n in range(1, int(night["sessions"])):
        brief = f"{session} {n}"
        lines.append(Line(begin_s + 900.0 * n, outlet, brief, bus, "plan", "register", 10.0, 0.0, 0.0))
    stays.append(
        Stay(
            session, outlet, bus, begin_s, end_s, night["first"], night["last"], 88.0, end_s,
            in_kwh * 1e3, gives_kwh * 1e3, night["depth"], capacity_wh=CAPACITY_WH, warmest_c=night["pack"],
        )
    )  # fmt: skip
