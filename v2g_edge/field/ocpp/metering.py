"""Sampled values of all versions to one ``Sample`` each: measurands, units, multipliers, phases, directions.

OCPP 1.6 7.33-7.45 and OCPP 2.x SampledValueType: without a measurand a value is Energy.Active.Import.Register, without a unit
it is Wh (energy) or W (power). Totals (no phase) win over the sum of the phases.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from v2g_edge.field.ocpp.facts import Sample
from v2g_edge.field.ocpp.when import parse_wall

_PHASES: Final = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}
_KILO: Final = frozenset({"kW", "kWh"})
_DEFAULT: Final = "Energy.Active.Import.Register"
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
"""What we ask a station to report, most important first; a station that refuses the list is asked for less."""


class _Totals:
    """One measurand: the value without a phase, or the phases."""

    __slots__ = ("phases", "total")

    def __init__(self) -> None:
        self.total: float | None = None
        self.phases: dict[int, float] = {}

    def value(self) -> float | None:
        if self.total is not None:
            return self.total
        return sum(self.phases.values()) if self.phases else None


def read_samples(meter_values: Any) -> list[Sample]:
    """One ``Sample`` for each entry of ``meterValue`` that says something. Never raises: what cannot be read is left out."""
    if not isinstance(meter_values, list):
        return []
    samples = [_sample(entry) for entry in meter_values if isinstance(entry, dict)]
    return [sample for sample in samples if sample.says_something()]


def _sample(entry: dict[str, Any]) -> Sample:
    found: dict[str, _Totals] = {}
    values = entry.get("sampledValue")
    for sampled in values if isinstance(values, list) else ():
        if isinstance(sampled, dict) and sampled.get("location", "Outlet") not in _FOREIGN:
            _collect(sampled, found)
    imported, exported = _value(found, "Power.Active.Import"), _value(found, "Power.Active.Export")
    power_w = None if imported is None and exported is None else (imported or 0.0) - (exported or 0.0)
    soc_pct, pack_c = _value(found, "SoC"), _value(found, "Temperature")
    return Sample(
        at_wall_s=parse_wall(entry.get("timestamp")),
        power_w=power_w,
        import_wh=_value(found, "Energy.Active.Import.Register"),
        export_wh=_value(found, "Energy.Active.Export.Register"),
        soc_pct=soc_pct if soc_pct is not None and 0.0 <= soc_pct <= 100.0 else None,
        pack_c=pack_c if pack_c is not None and PACK_RANGE_C[0] <= pack_c <= PACK_RANGE_C[1] else None,
    )


def _collect(sampled: dict[str, Any], found: dict[str, _Totals]) -> None:
    measurand = sampled.get("measurand", _DEFAULT)
    if measurand == "Temperature" and sampled.get("location") != "EV":
        return  # the cabinet's, the cable's: not the pack
    value = _number(sampled)
    if value is None or not isinstance(measurand, str):
        return
    totals = found.setdefault(measurand, _Totals())
    phase = sampled.get("phase")
    if phase is None:
        totals.total = value
    elif phase in _PHASES:
        totals.phases[_PHASES[phase]] = value


def _number(sampled: dict[str, Any]) -> float | None:
    """The value in W, Wh, % or °C; None for signed data, texts and what is not finite."""
    raw = sampled.get("value")
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    unit, power = sampled.get("unit"), 0
    described = sampled.get("unitOfMeasure")
    if isinstance(described, dict):
        unit, power = described.get("unit"), described.get("multiplier", 0)
    try:
        value = float(raw) * 10.0**power * (1000.0 if unit in _KILO else 1.0)
    except (TypeError, ValueError, OverflowError):
        return None
    if unit == "Fahrenheit":
        value = (value - 32.0) / 1.8
    elif unit == "K":
        value -= 273.15
    return value if math.isfinite(value) else None


def _value(found: dict[str, _Totals], measurand: str) -> float | None:
    totals = found.get(measurand)
    return totals.value() if totals else None


def latest(samples: Iterable[Sample]) -> Sample | None:
    """The newest of several samples by the station's clock."""
    dated = [sample for sample in samples if sample.at_wall_s is not None]
    return max(dated, key=lambda sample: sample.at_wall_s or 0.0, default=None)
