"""Vehicles: targets that are never reached, discharge that is allowed and never happens, unused tables."""

import re
from collections.abc import Iterator
from typing import Final

from v2g_edge.config.hints import near
from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.feeders import falls
from v2g_edge.config.plausibility.units import UNIT_MEND
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.calendar import DEPARTURE, departure_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Vehicle, VehicleType

LEAST_CYCLES: Final = 20.0
"""A warranty that covers less energy than so many full cycles is probably written in kWh."""
MIN_SOC_MOST: Final = 80.0
"""A floor above this leaves nothing to give: it is the floor that is odd then, not what stands above it."""

WEAR_PER_KWH: Final = (0.01, 0.5)
"""From 100 a kWh of pack over 10,000 cycles to 500 over 1,000."""
LARGE_UNITS: Final = ("", "EUR", "USD", "GBP", "CHF")
"""Currencies in which these hold, and none named."""


def odd_vehicles(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each kind, each vehicle, and what refers to them."""
    kinds = {kind.id: kind for kind in plan.vehicle_types}
    used = {vehicle.type for vehicle in plan.vehicles}
    for kind in plan.vehicle_types:
        yield from _kind(kind, file)
        if plan.vehicles and kind.id not in used:
            mend = "Remove it, or name it at a vehicle."
            yield odd(file, f"vehicle_types.{kind.id}", "no vehicle of this type", "at least one", mend)
    seen: dict[str, str] = {}
    for vehicle in plan.vehicles:
        other = seen.setdefault(vehicle.id.lower(), vehicle.id)
        if other != vehicle.id:
            mend = "Are they one? Upper and lower case count."
            yield odd(file, f"vehicles.{vehicle.id}", f'beside "{other}"', "ids that differ by more", mend)
        kind_of = kinds.get(vehicle.type)
        if kind_of is not None:
            yield from _vehicle(vehicle, kind_of, file)
    yield from _leaving(plan, file)
    yield from _standing(plan, file)
    yield from _money(plan, file)


def _kind(kind: VehicleType, file: str) -> Iterator[Problem]:
    path = f"vehicle_types.{kind.id}"
    powers = [point.power_w for point in kind.charge_curve]
    last = kind.charge_curve[-1]
    if last.power_w == 0.0 and last.soc_pct < kind.max_soc_pct:
        found = f"0 W from {last.soc_pct:g} % on, and max_soc_pct = {kind.max_soc_pct:g} %"
        yield odd(
            file,
            f"{path}.charge_curve",
            found,
            "some power up to max_soc_pct",
            "It never charges beyond that.",
        )
    if not falls(powers[len(powers) // 2 :]):
        yield odd(
            file,
            f"{path}.charge_curve",
            "more power at the end than before",
            "power that falls towards full",
            "Sorted?",
        )
    if kind.depth_per_event_pct > kind.depth_per_day_pct:
        usual = f"at most depth_per_day_pct = {kind.depth_per_day_pct:g} %"
        yield odd(file, f"{path}.depth_per_event_pct", f"{kind.depth_per_event_pct:g} %", usual, "Swapped?")
    for name in ("warranty_discharge_wh", "warranty_efc", "warranty_discharge_h"):
        value = getattr(kind, name)
        least = LEAST_CYCLES * (kind.capacity_wh if name == "warranty_discharge_wh" else 1.0)
        if 0.0 <= value < min(least, ANY_W) and kind.max_discharge_w > 0.0:
            mend = "Discharge ends for good there. 1e12 stands for no cap."
            yield odd(file, f"{path}.{name}", f"{value:g}", f"{least:.0f} or more", mend)
    if kind.soh_floor_pct > 95.0:
        mend = "Only a new battery discharges then."
        yield odd(file, f"{path}.soh_floor_pct", f"{kind.soh_floor_pct:g} %", "70 % or so", mend)
    if kind.min_soc_pct > MIN_SOC_MOST or kind.max_soc_pct < 50.0:
        name = "min_soc_pct" if kind.min_soc_pct > MIN_SOC_MOST else "max_soc_pct"
        usual = "10 to 50 %" if name == "min_soc_pct" else "80 to 100 %"
        yield odd(file, f"{path}.{name}", f"{getattr(kind, name):g} %", usual, "Swapped, or a digit missing?")


def _vehicle(vehicle: Vehicle, kind: VehicleType, file: str) -> Iterator[Problem]:
    path = f"vehicles.{vehicle.id}"
    if vehicle.may_discharge and kind.max_discharge_w == 0.0:
        found = f"true, and {kind.id} has max_discharge_w = 0"
        yield odd(
            file, f"{path}.may_discharge", found, "false for a type that cannot", "It never discharges."
        )
    if vehicle.may_discharge and 0.0 in (kind.depth_per_event_pct, kind.depth_per_day_pct):
        found = f"true, and {kind.id} lets 0 % be taken out"
        yield odd(file, f"{path}.may_discharge", found, "a depth above 0 %", "It never discharges.")
    needed_pct = vehicle.target_soc_pct + vehicle.reserve_soc_pct
    if vehicle.departs and vehicle.target_soc_pct <= kind.max_soc_pct < needed_pct:
        found = f"{vehicle.reserve_soc_pct:g} % above the target of {vehicle.target_soc_pct:g} %"
        usual = f"together at most max_soc_pct = {kind.max_soc_pct:g} %"
        yield odd(file, f"{path}.reserve_soc_pct", found, usual, "The reserve is never whole.")
    least_pct = min(max(kind.min_soc_pct, 20.0), MIN_SOC_MOST)
    usual, mend = f"above {kind.min_soc_pct:g} %", "It would leave nearly empty. A digit missing?"
    if 1.0 < vehicle.target_soc_pct <= least_pct:
        yield odd(file, f"{path}.target_soc_pct", f"{vehicle.target_soc_pct:g} %", usual, mend)
    for line in vehicle.departures:
        soc_pct = departure_of(line).soc_pct if re.match(DEPARTURE, line) else None
        if soc_pct is not None and soc_pct <= least_pct:
            share = f"Is {soc_pct * 100.0:g} % meant? Then {soc_pct:g} is{UNIT_MEND}"
            yield odd(file, f"{path}.departures", f'"{line}"', usual, share if 0.0 < soc_pct <= 1.0 else mend)


def _leaving(plan: SiteFile, file: str) -> Iterator[Problem]:
    """The few vehicles without a departure where the others have one, and nothing else says it."""
    told = [vehicle for vehicle in plan.vehicles if vehicle.departs or vehicle.departures]
    without = [
        vehicle
        for vehicle in plan.vehicles
        if not vehicle.departs and not vehicle.departures and not vehicle.stationary
    ]
    elsewhere = (
        plan.fleet.port or plan.fleet.timetable_file or plan.telematics.port or plan.telematics.mqtt_host
    )
    if elsewhere or not 0 < len(without) < len(told):
        return
    for vehicle in without:
        mend = "Unless its charger says when it leaves, it charges with what the others leave. Add departs."
        key = f"vehicles.{vehicle.id}.departs"
        yield odd(file, key, "neither departs nor departures", "a departure, as the others have", mend)


def _standing(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Vehicles that always stand at one charger, by the site file."""
    ids = [vehicle.id for vehicle in plan.vehicles]
    places: dict[str, str] = {}
    gives = {evse.id for evse in plan.evses if evse.discharge_by == "register" and evse.max_discharge_w > 0.0}
    for device in plan.devices:
        if not device.vehicle and device.role == "charger" and device.target in gives:
            mend = "Its registers name none, and a stranger never discharges. Which one stands there?"
            yield odd(file, f"devices.{device.id}.vehicle", '""', "the id of a vehicle", mend)
        if not device.vehicle:
            continue
        key = f"devices.{device.id}.vehicle"
        if device.role != "charger":
            mend = "Only a charger has a vehicle."
            yield odd(
                file, key, f'"{device.vehicle}" at a {device.role}', 'a device with role = "charger"', mend
            )
        if device.vehicle not in ids:
            meant = near(device.vehicle, ids)
            mend = (
                f'Did you mean "{meant}"?'
                if meant
                else "Add it to vehicles: a stranger charges and never discharges."
            )
            yield odd(
                file,
                key,
                f'"{device.vehicle}", which no [[vehicles]] table describes',
                "the id of a vehicle",
                mend,
            )
        other = places.setdefault(device.vehicle, device.target)
        if other != device.target:
            found = f'"{device.vehicle}", which stands at {other} too'
            yield odd(file, key, found, "one outlet a vehicle", "At which of the two does it stand?")


def _money(plan: SiteFile, file: str) -> Iterator[Problem]:
    prices = plan.prices
    gives = any(vehicle.may_discharge for vehicle in plan.vehicles) and plan.grid.export_allowed
    if prices.file and prices.wear_per_kwh == 0.0 and gives:
        mend = (
            "Small price differences would wear batteries for nothing. Price of the pack / kWh over its life;"
            " often 0.05."
        )
        yield odd(file, "prices.wear_per_kwh", "0 per kWh", "above 0 where vehicles discharge", mend)
    low, high = WEAR_PER_KWH
    if gives and 0.0 < prices.wear_per_kwh < low:
        found, mend = f"{prices.wear_per_kwh:g} per kWh", "Price of the pack / kWh over its life; often 0.05."
        yield odd(file, "prices.wear_per_kwh", found, f"{low:g} per kWh or more", mend)
    if prices.currency in LARGE_UNITS and high < prices.wear_per_kwh <= 3.0:
        found = f"{prices.wear_per_kwh:g} per kWh"
        mend = (
            "Nothing is worth discharging then. A digit too many? For another currency name prices.currency."
        )
        yield odd(file, "prices.wear_per_kwh", found, f"{low:g} to {high:g} per kWh", mend)
    for name in ("export_per_kwh", "wear_per_kwh", "fixed_per_kwh"):
        value = getattr(prices, name)
        if value < 0.0 and name != "export_per_kwh":
            yield odd(file, f"prices.{name}", f"{value:g} per kWh", "0 or more", "It is added to each price.")
        if abs(value) > 3.0:
            mend = f"Are {value:g} cents meant? Write {value / 100.0:g}."
            yield odd(file, f"prices.{name}", f"{value:g} per kWh", "at most 3 per kWh", mend)
    if not prices.file and any(
        (prices.export_per_kwh, prices.wear_per_kwh, prices.fixed_per_kwh, prices.shift_to_year)
    ):
        mend = "Name the price file, or remove the table: without prices nothing is planned."
        yield odd(file, "prices.file", '""', "a file where the other keys are set", mend)
