"""Sampled values of all versions to one ``Sample`` each: measurands, units, multipliers, phases, directions.

OCPP 1.6 7.33-7.45 and OCPP 2.x SampledValueType: without a measurand a value is
Energy.Active.Import.Register, without a unit it is Wh (energy) or W (power). Totals (no phase) win over the
sum of the phases. Read leniently: units in other letters, decimal commas, a unit behind the number.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from v2g_edge.field.ocpp.vocabulary.charging_profiles import NOMINAL_V
from v2g_edge.field.ocpp.vocabulary.facts import Sample
from v2g_edge.field.ocpp.wire.timestamps import parse_wall

Three = tuple[float, float, float]
Totals = dict[str, float]
Phases = dict[tuple[str, int], float]
Named = list[tuple[str, dict[str, Any]]]

_PHASES: Final = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}
_LINES: Final = {"L1-L2": 0, "L2-L3": 1, "L3-L1": 2}
"""Voltages between two phases; √3 times that of one."""
_ANY: Final = -1
_INDEX: Final = {**_PHASES, **_LINES}
"""By the phase that a current or a voltage names; another one (a neutral's current) is no fourth phase."""
_NUMERIC: Final = frozenset({int, float, str})
_FACTORS: Final = {"kw": 1e3, "kwh": 1e3, "kva": 1e3, "megawatt": 1e6, "megawatthour": 1e6}
"""By the unit in small letters; what is not here counts as W, Wh, % or °C."""
_MEGA: Final = {"MW": "megawatt", "MWh": "megawatthour"}
"""Apart from milliwatts by their letters alone."""
_WRITTEN: Final = re.compile(
    r"\s*([-+]?\d+)(?:[.,](\d+))?\s*(%|kwh|wh|kw|w|v|a|°c)?\s*", re.ASCII | re.IGNORECASE
)
"""A number as people write it, a unit behind it. What may have a thousands separator ("1,234") is not guessed
at.
"""
_PLAIN: Final = frozenset({"W", "Wh", "Percent", "%", "Celsius", "Celcius", "V", "A"})
"""Ours, in the specification's letters: nothing to turn."""
_OLD: Final = ("Transaction.Begin", "Interruption.Begin")
"""Contexts of values from before: beside another one of the same measurand it is no news."""
_DEFAULT: Final = "Energy.Active.Import.Register"
_IMPORT: Final = "Power.Active.Import"
_EXPORT: Final = "Power.Active.Export"
_WANTED: Final = frozenset(
    {_DEFAULT, "Energy.Active.Export.Register", _IMPORT, _EXPORT, "SoC", "Temperature"}
)
"""Most of what stations report is of no use here: voltages and currents of every phase."""
_CURRENTS: Final = frozenset({"Current.Import", "Current.Export"})
"""What power is worked out from, with the voltages, where none is reported."""
_FOREIGN: Final = frozenset({"Inlet", "Body"})
"""Locations that do not measure the outlet."""

PACK_RANGE_C: Final = (-60.0, 150.0)
"""Beyond this it is no pack temperature but a unit mistake or a sensor fault."""

MEASURANDS: Final = (
    "Power.Active.Import",
    "Power.Active.Export",
    "Energy.Active.Import.Register",
    "Energy.Active.Export.Register",
    "SoC",
)
"""What we ask a station to report, most important first; a station that refuses the list is asked for
less.
"""

CURRENTS: Final = "Current.Import"
"""Asked for where it matters on which phases a vehicle draws."""

PACK: Final = "Temperature"
"""Asked for in 1.6 only: 2.x has no such measurand. At location EV it is the pack's."""


def read_samples(meter_values: Any) -> list[Sample]:
    """One ``Sample`` for each entry of ``meterValue`` that says something. Never raises: what cannot be
    read is left out.
    """
    if not isinstance(meter_values, list):
        return []
    samples = [_sample(entry) for entry in meter_values if isinstance(entry, dict)]
    return [sample for sample in samples if sample.says_something()]


def _sample(entry: dict[str, Any]) -> Sample:
    totals, phases, currents, volts = _sort(entry.get("sampledValue"))
    found, power_w = totals.get, _net_w(totals.get(_IMPORT), totals.get(_EXPORT))
    derived: Literal["", "currents", "one phase"] = ""
    phase_w = _on_phases(phases) if phases else None
    if currents and (power_w is None or (phase_w is None and len(currents) >= len("123"))):
        of_currents_w, how, on_phases_w = _derived_w(currents, volts)
        phase_w = phase_w or on_phases_w
        if power_w is None:
            power_w, derived = of_currents_w, how
    soc_pct, pack_c = found("SoC"), found("Temperature")
    return Sample(
        at_wall_s=parse_wall(entry.get("timestamp")),
        power_w=power_w,
        import_wh=found(_DEFAULT),
        export_wh=found("Energy.Active.Export.Register"),
        soc_pct=soc_pct if soc_pct is not None and 0.0 <= soc_pct <= 100.0 else None,
        pack_c=pack_c if pack_c is not None and PACK_RANGE_C[0] <= pack_c <= PACK_RANGE_C[1] else None,
        derived=derived,
        phase_w=phase_w,
    )


def _sort(values: Any) -> tuple[Totals, Phases, Named, Named]:
    """What is measured of the whole outlet, on each phase, the currents and the voltages, in one pass.
    Where only phases are reported, their sum is the total.
    """
    totals: Totals = {}
    phases: Phases = {}
    old: Named = []
    currents: Named = []
    volts: Named = []
    for sampled in values if isinstance(values, list) else ():
        measurand = sampled.get("measurand", _DEFAULT) if type(sampled) is dict else None
        if type(measurand) is not str:
            continue
        if measurand in _WANTED:
            if (context := sampled.get("context")) is not None and context in _OLD:
                old.append((measurand, sampled))
            else:
                _collect(measurand, sampled, totals, phases)
        elif measurand in _CURRENTS:
            currents.append((measurand, sampled))
        elif measurand == "Voltage":
            volts.append((measurand, sampled))
    if old:
        known = totals.keys() | {name for name, _ in phases}
        for measurand, sampled in old:
            if measurand not in known:
                _collect(measurand, sampled, totals, phases)
    if phases:
        for measurand in {name for name, _ in phases} - totals.keys():
            totals[measurand] = sum(value for (name, _), value in phases.items() if name == measurand)
    return totals, phases, currents, volts


def _on_phases(phases: Phases) -> Three | None:
    """The power on each phase, where it is reported of all three."""
    on: list[float] = []
    for phase in range(3):
        net_w = _net_w(phases.get((_IMPORT, phase)), phases.get((_EXPORT, phase)))
        if net_w is None:
            return None
        on.append(net_w)
    return on[0], on[1], on[2]


def _derived_w(
    currents: Named, volts: Named
) -> tuple[float | None, Literal["", "currents", "one phase"], Three | None]:
    """Power from currents and voltages, and on each phase where all three are reported. A phase without a
    voltage has the mean of the others, or nominal.
    """
    amps: dict[int, float] = {}
    for measurand, phase, value in _on_known_phases(currents):
        index = _ANY if phase is None else _INDEX[phase]
        amps[index] = amps.get(index, 0.0) + (abs(value) if measurand == "Current.Import" else -abs(value))
    if not amps:
        return None, "", None
    of_v: dict[int, float] = {}
    for _, phase, value in _on_known_phases(volts):
        of_v[_ANY if phase is None else _INDEX[phase]] = value / math.sqrt(3.0) if phase in _LINES else value
    mean_v = sum(of_v.values()) / len(of_v) if of_v else NOMINAL_V
    phases = {index: current for index, current in amps.items() if index != _ANY} or amps
    power_w = sum(current * of_v.get(index, mean_v) for index, current in phases.items())
    on_w = [amps[index] * of_v.get(index, mean_v) for index in range(3) if index in amps]
    on_phases_w = (on_w[0], on_w[1], on_w[2]) if len(on_w) == len("123") else None
    return power_w, "one phase" if _ANY in phases else "currents", on_phases_w


def _on_known_phases(named: Named) -> Iterator[tuple[str, str | None, float]]:
    """Measurand, phase and value of what is measured at the outlet, of the whole or on a phase: a neutral's
    current is no fourth phase.
    """
    for measurand, sampled in named:
        phase, location = sampled.get("phase"), sampled.get("location")
        if type(location) is str and location in _FOREIGN:
            continue
        if phase is None or (type(phase) is str and phase in _INDEX):
            value = _number(sampled)
            if value is not None:
                yield measurand, phase, value


def _net_w(import_w: float | None, export_w: float | None) -> float | None:
    """Power into the vehicle. An export is a magnitude (OCPP 1.6 7.31, 2.x MeasurandEnumType): a negative one
    says nothing.

    A negative import is an export; reported under both names it counts once.
    """
    if export_w is not None and export_w < 0.0:
        export_w = None
    if import_w is None or export_w is None:
        return import_w if export_w is None else -export_w
    return max(import_w, 0.0) - export_w if export_w > 0.0 else import_w


def _collect(measurand: str, sampled: dict[str, Any], totals: Totals, phases: Phases) -> None:
    location = sampled.get("location", "Outlet")
    if type(location) is not str or (measurand == "Temperature" and location != "EV"):
        return  # the cabinet's temperature, the cable's: not the pack
    if location in _FOREIGN and measurand != "SoC":
        return  # nothing but a vehicle has a state of charge
    value = _number(sampled)
    if value is None:
        return
    phase = sampled.get("phase")
    if phase is None:
        totals[measurand] = value
    elif type(phase) is str and phase in _PHASES:
        phases[measurand, _PHASES[phase]] = value


def _number(sampled: dict[str, Any]) -> float | None:
    """The value in W, Wh, % or °C; None for signed data, texts and what is not finite."""
    raw: Any = sampled.get("value")
    unit, power = sampled.get("unit"), 0
    if type(raw) not in _NUMERIC:
        return None
    if type(described := sampled.get("unitOfMeasure")) is dict:
        unit, power = described.get("unit"), described.get("multiplier", 0)
    try:
        value = float(raw)
    except ValueError:
        written = _read(raw)
        if written is None:
            return None
        value, unit = written[0], written[1] or unit
    except OverflowError:
        return None
    if power:
        try:
            value *= 10.0 ** float(power)
        except (TypeError, ValueError, OverflowError):
            return None
    if type(unit) is str and unit not in _PLAIN:
        value = _in_ours(value, unit)
    return value if math.isfinite(value) else None


def _in_ours(value: float, unit: str) -> float:
    """In W, Wh, % or °C, of a unit that is not written so."""
    if unit == "Fahrenheit":
        return (value - 32.0) / 1.8
    return value - 273.15 if unit == "K" else value * _FACTORS.get(_MEGA.get(unit, unit.lower()), 1.0)


def _read(text: str) -> tuple[float, str] | None:
    """A number as people write it and the unit behind it, "" without one; None for anything else."""
    found = _WRITTEN.fullmatch(text)
    if found is None or (len(found[2] or "") == 3 and "," in text):
        return None
    return float(f"{found[1]}.{found[2] or 0}"), found[3] or ""
