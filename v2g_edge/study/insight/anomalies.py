"""Anomalies: numbers far from what the same outlet or vehicle shows on days alike in the same season, and
things that need no baseline.

A baseline is the median of the next fifteen days alike on either side, within two months, its width their
median deviation, never narrower than what the number varies by nature. Only what is many widths off, and by
enough to matter, and rare in those two months, counts.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from v2g_edge.study.insight.features import Value, local_day
from v2g_edge.study.ledger.lines import Remark, Stay, VehicleAccount

Severity = Literal["info", "warning", "alarm"]
SEASON_DAYS: Final = 60
NEAR_DAYS: Final = 15
"""So many days alike on either side make the baseline: a season's own course is not its width."""
LEAST_DAYS: Final = 15
"""Fewer days alike are no baseline: what happens one Friday in eight would look rare."""
MAD: Final = 1.4826
"""Median deviation to standard deviation of a normal distribution."""
LIMIT: Final = 8.0
"""Widths. At 6,000 numbers an outlet and year a normal tail would allow 4; what depots do is not normal."""
COMMON: Final = 0.04
"""What more than one day in 25 reaches is nothing rare."""
DAYS_APART: Final = 2
"""The same kind at the same subject within two days is one finding."""


class Rule(NamedTuple):
    """A feature: its kind when high and low ("" where that is nothing), least width, least difference."""

    high: str
    low: str
    width: float
    least: float
    severity: Severity
    unit: str


HOURS_UNIT: Final = "h after noon"
RULES: Final[dict[str, Rule]] = {
    "energy_in": Rule("charged_much", "charged_little", 6.0, 40.0, "warning", "kWh"),
    "energy_out": Rule("gave_much", "gave_little", 6.0, 40.0, "warning", "kWh"),
    "standby_w": Rule("standby_high", "", 6.0, 40.0, "warning", "W"),
    "sessions": Rule("sessions_many", "", 0.6, 4.0, "warning", "sessions"),
    "arrives_h": Rule("arrived_late", "arrived_early", 0.5, 3.5, "info", HOURS_UNIT),
    "leaves_h": Rule("left_late", "left_early", 0.5, 3.0, "warning", HOURS_UNIT),
    "stays_h": Rule("stayed_long", "stayed_short", 0.8, 6.0, "info", "h"),
    "arrives_pct": Rule("", "arrived_empty", 2.5, 22.0, "warning", "%"),
    "leaves_pct": Rule("", "left_short", 1.5, 12.0, "alarm", "%"),
    "depth_pct": Rule("cycled_deep", "", 1.5, 15.0, "warning", "%"),
    "pack_c": Rule("pack_hot", "pack_cold", 1.5, 11.0, "alarm", "°C"),
    "kwh_per_pct": Rule("energy_lost", "capacity_faded", 0.03, 0.25, "warning", "kWh/%"),
}
FROM_REMARKS: Final[dict[str, tuple[str, Severity]]] = {
    "exchange": ("meter_exchanged", "warning"), "jump": ("meter_leapt", "alarm"),
    "rollover": ("meter_rolled_over", "info"), "no_soc": ("soc_not_told", "warning"),
    "clock_step": ("clock_set", "warning"), "over_permit": ("permit_exceeded", "alarm"),
    "under_permit": ("power_low", "alarm"),
}  # fmt: skip
RATING_SHARE: Final = 1.1
"""A quarter hour above the rating by more than meters err and ratings are rounded."""
SOH_DROP_PCT: Final = 5.0
DEAD_STAY_S: Final = 4 * 3_600.0
DEAD_PCT: Final = 15.0
DEAD_WH: Final = 500.0


class Anomaly(Struct, frozen=True):
    """A finding.

    Attributes:
        kind: Stable identifier: an entry of the playbook in ``energy-manager.md``.
        severity: How soon somebody should look.
        subject: The outlet or vehicle.
        day: First local day.
        days: How many days it was seen on.
        value: The number furthest off; None where there is no number.
        expected: The baseline of that day.
        widths: How many widths it is off.
        evidence: All of it in words.
    """

    kind: str
    severity: Severity
    subject: str
    day: date
    days: int
    value: float | None
    expected: float | None
    widths: float | None
    evidence: str


def anomalies_of(
    values: Sequence[Value],
    stays: Iterable[Stay],
    remarks: Iterable[Remark],
    accounts: Iterable[VehicleAccount],
    zone: ZoneInfo,
    ratings_kw: Mapping[str, float],
) -> list[Anomaly]:
    """All findings, the newest last; neighbours of one kind as one. ``ratings_kw`` by outlet."""
    found = _unlike(values) + list(_above_rating(values, ratings_kw))
    found += [each for stay in stays for each in _plain(stay, zone)]
    for remark in remarks:
        known = FROM_REMARKS.get(remark.kind)
        if known is not None:
            found.append(
                Anomaly(
                    *known, remark.subject, local_day(remark.wall_s, zone), 1, None, None, None, remark.text
                )
            )
    found += [each for account in accounts for each in _aged(account, zone)]
    return _joined(found)


def _above_rating(values: Iterable[Value], ratings_kw: Mapping[str, float]) -> Iterator[Anomaly]:
    for each in values:
        rating_kw = ratings_kw.get(each.subject, math.inf)
        if each.feature == "peak_kw" and each.value > RATING_SHARE * rating_kw:
            text = f"{each.value:.1f} kW over a quarter hour, the outlet is rated at {rating_kw:.1f} kW"
            yield Anomaly("power_high", "alarm", each.subject, each.day, 1, each.value, rating_kw, None, text)


