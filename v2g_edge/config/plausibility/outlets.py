"""Outlets: floors that the mains' upper voltage undercuts, currents no plug carries, discharge that can
never happen.
"""

from collections.abc import Iterator
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.units import LEAST_W, is_phase_voltage
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.site import Evse

LEAST_A: Final = 6.0
"""Least current of a pilot signal (IEC 61851-1, A.2.2)."""
OVER: Final = 1.1
"""Highest lasting voltage of a public grid: nominal + 10 % (EN 50160, 4.2.2.1)."""
AC_MOST_A: Final = 80.0
"""Most current of an AC plug: type 1 up to 80 A, type 2 up to 63 A a phase (IEC 62196-2)."""
AC_MOST_W: Final = 44_000.0
"""63 A at 3 × 230 V. Beyond it is DC, which has no floor of 6 A."""
GIVES_LEAST: Final = 0.12
"""The inverter of a bidirectional charger is the same both ways; so small a share is mostly a slip."""
SLACK_W: Final = 1.0


def odd_outlets(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each outlet by itself, then against the site."""
    for evse in plan.evses:
        path = f"evses.{evse.id}"
        if evse.max_charge_w <= AC_MOST_W and is_phase_voltage(plan.grid.nominal_v):
            yield from _floors(evse, plan.grid.nominal_v, path, file)
        yield from _plug(evse, plan.grid.nominal_v, path, file)
        yield from _discharge(plan, evse, path, file)
    yield from _alike((evse.id for evse in plan.evses), "evses", file)
    yield from _alike((station.identity for station in plan.stations), "stations", file)
    yield from _shared_numbers(plan, file)


def _floors(evse: Evse, nominal_v: float, path: str, file: str) -> Iterator[Problem]:
    phases = len(evse.phases) // 2
    floor_w = phases * LEAST_A * nominal_v * OVER
    for name in ("min_charge_w", "fallback_w"):
        value_w = getattr(evse, name)
        if 200.0 <= value_w < floor_w - SLACK_W:
            usual = f"{floor_w:.0f} W: {phases} × 6 A at {nominal_v * OVER:.0f} V"
            mend = "On a high mains it is less than 6 A, and an AC charger pauses. A DC charger may go lower."
            yield odd(file, f"{path}.{name}", f"{value_w:g} W", usual, mend)


def _plug(evse: Evse, nominal_v: float, path: str, file: str) -> Iterator[Problem]:
    if len(evse.phases) == 2 and evse.max_charge_w > AC_MOST_A * nominal_v:
        found = f"{evse.max_charge_w:.0f} W on {evse.phases} alone: {evse.max_charge_w / nominal_v:.0f} A"
        yield odd(
            file,
            f"{path}.phases",
            found,
            f"at most {AC_MOST_A:.0f} A on one phase",
            "Does it hang on three phases?",
        )
    if evse.max_charge_w == 0.0:
        yield odd(file, f"{path}.max_charge_w", "0 W", "the rating of its plate", "It never charges.")
    if evse.max_discharge_w > 2.0 * evse.max_charge_w > 0.0:
        found, usual = f"{evse.max_discharge_w:.0f} W", f"about max_charge_w = {evse.max_charge_w:.0f} W"
        yield odd(file, f"{path}.max_discharge_w", found, usual, "Look at its plate.")
    if evse.min_charge_w > 0.5 * evse.max_charge_w > 0.0 and evse.min_charge_w > 5_000.0:
        found, usual = f"{evse.min_charge_w:.0f} W", f"far below max_charge_w = {evse.max_charge_w:.0f} W"
        yield odd(file, f"{path}.min_charge_w", found, usual, "Is it the least, 6 A a phase?")
    if evse.efficiency < 0.8:
        mend = "Look at its data sheet: chargers reach 0.85 to 0.96."
        yield odd(file, f"{path}.efficiency", f"{evse.efficiency:g}", "0.85 to 0.98", mend)


def _discharge(plan: SiteFile, evse: Evse, path: str, file: str) -> Iterator[Problem]:
    if evse.max_discharge_w <= 0.0:
        if evse.discharge_by != "none":
            found = f'"{evse.discharge_by}" with max_discharge_w = 0'
            yield odd(
                file,
                f"{path}.discharge_by",
                found,
                '"none"',
                "Is max_discharge_w missing? As it is, it never discharges.",
            )
        return
    if LEAST_W["max_discharge_w"] <= evse.max_discharge_w < GIVES_LEAST * evse.max_charge_w:
        found = f"{evse.max_discharge_w:.0f} W, and it draws up to {evse.max_charge_w:.0f} W"
        mend = "A digit missing? Where the grid operator allows no more, it is right."
        usual = f"{GIVES_LEAST * evse.max_charge_w:.0f} W or more"
        yield odd(file, f"{path}.max_discharge_w", found, usual, mend)
    if not plan.grid.relay or not plan.grid.export_allowed:
        why = 'grid.relay = ""' if not plan.grid.relay else "grid.export_allowed = false"
        found = f"{evse.max_discharge_w:.0f} W, and {why}"
        yield odd(
            file, f"{path}.max_discharge_w", found, "0 on a site that never exports", "It never discharges."
        )
    station = next((s for s in plan.stations if any(o.evse == evse.id for o in s.outlets)), None)
    if station is not None and not station.discharges:
        found = f"false, and {evse.id} has max_discharge_w = {evse.max_discharge_w:.0f}"
        yield odd(
            file, f"stations.{station.identity}.discharges", found, "true", "Its outlets never discharge."
        )


def _alike(names: Iterator[str], table: str, file: str) -> Iterator[Problem]:
    """Names that differ in upper and lower case alone are mistaken for each other by people and by some
    chargers.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            mend = "Are they one? Upper and lower case count."
            yield odd(
                file, f"{table}.{name}", f'"{name}" beside "{other}"', "names that differ by more", mend
            )


def _shared_numbers(plan: SiteFile, file: str) -> Iterator[Problem]:
    """With OCPP 1.6 outlets differ by connector id, which is ``ocpp_evse``; 2.x numbers connectors
    of one EVSE.
    """
    for station in plan.stations:
        numbers = [outlet.ocpp_evse for outlet in station.outlets]
        if len(numbers) != len(set(numbers)):
            mend = (
                "Two outlets that charge at once have a number each; ocpp_connector is for two plugs of one"
                " outlet."
            )
            key = f"stations.{station.identity}.outlets"
            yield odd(file, key, "two outlets with one ocpp_evse", "an ocpp_evse each", mend)
