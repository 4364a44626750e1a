"""Four depots for a week each: what they are made of, who comes and goes, and when prices become known."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace

from sim.scenarios.visit import Visit
from tests.depot import small_evse, small_site
from tests.planner.depots import prices as quarter_prices
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Price
from v2g_edge.model.site import CurvePoint, Feeder, Site, Vehicle, VehicleType

ZONES: Final = {"NL_2023": ZoneInfo("Europe/Amsterdam"), "US-CAL-CISO_2023": ZoneInfo("America/Los_Angeles")}
MONDAYS: Final = (
    ("NL_2023", "2023-01-16"),
    ("NL_2023", "2023-03-20"),
    ("NL_2023", "2023-05-22"),
    ("NL_2023", "2023-10-23"),
    ("NL_2023", "2023-12-04"),
    ("US-CAL-CISO_2023", "2023-02-13"),
    ("US-CAL-CISO_2023", "2023-07-17"),
    ("US-CAL-CISO_2023", "2023-10-02"),
)
"""Market and first day of each week; the second and the fourth end with the days of 23 and of 25 hours."""
DAYS: Final = 7
LEAVE_H: Final = 7.0
"""All leave with the same charge at the end, so that no policy keeps more energy than another."""
NO_CAP_PCT: Final = 1_000.0
"""Depth is a matter of wear's price here: a cap on a weekend's stay would be a budget that only foresight can
spend well.
"""
PUBLISHED_H: Final = 13
"""The day-ahead market tells tomorrow's prices at 13:00 local."""


@dataclass(frozen=True, slots=True)
class Trip:
    """Out at ``out_h``, back at ``back_h`` (local hours), each up to ``spread_h`` earlier or later; uses
    ``low_pct`` to ``high_pct`` of the battery.
    """

    out_h: float
    back_h: float
    spread_h: float
    low_pct: float
    high_pct: float


@dataclass(frozen=True, slots=True)
class Preset:
    """``tight``: the feeder's share of its chargers' sum. ``weekend``: how probably a vehicle drives on a day
    of the weekend.
    """

    name: str
    count: int
    capacity_kwh: float
    charger_kw: float
    tight: float
    trips: tuple[Trip, ...]
    weekend: float
    target_pct: float = 90.0


SCHOOL: Final = (Trip(6.5, 8.75, 0.4, 15.0, 30.0), Trip(14.25, 16.75, 0.4, 15.0, 30.0))
PRESETS: Final = (
    Preset("vans", 12, 75.0, 22.0, 0.8, (Trip(7.5, 17.0, 1.0, 35.0, 60.0),), 0.2),
    Preset("school buses", 8, 200.0, 60.0, 0.7, SCHOOL, 0.0),
    Preset("transit buses", 10, 350.0, 100.0, 0.6, (Trip(5.5, 20.5, 1.5, 40.0, 65.0),), 0.7),
    Preset("tight transformer", 10, 280.0, 100.0, 0.3, (Trip(6.0, 18.0, 1.2, 35.0, 55.0),), 0.4),
)


@dataclass(frozen=True, slots=True)
class Week:
    """One depot's week, from Monday's midnight (local) to the next Monday at seven, when all leave.

    ``prices`` go a day beyond it.
    """

    name: str
    zone: ZoneInfo
    site: Site
    visits: tuple[Visit, ...]
    prices: tuple[Price, ...]
    start_wall_s: float
    end_wall_s: float

    def known(self, wall_s: float) -> tuple[Price, ...]:
        """The prices that the market has told by then."""
        now = datetime.fromtimestamp(wall_s, UTC).astimezone(self.zone)
        until_s = at(now.date() + timedelta(days=2 if now.hour >= PUBLISHED_H else 1), 0.0, self.zone)
        return tuple(price for price in self.prices if price.start_wall_s < until_s)


def at(day: date, hour: float, zone: ZoneInfo) -> float:
    """UTC epoch seconds of a local hour."""
    naive = datetime(day.year, day.month, day.day) + timedelta(hours=hour)  # noqa: DTZ001 - made local below
    return naive.replace(tzinfo=zone).timestamp()


