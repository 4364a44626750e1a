"""Grid-code settings that a 2.1 charger reports, held against the site's grid code: read to audit, never
written.

Voltages come in percent of nominal (DERUnitEnum PctEffectiveV) or in pu; a curve is a list of points (x =
seconds, y = voltage or Hz). An element of the code is met when a must-trip point with its threshold trips no
later than its time; what the code demands to ride through is kept when no point, of a must-trip or a may-trip
curve, trips there earlier; and a charger may cease for a moment only where the code does not demand
operation. ReportDERControl has no word for the rate of change of frequency, and our grid codes none for
droop, gradients, reactive power and discharge limits: those are kept for people to read.
"""

from typing import Any, Final

from v2g_edge.model.gridcode import Element, GridCode, Quantity, RideThrough

MUST_TRIP: Final[dict[str, Quantity]] = {
    "HVMustTrip": "voltage_high",
    "LVMustTrip": "voltage_low",
    "HFMustTrip": "frequency_high",
    "LFMustTrip": "frequency_low",
}
MAY_TRIP: Final[dict[str, Quantity]] = {
    "HVMayTrip": "voltage_high",
    "LVMayTrip": "voltage_low",
    "HFMayTrip": "frequency_high",
}
CEASES: Final[dict[str, Quantity]] = {"HVMomCess": "voltage_high", "LVMomCess": "voltage_low"}

ENDS_DISCHARGE: Final = frozenset({*MUST_TRIP, *CEASES, "PowerMonitoringMustTrip"})
"""Controls that are not running while a charger feeds: one that has started has ended the discharge."""

