"""Numbers by outlet and day, and by stay, from which anomalies are told."""

from collections.abc import Iterable, Set
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from v2g_edge.study.ledger.lines import INTERVAL_S, Line, Stay

HOUR_S = 3_600.0


class Value(NamedTuple):
    """One number: of whom, what, when. ``group`` is what it may be compared with: days alike."""

    subject: str
    feature: str
    day: date
    group: str
    value: float


def local_day(wall_s: float, zone: ZoneInfo) -> date:
    """The local day of a time."""
    return datetime.fromtimestamp(wall_s, UTC).astimezone(zone).date()


def cut_days(spans: Iterable[tuple[float, float]], zone: ZoneInfo) -> set[date]:
    """Local days of which an hour or more is not recorded: their sums say nothing."""
    found = set[date]()
    for from_s, until_s in spans:
        day, last = local_day(from_s, zone), local_day(until_s - 1.0, zone)
        while until_s - from_s >= HOUR_S and day <= last:
            found.add(day)
            day += timedelta(days=1)
    return found


def outlet_values(
    lines: Iterable[Line], outlets: Iterable[str], zone: ZoneInfo, cut: Set[date] = frozenset()
) -> list[Value]:
    """Net energy, energy out, standby draw, highest power and number of sessions by outlet and local day;
    none of the days in ``cut``.
    """
    known = set(outlets)
    days: dict[tuple[str, date], _Day] = {}
    for line in lines:
        if line.meter not in known or line.method == "correction":
            continue
        day = local_day(line.start_wall_s, zone)
        if day not in cut:
            days.setdefault((line.meter, day), _Day()).add(line)
    found = []
    for (outlet, day), sums in sorted(days.items()):
        found += [Value(outlet, name, day, _kind(day), value) for name, value in sums.values().items()]
    return found


class _Day:
    """Sums of an outlet's day."""

    def __init__(self) -> None:
        self.in_wh = self.out_wh = self.idle_wh = 0.0
        self.sessions: set[str] = set()
        self.slots: dict[float, float] = {}
        self.busy: set[float] = set()

    def add(self, line: Line) -> None:
        if line.session:
            self.in_wh += line.in_wh
            self.out_wh += line.out_wh
            self.sessions.add(line.session)
            self.busy.add(line.start_wall_s)
            self.slots[line.start_wall_s] = self.slots.get(line.start_wall_s, 0.0) + line.in_wh
        else:
            self.idle_wh += line.in_wh

    def values(self) -> dict[str, float]:
        idle_h = max(24.0 - len(self.busy) * INTERVAL_S / HOUR_S, 1.0)
        found = {
            "energy_in": (self.in_wh - self.out_wh) / 1e3,
            "energy_out": self.out_wh / 1e3,
            "standby_w": self.idle_wh / idle_h,
            "sessions": float(len(self.sessions)),
        }
        if self.in_wh > 5_000.0:
            found["peak_kw"] = max(self.slots.values()) / 1e3 / (INTERVAL_S / HOUR_S)
        return found


def stay_values(stays: Iterable[Stay], zone: ZoneInfo) -> list[Value]:
    """Duration, hours of arrival and leaving, SoC on arrival and leaving, depth, temperature, and energy for
    each percent of SoC, by vehicle.
    """
    found = []
    for stay in stays:
        if not stay.vehicle:
            continue
        arrived = datetime.fromtimestamp(stay.arrived_wall_s, UTC).astimezone(zone)
        for name, value in _numbers(stay, arrived, zone):
            found.append(Value(stay.vehicle, name, arrived.date(), _alike(name, arrived.date()), value))
    return found


def _numbers(stay: Stay, arrived: datetime, zone: ZoneInfo) -> Iterable[tuple[str, float]]:
    yield "arrives_h", _hour(arrived)
    if stay.first_pct is not None:
        yield "arrives_pct", stay.first_pct
    if stay.warmest_c is not None:
        yield "pack_c", stay.warmest_c
    yield "depth_pct", stay.deepest_pct
    if stay.left_wall_s is None:
        return
    yield "stays_h", (stay.left_wall_s - stay.arrived_wall_s) / HOUR_S
    yield "leaves_h", _hour(datetime.fromtimestamp(stay.left_wall_s, UTC).astimezone(zone))
    if stay.last_pct is None or stay.first_pct is None:
        return
    yield "leaves_pct", stay.last_pct
    gained = stay.last_pct - stay.first_pct
    if gained >= 10.0 and stay.out_wh < 0.1 * stay.in_wh:
        yield "kwh_per_pct", (stay.in_wh - stay.out_wh) / 1e3 / gained


def _hour(moment: datetime) -> float:
    """Hours since noon: a night does not break at midnight."""
    return (moment.hour + moment.minute / 60.0 - 12.0) % 24.0


def _kind(day: date) -> str:
    return "work" if day.weekday() < 5 else "weekend"


def _alike(feature: str, day: date) -> str:
    """Which stays a number is compared with: a pack's with all, an end by the day that follows (a vehicle
    that comes on a Friday stays for the weekend), any other by the day of arrival.
    """
    if feature in {"kwh_per_pct", "pack_c"}:
        return "all"
    return (
        f"{_kind(day)}-{_kind(day + timedelta(days=1))}" if feature in {"stays_h", "leaves_h"} else _kind(day)
    )
