"""Anomalies: numbers far from what the same outlet or vehicle shows on days alike in the same season, and
things that need no baseline.

A baseline is the median of the days alike within two months either way, its width their median deviation,
never narrower than what the number varies by nature. Only what is many widths off, and by enough to matter,
counts.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct

from v2g_edge.study.insight.features import Value, local_day
from v2g_edge.study.ledger.lines import Remark, Stay, VehicleAccount

Severity = Literal["info", "warning", "alarm"]
SEASON_DAYS: Final = 60
LEAST_DAYS: Final = 8
"""Fewer days alike are no baseline."""
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


RULES: Final[dict[str, Rule]] = {
    "energy_in": Rule("charged_much", "charged_little", 6.0, 40.0, "warning", "kWh"),
    "energy_out": Rule("gave_much", "gave_little", 6.0, 40.0, "warning", "kWh"),
    "standby_w": Rule("standby_high", "", 6.0, 40.0, "warning", "W"),
    "sessions": Rule("sessions_many", "", 0.6, 4.0, "warning", "sessions"),
    "peak_kw": Rule("power_high", "power_low", 1.2, 8.0, "alarm", "kW"),
    "arrives_h": Rule("arrived_late", "arrived_early", 0.5, 3.5, "info", "h after noon"),
    "leaves_h": Rule("left_late", "left_early", 0.5, 3.0, "warning", "h after noon"),
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
}  # fmt: skip
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
) -> list[Anomaly]:
    """All findings, the newest last; neighbours of one kind as one."""
    found = _unlike(values)
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
    days = np.array([each.day.toordinal() for each in mine])
    numbers = np.array([each.value for each in mine])
    found = []
    for n, each in enumerate(mine):
        alike = numbers[(np.abs(days - days[n]) <= SEASON_DAYS) & (np.arange(len(days)) != n)]
        if len(alike) < LEAST_DAYS:
            continue
        middle = float(np.median(alike))
        width = max(MAD * float(np.median(np.abs(alike - middle))), rule.width)
        off = each.value - middle
        kind = rule.high if off > 0.0 else rule.low
        if not kind or abs(off) < rule.least or abs(off) < LIMIT * width:
            continue
        # Some depots do two things by turns (give or not): what is one of them is not unlike the season.
        beyond = (
            alike >= each.value - rule.least / 4.0 if off > 0.0 else alike <= each.value + rule.least / 4.0
        )
        if float(np.mean(beyond)) > COMMON:
            continue
        text = (
            f"{each.value:.4g} {rule.unit}, {middle:.4g} on {len(alike)} days alike ({abs(off) / width:.0f}"
            f" widths of {width:.2g})"
        )
        found.append(
            Anomaly(kind, rule.severity, each.subject, each.day, 1, each.value, middle, off / width, text)
        )
    return found


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