FIELDS: Final = {
    "EnterService": "enterService",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "FreqDroop": "freqDroop",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
"""Where a control stands in SetDERControl and ReportDERControl; every other one is a ``curve``."""
LISTS: Final = ("curve", *FIELDS.values())

VOLTAGE_SLACK_PU: Final = 0.005
FREQUENCY_SLACK_HZ: Final = 0.02
TIME_SLACK_S: Final = 0.1
"""Rounding of settings on their way through a charger: half a percent, two hundredths of a hertz, a tenth
of a second.
"""

PERCENT_FROM: Final = 5.0
"""No code sets a voltage of 5 pu, none one of 5 %: what is larger is percent."""


def audit(report: dict[str, Any], code: GridCode) -> list[str]:
    """What differs, for people; empty when all that was reported agrees. Reading may raise KeyError,
    TypeError or ValueError.
    """
    found = []
    for entry in report.get("enterService", ()):
        found += _enter_service(entry["enterService"], code)
    for entry in report.get("curve", ()):
        kind = entry["curveType"]
        if entry["isSuperseded"]:
            continue
        points = [(float(point["x"]), float(point["y"])) for point in entry["curve"]["curveData"]]
        if kind in MUST_TRIP:
            found += _must_trip(kind, points, entry["curve"].get("voltageParams") or {}, code)
        if kind in MUST_TRIP or kind in MAY_TRIP:
            found += _too_early(kind, (MUST_TRIP | MAY_TRIP)[kind], points, code)
        if kind in CEASES:
            found += _cessation(kind, CEASES[kind], points, code)
    return found


def type_of(entry: dict[str, Any], name: str) -> str:
    """The control type of one entry of the list ``name`` of a report."""
    return (
        str(entry["curveType"])
        if name == "curve"
        else next(kind for kind, field in FIELDS.items() if field == name)
    )


def differences(control: dict[str, Any], report: dict[str, Any]) -> list[str]:
    """What a report says otherwise than the SetDERControl ``control`` before it; empty when the charger
    holds what was set.
    """
    name = FIELDS.get(control["controlType"], "curve")
    held = next((entry for entry in report.get(name, ()) if entry["id"] == control["controlId"]), None)
    if held is None:
        return [f"{control['controlType']} {control['controlId']} is not among what the charger reports"]
    inner = "fixedPF" if name.startswith("fixedPF") else name
    told = [
        f"{path} is {have}, {want} was set" for path, have, want in _unequal(control[name], held[inner], name)
    ]
    if name == "curve" and held["curveType"] != control["controlType"]:
        told.append(f"curveType is {held['curveType']}, {control['controlType']} was set")
    return told + (["another control supersedes it"] if held.get("isSuperseded") else [])


def _unequal(want: Any, have: Any, path: str) -> list[tuple[str, Any, Any]]:
    if isinstance(want, dict) and isinstance(have, dict):
        return [row for key in want for row in _unequal(want[key], have.get(key), f"{path}.{key}")]
    if isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
        return [
            row
            for n, (w, h) in enumerate(zip(want, have, strict=True))
            for row in _unequal(w, h, f"{path}.{n}")
        ]
    numbers = isinstance(want, int | float) and isinstance(have, int | float)
    same = abs(want - have) <= 1e-6 * max(abs(want), 1.0) if numbers else want == have
    return [] if same else [(path, have, want)]


def _enter_service(setting: dict[str, Any], code: GridCode) -> list[str]:
    window = code.enter_service
    wanted = (
        ("highVoltage", _pu(setting["highVoltage"]), window.v_hi_pu, VOLTAGE_SLACK_PU),
        ("lowVoltage", _pu(setting["lowVoltage"]), window.v_lo_pu, VOLTAGE_SLACK_PU),
        ("highFreq", setting["highFreq"], window.f_hi_hz, FREQUENCY_SLACK_HZ),
        ("lowFreq", setting["lowFreq"], window.f_lo_hz, FREQUENCY_SLACK_HZ),
        ("delay", setting.get("delay", window.delay_s), window.delay_s, TIME_SLACK_S),
    )
    found = [
        f"EnterService {name} is {have:g}, the code says {want:g}"
        for name, have, want, slack in wanted
        if abs(have - want) > slack
    ]
    slow_s = setting.get("rampRate", window.ramp_s)
    if slow_s < window.ramp_s - TIME_SLACK_S:
        found.append(f"EnterService rampRate is {slow_s:g} s, the code says {window.ramp_s:g} s or slower")
    return found


def _must_trip(
    kind: str, points: list[tuple[float, float]], params: dict[str, Any], code: GridCode
) -> list[str]:
    found = []
    for element in code.elements:
        if element.quantity != MUST_TRIP[kind]:
            continue
        if element.mean_window_s > 0.0:
            mean, delay_s = params.get("hv10MinMeanValue", 0.0), params.get("hv10MinMeanTripDelay", 0.0)
            if not _meets(element, delay_s, mean):
                said = f"{element.threshold:g} within {element.time_s:g} s"
                found.append(
                    f"{kind} trips at a mean of {_pu(mean):g} (0: none) after {delay_s:g} s, the code says"
                    f" {said}"
                )
        elif not any(_meets(element, x, y) for x, y in points):
            found.append(
                f"{kind} has no point for {element.id}: {element.threshold:g} within {element.time_s:g} s"
            )
    return found


def _too_early(kind: str, quantity: Quantity, points: list[tuple[float, float]], code: GridCode) -> list[str]:
    """Points that trip within a band before the time that the code demands to ride through it."""
    found = []
    for time_s, value in points:
        have, slack = _value(quantity, value)
        for band in code.ride_through:
            if band.quantity != quantity or not _reaches(band, have, slack):
                continue
            low = quantity.endswith("low")
            edge = min(have, band.hi) if low else max(have, band.lo)
            least_s = band.time_s + band.slope * (edge - band.lo)
            if time_s < least_s - TIME_SLACK_S:
                found.append(
                    f"{kind} trips at {edge:g} after {time_s:g} s, the code rides through for {least_s:g} s"
                )
    return found


def _cessation(kind: str, quantity: Quantity, points: list[tuple[float, float]], code: GridCode) -> list[str]:
    found = []
    values = [_value(quantity, value) for _, value in points]
    mandatory = [band for band in code.ride_through if band.quantity == quantity and band.mode == "mandatory"]
    found += [
        f"{kind} ceases at {have:g}, the code demands operation from {band.lo:g} to {band.hi:g}"
        for have, slack in values
        for band in mandatory
        if _reaches(band, have, slack)
    ]
    for band in code.ride_through:
        edge = band.hi if quantity.endswith("low") else band.lo
        ceases = any(abs(have - edge) <= slack for have, slack in values)
        if band.quantity == quantity and band.mode == "momentary_cessation" and not ceases:
            found.append(f"{kind} has no point at {edge:g}, where the code has export cease")
    return found


def _reaches(band: RideThrough, value: float, slack: float) -> bool:
    """Whether what happens from ``value`` on, away from nominal, begins inside or before the band and not
    at its far edge.
    """
    return value > band.lo + slack if band.quantity.endswith("low") else value < band.hi - slack


def _meets(element: Element, time_s: float, value: float) -> bool:
    have, slack = _value(element.quantity, value)
    return abs(have - element.threshold) <= slack and time_s <= element.time_s + TIME_SLACK_S


def _value(quantity: Quantity, value: float) -> tuple[float, float]:
    """In pu or Hz, with the slack of it."""
    return (_pu(value), VOLTAGE_SLACK_PU) if quantity.startswith("voltage") else (value, FREQUENCY_SLACK_HZ)


def _pu(value: float) -> float:
    return value / 100.0 if value > PERCENT_FROM else float(value)
