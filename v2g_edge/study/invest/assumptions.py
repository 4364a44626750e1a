"""Assumptions of an investment as a TOML or JSON file: fleet, prices, services, wear, costs, risks; all
checked.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import tomli
from msgspec import Struct
from msgspec.structs import replace

HOURS: Final = 24
SEASONS: Final = ("winter", "spring", "summer", "autumn")
YEARS_MOST: Final = 40
PATHS_MOST: Final = 200_000
Season = Literal["winter", "spring", "summer", "autumn"]


class AssumptionError(Exception):
    """The file cannot be used; the message names it and every fault."""


class Fleet(Struct, frozen=True, forbid_unknown_fields=True):
    """The vehicles and what they do.

    Attributes:
        vehicles: How many.
        capacity_kwh: Usable capacity of one.
        need_kwh: Energy that one drives on a day of service.
        arrives_h: Local hour in which it is plugged in.
        departs_h: Local hour by which it leaves, on the next day where it is earlier.
        charge_kw: Power of its outlet, into the vehicle.
        discharge_kw: Power out of it.
        efficiency: One way, meter to battery; None: from ``internal_resistance_ohm``.
        internal_resistance_ohm: Of the pack, as measured.
        pack_v: Voltage of the pack, for the losses in its resistance.
        converter: Efficiency of the charger alone, one way.
        depth_cap: Share of the capacity that may be given in a day.
        concurrency_limit: How many may give at once; 0: all.
        connection_kw: What the connection takes of them all together, either way; 0: no limit.
        days_a_year: Days on which they stand plugged in over night.
    """

    vehicles: int
    capacity_kwh: float
    need_kwh: float
    arrives_h: int
    departs_h: int
    charge_kw: float
    discharge_kw: float
    efficiency: float | None = None
    internal_resistance_ohm: float = 0.0
    pack_v: float = 400.0
    converter: float = 0.955
    depth_cap: float = 0.35
    concurrency_limit: int = 0
    connection_kw: float = 0.0
    days_a_year: int = 365

    @property
    def one_way(self) -> float:
        """Efficiency of one way, meter to battery: the charger's times what the pack's resistance leaves."""
        if self.efficiency is not None:
            return self.efficiency
        current_a = 1_000.0 * max(self.charge_kw, self.discharge_kw) / self.pack_v
        return self.converter * (1.0 - current_a * self.internal_resistance_ohm / self.pack_v)


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of energy.

    Attributes:
        file: Hourly prices of a month or more, in any form that ``prices.file`` of a site takes; or "".
        curve: 24 prices per kWh by local hour, where there is no file.
        day_spread: Standard deviation of a day's level about the curve, as a share.
        buy_add: Added to the price of what is bought (margin, grid, levies), per kWh.
        sell_add: Added to the price of what is sold, per kWh; mostly negative.
        growth_pct: Growth of the spread of prices a year.
        growth_sd_pct: Its standard deviation between futures.
    """

    file: str = ""
    curve: tuple[float, ...] = ()
    day_spread: float = 0.2
    buy_add: float = 0.0
    sell_add: float = 0.0
    growth_pct: float = 0.0
    growth_sd_pct: float = 2.0


