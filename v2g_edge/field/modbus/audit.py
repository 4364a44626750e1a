"""A charger's programmed grid code (SunSpec 703, 707-710) against the site's profile. Read only: we never
write settings.
"""

from typing import Any, Final

from v2g_edge.model.gridcode import GridCode

AUDITED: Final = (703, 707, 708, 709, 710)
CURVES: Final = {707: "voltage_low", 708: "voltage_high", 709: "frequency_low", 710: "frequency_high"}

VOLTAGE_SLACK_PU: Final = 0.005
FREQUENCY_SLACK_HZ: Final = 0.02
"""Half the steady-state accuracy that IEEE 1547 table 3 asks of the measurement, and rounding of the
registers.
"""

TIME_SLACK_SHARE: Final = 0.02
TIME_SLACK_S: Final = 0.02


def _near(found: float, wanted: float, slack: float) -> bool:
    return abs(found - wanted) <= slack


def _time_near(found: float, wanted: float) -> bool:
    return _near(found, wanted, max(TIME_SLACK_S, TIME_SLACK_SHARE * wanted))


def audit(model_id: int, model: Any, profile: GridCode) -> list[str]:
    """What differs between the decoded pysunspec2 ``model`` and ``profile``, each as one sentence; [] when
    they agree.
    """
    return _enter_service(model, profile) if model_id == 703 else _must_trip(model_id, model, profile)


def _enter_service(model: Any, profile: GridCode) -> list[str]:
    wanted = profile.enter_service
    rows = (
        ("ESVHi", 0.01, wanted.v_hi_pu, VOLTAGE_SLACK_PU, "pu"),
        ("ESVLo", 0.01, wanted.v_lo_pu, VOLTAGE_SLACK_PU, "pu"),
        ("ESHzHi", 1.0, wanted.f_hi_hz, FREQUENCY_SLACK_HZ, "Hz"),
        ("ESHzLo", 1.0, wanted.f_lo_hz, FREQUENCY_SLACK_HZ, "Hz"),
        ("ESDlyTms", 1.0, wanted.delay_s, max(1.0, TIME_SLACK_SHARE * wanted.delay_s), "s"),
    )
    problems = []
    for point, scale, value, slack, unit in rows:
        found = model.points[point].cvalue
        if found is None:
            problems.append(f"703 {point} is not given, {value:g} {unit} is wanted")
        elif not _near(found * scale, value, slack):
            problems.append(f"703 {point} is {found * scale:g} {unit}, {value:g} {unit} is wanted")
    return problems


def _must_trip(model_id: int, model: Any, profile: GridCode) -> list[str]:
    """Every element of the profile must be a corner of the active must-trip curve (curve 1 is the one in
    force).
    """
    quantity = CURVES[model_id]
    voltage = quantity.startswith("voltage")
    if model.points["Ena"].value != 1:
        return [f"{model_id} {quantity} trip is not enabled"]
    if not getattr(model, "Crv", None):
        return [f"{model_id} {quantity} trip has no curve"]
    trip = model.Crv[0].MustTrip
    active = trip.points["ActPt"].value or 0
    corners = []
    for point in trip.Pt[:active]:
        level, time_s = point.points["V" if voltage else "Hz"].cvalue, point.points["Tms"].cvalue
        if level is not None and time_s is not None:
            corners.append((level / 100.0 if voltage else level, time_s))
    slack = VOLTAGE_SLACK_PU if voltage else FREQUENCY_SLACK_HZ
    unit = "pu" if voltage else "Hz"
    return [
        f"{model_id} has no corner at {element.threshold:g} {unit}, {element.time_s:g} s ({element.id})"
        for element in profile.elements
        if element.quantity == quantity
        and not any(
            _near(level, element.threshold, slack) and _time_near(time_s, element.time_s)
            for level, time_s in corners
        )
    ]