def _unlike(values: Sequence[Value]) -> list[Anomaly]:
    series: dict[tuple[str, str, str], list[Value]] = {}
    for value in values:
        series.setdefault((value.subject, value.feature, value.group), []).append(value)
    found = []
    for (_, feature, _), mine in series.items():
        rule = RULES.get(feature)
        if rule is not None and len(mine) > LEAST_DAYS:
            found += _off(mine, rule)
    return found


def _off(mine: list[Value], rule: Rule) -> list[Anomaly]:
    mine = sorted(mine, key=lambda each: each.day)
    found = []
    for n, (each, season) in enumerate(_windows(mine)):
        near = sorted(other.value for other in _near(mine, n))
        middle = _median(near)
        off = _apart(each.value, middle, rule)
        kind = rule.high if off > 0.0 else rule.low
        if len(near) < LEAST_DAYS or not kind or abs(off) < rule.least:
            continue
        width = max(MAD * _median(sorted(abs(_apart(value, middle, rule)) for value in near)), rule.width)
        # Some depots do two things by turns (give or not): what is one of them is not unlike the season.
        edge = middle + off - math.copysign(rule.least / 4.0, off)
        beyond = len(season) - bisect_left(season, edge) if off > 0.0 else bisect_right(season, edge)
        if abs(off) < LIMIT * width or beyond > COMMON * len(season):
            continue
        text = (
            f"{each.value:.4g} {rule.unit}, {middle:.4g} on {len(near)} days alike ({abs(off) / width:.0f}"
            f" widths of {width:.2g})"
        )
        found.append(
            Anomaly(kind, rule.severity, each.subject, each.day, 1, each.value, middle, off / width, text)
        )
    return found


def _near(mine: list[Value], n: int) -> list[Value]:
    """The days alike next to a day, as many on either side, none beyond the season."""
    season, day = timedelta(days=SEASON_DAYS), mine[n].day
    beside = (*mine[max(n - NEAR_DAYS, 0) : n], *mine[n + 1 : n + 1 + NEAR_DAYS])
    return [each for each in beside if abs(each.day - day) <= season]


def _apart(value: float, middle: float, rule: Rule) -> float:
    """How far a value is off; hours of the day go round."""
    off = value - middle
    return (off + 12.0) % 24.0 - 12.0 if rule.unit == HOURS_UNIT else off


def _windows(mine: list[Value]) -> Iterator[tuple[Value, list[float]]]:
    """Each value with those of the season about it, sorted, without itself. The list is good for one step."""
    season = timedelta(days=SEASON_DAYS)
    alike: list[float] = []
    first = end = 0
    for each in mine:
        while end < len(mine) and mine[end].day - each.day <= season:
            insort(alike, mine[end].value)
            end += 1
        while each.day - mine[first].day > season:
            del alike[bisect_left(alike, mine[first].value)]
            first += 1
        place = bisect_left(alike, each.value)
        del alike[place]
        yield each, alike
        alike.insert(place, each.value)


def _median(ranked: Sequence[float]) -> float:
    """The middle of a sorted list; 0 of none."""
    if not ranked:
        return 0.0
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2.0


def _plain(stay: Stay, zone: ZoneInfo) -> Iterable[Anomaly]:
    """What needs no baseline: a stay of hours in which a vehicle that was to be charged was not."""
    if stay.left_wall_s is None or stay.left_wall_s - stay.arrived_wall_s < DEAD_STAY_S:
        return
    lacked = stay.target_pct is not None and stay.last_pct is not None and stay.target_pct - stay.last_pct
    if lacked and lacked > DEAD_PCT and stay.in_wh < DEAD_WH:
        hours = (stay.left_wall_s - stay.arrived_wall_s) / 3_600.0
        text = f"{hours:.1f} h plugged in, {stay.in_wh / 1e3:.2f} kWh, {lacked:.0f} % below its target"
        subject = stay.vehicle or stay.meter
        yield Anomaly(
            "not_charged", "alarm", subject, local_day(stay.arrived_wall_s, zone), 1, None, None, None, text
        )


def _aged(account: VehicleAccount, zone: ZoneInfo) -> Iterable[Anomaly]:
    first, last = account.first_soh_pct, account.soh_pct
    if first is not None and last is not None and first - last >= SOH_DROP_PCT:
        text = f"state of health told as {first:.0f} %, now {last:.0f} %"
        yield Anomaly(
            "soh_fell",
            "warning",
            account.vehicle,
            local_day(account.last_wall_s, zone),
            1,
            last,
            first,
            None,
            text,
        )


def _joined(found: list[Anomaly]) -> list[Anomaly]:
    joined: list[Anomaly] = []
    open_: dict[tuple[str, str], tuple[int, date]] = {}
    for each in sorted(found, key=lambda a: (a.day, a.subject, a.kind)):
        key = (each.subject, each.kind)
        place, last = open_.get(key, (-1, date.min))
        if place >= 0 and each.day - last <= timedelta(days=DAYS_APART):
            old = joined[place]
            worse = each if abs(each.widths or 0.0) > abs(old.widths or 0.0) else old
            joined[place] = Anomaly(
                old.kind, old.severity, old.subject, old.day, old.days + (each.day != last), worse.value,
                worse.expected, worse.widths, worse.evidence,
            )  # fmt: skip
        else:
            place = len(joined)
            joined.append(each)
        open_[key] = (place, each.day)
    return joined
