"""Grid-code settings that a 2.1 charger reports, held against the site's grid code: read to audit, never written (design 4.7).

Voltages come in percent of nominal (DERUnitEnum PctEffectiveV) or in pu; a must-trip curve is a list of (x = seconds, y = voltage
or Hz) points, and an element of the code is met when a point with its threshold trips no later than its time.
"""

from typing import Any, Final

from v2g_edge.model.gridcode import Element, GridCode, Quantity

CURVES: Final[dict[str, Quantity]] = {
    "HVMustTrip": "voltage_high",
    "LVMustTrip": "voltage_low",
    "HFMustTrip": "frequency_high",
    "LFMustTrip": "frequency_low",
}

VOLTAGE_SLACK_PU: Final = 0.005
FREQUENCY_SLACK_HZ: Final = 0.02
TIME_SLACK_S: Final = 0.1
"""Rounding of settings on their way through a charger: half a percent, two hundredths of a hertz, a tenth of a second."""

PERCENT_FROM: Final = 5.0
"""No code sets a voltage of 5 pu, none one of 5 %: what is larger is percent."""


def audit(report: dict[str, Any], code: GridCode) -> list[str]:
    """What differs, for people; empty when all that was reported agrees. Reading may raise KeyError, TypeError or ValueError."""
    found = []
    for entry in report.get("enterService", ()):
        found += _enter_service(entry["enterService"], code)
    for entry in report.get("curve", ()):
        quantity = CURVES.get(entry["curveType"])
        if quantity is not None and not entry["isSuperseded"]:
            points = [(float(point["x"]), float(point["y"])) for point in entry["curve"]["curveData"]]
            found += [
                f"{entry['curveType']} has no point for {element.id}: {element.threshold:g} within {element.time_s:g} s"
                for element in code.elements
                if element.quantity == quantity and not any(_meets(element, x, y) for x, y in points)
            ]
    return found


def _enter_service(setting: dict[str, Any], code: GridCode) -> list[str]:
    window = code.enter_service
    wanted = (
        ("highVoltage", _pu(setting["highVoltage"]), window.v_hi_pu, VOLTAGE_SLACK_PU),
        ("lowVoltage", _pu(setting["lowVoltage"]), window.v_lo_pu, VOLTAGE_SLACK_PU),
        ("highFreq", setting["highFreq"], window.f_hi_hz, FREQUENCY_SLACK_HZ),
        ("lowFreq", setting["lowFreq"], window.f_lo_hz, FREQUENCY_SLACK_HZ),
        ("delay", setting.get("delay", window.delay_s), window.delay_s, TIME_SLACK_S),
    )
    return [
        f"EnterService {name} is {have:g}, the code says {want:g}"
        for name, have, want, slack in wanted
        if abs(have - want) > slack
    ]


def _meets(element: Element, time_s: float, value: float) -> bool:
    voltage = element.quantity.startswith("voltage")
    slack = VOLTAGE_SLACK_PU if voltage else FREQUENCY_SLACK_HZ
    have = _pu(value) if voltage else value
    return abs(have - element.threshold) <= slack and time_s <= element.time_s + TIME_SLACK_S


def _pu(value: float) -> float:
    return value / 100.0 if value > PERCENT_FROM else float(value)