class Services(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sold beside energy.

    Attributes:
        kw: Capacity sold, of all vehicles together.
        per_kw_year: What a kW earns in a year.
        sd_pct: Standard deviation of that between years.
        aggregator_pct: What the aggregator keeps of services and of what is sold.
        peak_kw_saved: Reduction of the billed peak by managed charging.
        per_kw_month: Demand charge.
    """

    kw: float = 0.0
    per_kw_year: float = 0.0
    sd_pct: float = 30.0
    aggregator_pct: float = 0.0
    peak_kw_saved: float = 0.0
    per_kw_month: float = 0.0


class Wear(Struct, frozen=True, forbid_unknown_fields=True):
    """The battery's cost.

    Attributes:
        model: A wear model (``v2g-edge wear``); "" where ``per_kwh`` is given.
        pack_price_per_kwh: Price of a new pack.
        per_kwh: Cost of a kWh given, where no model is named.
        sd_pct: Standard deviation of that cost between futures.
    """

    model: str = "lfp-250ah"
    pack_price_per_kwh: float = 120.0
    per_kwh: float = 0.0
    sd_pct: float = 25.0


class Costs(Struct, frozen=True, forbid_unknown_fields=True):
    """What is spent.

    Attributes:
        v1g_once: Once, for managed charging: controller, meter, commissioning.
        v2g_once: Once, for V2G on top: certification, grid connection, engineering.
        v2g_charger: A bidirectional charger more than a plain one, each.
        v1g_year: Each year, for managed charging.
        v2g_year: Each year, for V2G on top.
        incentive_pct: Share of what V2G costs once that a programme pays.
        incentive_most: At most this much.
        sd_pct: Standard deviation of what is spent once.
        fails_pct: Chargers that fail a year, after the warranty.
        warranty_years: No failure costs before.
    """

    v1g_once: float = 0.0
    v2g_once: float = 0.0
    v2g_charger: float = 0.0
    v1g_year: float = 0.0
    v2g_year: float = 0.0
    incentive_pct: float = 0.0
    incentive_most: float = 0.0
    sd_pct: float = 10.0
    fails_pct: float = 1.5
    warranty_years: int = 3


class Risk(Struct, frozen=True, forbid_unknown_fields=True):
    """What does not go as planned.

    Attributes:
        availability_pct: Share of nights on which a vehicle stands there and may take part.
        availability_sd_pct: Its standard deviation between years.
        downtime_pct: Share of nights on which the depot does not run.
        captured_pct: Share of the best possible value that is captured (forecasts err).
    """

    availability_pct: float = 90.0
    availability_sd_pct: float = 4.0
    downtime_pct: float = 2.0
    captured_pct: float = 85.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """Factors on the assumptions of the base: 1 leaves one as it is."""

    spread: float = 1.0
    services: float = 1.0
    wear: float = 1.0
    once: float = 1.0
    availability: float = 1.0


class Assumptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        name: Title of the report.
        currency: ISO 4217 code.
        fleet: The vehicles.
        prices: Energy.
        services: What else is sold.
        wear: The battery.
        costs: What is spent.
        risk: What does not go as planned.
        seasonal_weight: What a night of a season is worth, against the prices' own; 1 where it is not named.
        scenarios: Factors by name.
        years: How long it is looked at.
        discount_pct: Interest by which later money is worth less.
        paths: Futures.
        seed: Of the dice; the same seed gives the same report.
    """

    name: str
    currency: str
    fleet: Fleet
    prices: Prices
    services: Services = Services()
    wear: Wear = Wear()
    costs: Costs = Costs()
    risk: Risk = Risk()
    seasonal_weight: dict[Season, float] = {}
    scenarios: dict[str, Scenario] = msgspec.field(
        default_factory=lambda: {
            "conservative": Scenario(0.7, 0.6, 1.4, 1.15, 0.93),
            "base": Scenario(),
            "optimistic": Scenario(1.25, 1.2, 0.8, 0.9, 1.04),
        }
    )
    years: int = 10
    discount_pct: float = 6.0
    paths: int = 10_000
    seed: int = 1


def read_assumptions(path: Path) -> Assumptions:
    """Read a file, ``.json`` or TOML. Raises ``AssumptionError`` with everything that is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
        table: Any = json.loads(text) if path.suffix == ".json" else tomli.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise AssumptionError(f"{path}: cannot be read ({error})") from error
    try:
        found = msgspec.convert(table, Assumptions, strict=False)
    except msgspec.ValidationError as error:
        raise AssumptionError(f"{path}: {error}") from error
    faults = list(_faults(found))
    if faults:
        raise AssumptionError("\n".join(f"{path}: {fault}" for fault in faults))
    if found.prices.file and not Path(found.prices.file).is_absolute():
        file = str(path.parent / found.prices.file)
        found = replace(found, prices=replace(found.prices, file=file))
    return found


RANGES: Final[tuple[tuple[str, str, float, float], ...]] = (
    ("fleet", "vehicles", 1, 100_000), ("fleet", "capacity_kwh", 1, 2_000), ("fleet", "need_kwh", 0, 2_000),
    ("fleet", "arrives_h", 0, 23), ("fleet", "departs_h", 0, 23), ("fleet", "charge_kw", 1, 2_000),
    ("fleet", "discharge_kw", 0, 2_000), ("fleet", "depth_cap", 0, 1),
    ("fleet", "concurrency_limit", 0, 100_000),
    ("fleet", "connection_kw", 0, 1e6), ("fleet", "days_a_year", 1, 366), ("fleet", "pack_v", 40, 2_000),
    ("fleet", "internal_resistance_ohm", 0, 2), ("fleet", "converter", 0.5, 1),
    ("prices", "buy_add", -1_000, 1_000), ("prices", "sell_add", -1_000, 1_000),
    ("prices", "day_spread", 0, 2), ("prices", "growth_pct", -50, 50), ("prices", "growth_sd_pct", 0, 50),
    ("services", "kw", 0, 1e6), ("services", "per_kw_year", 0, 10_000), ("services", "sd_pct", 0, 200),
    ("services", "aggregator_pct", 0, 100), ("services", "peak_kw_saved", 0, 1e6),
    ("services", "per_kw_month", 0, 1_000), ("wear", "pack_price_per_kwh", 0, 2_000),
    ("wear", "per_kwh", 0, 10),
    ("wear", "sd_pct", 0, 200), ("costs", "v1g_once", 0, 1e9), ("costs", "v2g_once", 0, 1e9),
    ("costs", "v2g_charger", 0, 1e6), ("costs", "v1g_year", 0, 1e8), ("costs", "v2g_year", 0, 1e8),
    ("costs", "incentive_pct", 0, 100), ("costs", "incentive_most", 0, 1e9), ("costs", "sd_pct", 0, 100),
    ("costs", "fails_pct", 0, 100), ("costs", "warranty_years", 0, 40),
    ("risk", "availability_pct", 0, 100),
    ("risk", "availability_sd_pct", 0, 50), ("risk", "downtime_pct", 0, 100),
    ("risk", "captured_pct", 0, 100),
    ("", "years", 1, YEARS_MOST), ("", "discount_pct", -5, 50), ("", "paths", 10, PATHS_MOST),
)  # fmt: skip
"""Table, key, least, most."""


def _faults(found: Assumptions) -> Iterator[str]:
    for table, key, least, most in RANGES:
        value = getattr(getattr(found, table) if table else found, key)
        if not (math.isfinite(value) and least <= value <= most):
            yield f"{table}{'.' if table else ''}{key} is {value:g}; allowed are {least:g} to {most:g}"
    prices, fleet = found.prices, found.fleet
    if bool(prices.file) == bool(prices.curve):
        yield "prices need either a file or a curve"
    if prices.curve and (len(prices.curve) != HOURS or not all(map(math.isfinite, prices.curve))):
        yield f"prices.curve has {len(prices.curve)} values; expected 24 prices per kWh by local hour"
    if fleet.arrives_h == fleet.departs_h:
        yield "fleet.arrives_h and departs_h are the same hour; nobody is plugged in"
    if not 0.5 <= fleet.one_way <= 1.0:
        yield f"fleet efficiency comes to {fleet.one_way:.3f} one way; allowed are 0.5 to 1"
    if fleet.need_kwh > fleet.capacity_kwh:
        yield f"fleet.need_kwh {fleet.need_kwh:g} is more than the capacity, {fleet.capacity_kwh:g} kWh"
    for season, weight in found.seasonal_weight.items():
        if not 0.0 <= weight <= 10.0:
            yield f"seasonal_weight.{season} is {weight:g}; allowed are 0 to 10"
    if "base" not in found.scenarios:
        yield "scenarios need one that is called base"