def week_of(preset: Preset, seed: int, days: int = DAYS) -> Week:
    """Week ``seed`` (0-7) of a preset, the same each time it is made."""
    market, monday = MONDAYS[seed % len(MONDAYS)]
    rng = np.random.default_rng([seed, [each.name for each in PRESETS].index(preset.name)])
    first, zone = date.fromisoformat(monday), ZONES[market]
    site = site_of(preset, zone)
    visits = [
        visit
        for evse, vehicle in zip(site.evses, site.vehicles, strict=True)
        for visit in _stays(preset, rng, evse.id, vehicle.id, first, days, zone)
    ]
    start_s, end_s = at(first, 0.0, zone), at(first + timedelta(days=days), LEAVE_H, zone)
    quarters = quarter_prices(str(first - timedelta(days=1)), 96 * (days + 4), market)
    from_s = float(np.datetime64(f"{first - timedelta(days=1)}T12:00:00").astype("datetime64[s]").astype(int))
    prices = tuple(Price(from_s + 900.0 * n, float(value)) for n, value in enumerate(quarters) if n % 4 == 0)
    visits.sort(key=lambda visit: (visit.arrives_wall_s, visit.evse))
    return Week(f"{preset.name}, {market} {monday}", zone, site, tuple(visits), prices, start_s, end_s)


def site_of(preset: Preset, zone: ZoneInfo) -> Site:
    """Chargers of one rating on a feeder of their own; the building stands above it."""
    watts = preset.charger_kw * 1e3
    kind = VehicleType(
        id="vehicle",
        capacity_wh=preset.capacity_kwh * 1e3,
        min_soc_pct=15.0,
        max_soc_pct=100.0,
        charge_curve=(CurvePoint(0, 1.5 * watts), CurvePoint(80, 1.5 * watts), CurvePoint(100, 0.4 * watts)),
        max_discharge_w=watts,
        depth_per_event_pct=NO_CAP_PCT,
        depth_per_day_pct=NO_CAP_PCT,
        pack_min_c=-20.0,
        pack_max_c=60.0,
        derate_from_c=50.0,
        soh_floor_pct=0.0,
        warranty_discharge_wh=ANY_W,
        warranty_discharge_h=ANY_W,
        warranty_efc=ANY_W,
    )
    all_w = preset.count * watts
    yard_w, base_w = preset.tight * all_w, 0.05 * all_w
    feeders = (
        Feeder("yard", "main", yard_w, yard_w, 0.0, 0.0, ""),
        Feeder("main", "", yard_w + 2.0 * base_w, yard_w, base_w, base_w, "grid"),
    )
    charger = small_evse(
        "", "yard", max_charge_w=watts, max_discharge_w=watts, min_charge_w=4_140.0, min_discharge_w=1_000.0
    )
    ids = range(1, preset.count + 1)
    return replace(
        small_site(),
        name=preset.name,
        timezone=str(zone),
        feeders=feeders,
        evses=tuple(replace(charger, id=f"E{n:02}") for n in ids),
        vehicle_types=(kind,),
        vehicles=tuple(Vehicle(f"V{n:02}", "vehicle", may_discharge=True) for n in ids),
    )


def _stays(
    preset: Preset, rng: np.random.Generator, evse: str, vehicle: str, first: date, days: int, zone: ZoneInfo
) -> list[Visit]:
    """One vehicle's stays: from home on, between its trips, and to the week's end."""
    stays: list[Visit] = []
    home_s, soc_pct, used_pct = at(first, 0.0, zone), float(rng.uniform(40.0, 70.0)), 0.0
    for n in range(days):
        day = first + timedelta(days=n)
        drives = day.weekday() < 5 or rng.random() < preset.weekend
        for trip in preset.trips:
            shifts, use_pct = (
                rng.uniform(-trip.spread_h, trip.spread_h, 2),
                rng.uniform(trip.low_pct, trip.high_pct),
            )
            if not drives:
                continue
            leaves_s = _quarter(at(day, trip.out_h + shifts[0], zone))
            stays.append(_stay(preset, evse, vehicle, (home_s, leaves_s), soc_pct, used_pct, first=not stays))
            home_s, used_pct = _quarter(at(day, trip.back_h + shifts[1], zone)), float(use_pct)
    end_s = at(first + timedelta(days=days), LEAVE_H, zone)
    stays.append(_stay(preset, evse, vehicle, (home_s, end_s), soc_pct, used_pct, first=not stays))
    return stays


def _stay(
    preset: Preset,
    evse: str,
    vehicle: str,
    span: tuple[float, float],
    soc_pct: float,
    used_pct: float,
    *,
    first: bool,
) -> Visit:
    if first:
        return Visit(evse, vehicle, *span, preset.target_pct, soc_pct)
    return Visit(evse, vehicle, *span, preset.target_pct, route_pct=(-used_pct,))


def _quarter(wall_s: float) -> float:
    """On the quarter hour: what a meter's interval shows is then one vehicle's."""
    return float(round(wall_s / 900.0) * 900)
