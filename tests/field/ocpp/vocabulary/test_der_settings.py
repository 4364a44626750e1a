"""The audit of DER settings: a charger set as the code says agrees, and each way to differ from it is
told.
"""

from typing import Any

import pytest

from v2g_edge.config.gridcode import code_names, shipped_code
from v2g_edge.field.ocpp.vocabulary.der_settings import MUST_TRIP, audit, differences
from v2g_edge.model.gridcode import GridCode

CAT3 = shipped_code("ieee1547_2018_cat3")
CAT1 = shipped_code("ieee1547_2018_cat1")
VDE = shipped_code("vde_ar_n_4105_2018")


def curve(kind: str, *points: tuple[float, float], **params: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "priority": 0,
        "yUnit": "Not_Applicable",
        "curveData": [{"x": x, "y": y} for x, y in points],
    }
    row = {"id": kind, "curveType": kind, "isDefault": True, "isSuperseded": False}
    return {"curve": [{**row, "curve": data | ({"voltageParams": params} if params else {})}]}


def as_coded(code: GridCode) -> dict[str, Any]:
    """Must-trip curves and means exactly as the code has them."""
    rows = []
    for kind, quantity in MUST_TRIP.items():
        mine = [element for element in code.elements if element.quantity == quantity]
        percent = 100.0 if quantity.startswith("voltage") else 1.0
        points = [
            (element.time_s, element.threshold * percent) for element in mine if not element.mean_window_s
        ]
        means = [element for element in mine if element.mean_window_s]
        params = (
            {"hv10MinMeanValue": means[0].threshold * 100.0, "hv10MinMeanTripDelay": means[0].time_s}
            if means
            else {}
        )
        rows += curve(kind, *points, **params)["curve"]
    return {"curve": rows}


@pytest.mark.parametrize("name", code_names())
def test_a_charger_set_to_the_letter_of_any_code_agrees_with_it(name: str) -> None:
    code = shipped_code(name)
    assert audit(as_coded(code), code) == []


@pytest.mark.parametrize(
    ("code", "report", "told"),
    [
        (CAT1, curve("LVMayTrip", (0.16, 60.0)), []),
        (
            CAT1,
            curve("LVMayTrip", (0.16, 80.0)),
            ["LVMayTrip trips at 0.8 after 0.16 s, the code rides through for 1.1 s"],
        ),
        (
            CAT1,
            curve("HVMayTrip", (0.5, 112.0)),
            ["HVMayTrip trips at 1.12 after 0.5 s, the code rides through for 1 s"],
        ),
        (
            CAT1,
            curve("HFMayTrip", (1.0, 61.5)),
            ["HFMayTrip trips at 61.5 after 1 s, the code rides through for 299 s"],
        ),
        (CAT3, curve("LVMomCess", (0.083, 50.0)), []),
        (
            CAT3,
            curve("LVMomCess", (0.083, 70.0)),
            ["LVMomCess ceases at 0.7, the code demands operation", "LVMomCess has no point at 0.5"],
        ),
        (CAT3, curve("HVMomCess", (0.083, 110.0)), []),
        (
            CAT3,
            curve("HVMomCess", (0.083, 120.0)),
            ["HVMomCess has no point at 1.1, where the code has export cease"],
        ),
        (CAT3, curve("VoltVar", (92.0, 44.0), (98.0, 0.0)), []),
    ],
)
def test_ride_through_and_cessation_are_held_against_the_code(
    code: GridCode, report: dict[str, Any], told: list[str]
) -> None:
    found = audit(report, code)
    assert len(found) == len(told), found
    assert all(text.startswith(words) for text, words in zip(found, told, strict=True)), found


def test_a_must_trip_that_is_too_quick_is_told_as_well_as_one_that_is_too_slow() -> None:
    quick = audit(curve("LVMustTrip", (2.0, 70.0), (0.16, 45.0), (0.2, 85.0)), CAT1)
    assert any("rides through" in text for text in quick)
    slow = audit(curve("LVMustTrip", (20.0, 70.0), (0.16, 45.0)), CAT1)
    assert any("has no point" in text for text in slow)


def test_the_ten_minute_mean_must_be_there_where_the_code_has_one() -> None:
    high = [
        (element.time_s, element.threshold * 100.0)
        for element in VDE.elements
        if element.id and element.quantity == "voltage_high"
    ]
    told = audit(curve("HVMustTrip", *high), VDE)
    assert [text for text in told if "mean" in text]


@pytest.mark.parametrize(("ramp_s", "told"), [(None, 0), (10.0, 1), (1e6, 0)])
def test_a_return_faster_than_the_codes_ramp_is_told(ramp_s: float | None, told: int) -> None:
    window = CAT1.enter_service
    setting = {
        "priority": 0, "highVoltage": 100 * window.v_hi_pu, "lowVoltage": 100 * window.v_lo_pu,
        "highFreq": window.f_hi_hz,
        "lowFreq": window.f_lo_hz, "delay": window.delay_s,
    }  # fmt: skip
    entry = {"id": "e", "enterService": setting | ({} if ramp_s is None else {"rampRate": ramp_s})}
    assert len(audit({"enterService": [entry]}, CAT1)) == told


def test_what_is_held_is_compared_with_what_was_set_field_by_field() -> None:
    inner = {"priority": 0, "displacement": 0.95, "excitation": True}
    control = {"isDefault": True, "controlId": "p", "controlType": "FixedPFAbsorb", "fixedPFAbsorb": inner}
    row = {"id": "p", "fixedPF": inner, "isDefault": True, "isSuperseded": False}
    assert differences(control, {"fixedPFAbsorb": [row]}) == []
    assert differences(control, {"fixedPFAbsorb": [{**row, "isSuperseded": True}]}) == [
        "another control supersedes it"
    ]
    assert differences(control, {"fixedPFInject": [row]}) == [
        "FixedPFAbsorb p is not among what the charger reports"
    ]
    other = {**row, "fixedPF": {**inner, "displacement": 0.9}}
    assert differences(control, {"fixedPFAbsorb": [other]}) == [
        "fixedPFAbsorb.displacement is 0.9, 0.95 was set"
    ]
    trip = curve("HVMustTrip", (0.2, 115.0))["curve"][0]
    wanted = {
        "isDefault": True,
        "controlId": "HVMustTrip",
        "controlType": "HVMustTrip",
        "curve": trip["curve"],
    }
    assert differences(wanted, {"curve": [trip]}) == []
    moved = curve("HVMustTrip", (0.2, 120.0))
    assert differences(wanted, moved) == ["curve.curveData.0.y is 120.0, 115.0 was set"]
    assert differences(wanted, {"curve": [{**trip, "curveType": "HVMayTrip"}]}) == [
        "curveType is HVMayTrip, HVMustTrip was set"
    ]
