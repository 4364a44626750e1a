"""Sampled values of all versions become one sample: units, multipliers, phases, directions, and what
sloppy stations send.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field.ocpp.peer import AT, AT_S
from v2g_edge.field.ocpp.vocabulary.facts import Sample
from v2g_edge.field.ocpp.vocabulary.metering import read_samples


def one(*sampled: dict[str, Any]) -> list[Sample]:
    return read_samples([{"timestamp": AT, "sampledValue": list(sampled)}])


@pytest.mark.parametrize(
    ("sampled", "sample"),
    [
        ([{"value": "1.5", "unit": "kWh"}], Sample(AT_S, import_wh=1_500.0)),
        ([{"value": 3, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}], Sample(AT_S, import_wh=3_000.0)),
        (
            [{"value": 4.2, "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "kW"}}],
            Sample(AT_S, power_w=-4_200.0),
        ),
        (
            [
                {"value": "100", "measurand": "Power.Active.Import", "phase": "L1"},
                {"value": "200", "measurand": "Power.Active.Import", "phase": "L2-N"},
                {"value": "50", "measurand": "Power.Active.Export", "phase": "L3"},
            ],
            Sample(AT_S, power_w=250.0, phase_w=(100.0, 200.0, -50.0)),
        ),
        (
            [
                {"value": "100", "measurand": "Power.Active.Import", "phase": "L1"},
                {"value": "900", "measurand": "Power.Active.Import"},
            ],
            Sample(AT_S, power_w=900.0),
        ),
        ([{"value": "-3000", "measurand": "Power.Active.Import"}], Sample(AT_S, power_w=-3_000.0)),
        (
            [
                {"value": "-3000", "measurand": "Power.Active.Import"},
                {"value": "3000", "measurand": "Power.Active.Export"},
            ],
            Sample(AT_S, power_w=-3_000.0),
        ),
        (
            [
                {"value": "3000", "measurand": "Power.Active.Import"},
                {"value": "-3000", "measurand": "Power.Active.Export"},
            ],
            Sample(AT_S, power_w=3_000.0),
        ),
        ([{"value": "55", "measurand": "SoC", "location": "EV"}], Sample(AT_S, soc_pct=55.0)),
        (
            [{"value": "77", "measurand": "Temperature", "unit": "Fahrenheit", "location": "EV"}],
            Sample(AT_S, pack_c=25.0),
        ),
    ],
)
def test_units_phases_and_directions_are_turned_into_ours(
    sampled: list[dict[str, Any]], sample: Sample
) -> None:
    assert one(*sampled) == [sample]


@pytest.mark.parametrize(
    "sampled",
    [
        {"value": "OCMF|{}", "format": "SignedData"},
        {"value": "nan", "measurand": "Power.Active.Import"},
        {"value": "1e999", "measurand": "Power.Active.Import"},
        {"value": True, "measurand": "SoC"},
        {"value": "130", "measurand": "SoC"},
        {"value": "-3000", "measurand": "Power.Active.Export"},
        {"value": "40", "measurand": "Temperature", "location": "Body"},
        {"value": "9", "measurand": "Power.Active.Import", "location": "Inlet"},
        {"value": 1, "unitOfMeasure": {"multiplier": "x"}},
        {"value": 1, "unitOfMeasure": {"multiplier": 400}},
        {"measurand": "SoC"},
        {"value": 5, "measurand": 7},
        {"value": 5, "location": []},
        {"value": 5, "phase": {}},
        "rubbish",
    ],
)
def test_what_is_no_measurement_says_nothing_and_leaves_its_neighbours_alone(sampled: Any) -> None:
    assert one(sampled) == []
    assert one(sampled, {"value": "7000", "measurand": "Power.Active.Import"}) == [
        Sample(AT_S, power_w=7_000.0)
    ]


def test_a_reading_without_a_readable_time_has_none() -> None:
    assert read_samples([{"timestamp": "soon", "sampledValue": [{"value": 1}]}]) == [
        Sample(None, import_wh=1.0)
    ]


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_nothing_that_json_can_hold_makes_it_raise(anything: Any) -> None:
    assert isinstance(read_samples(anything), list)
    assert isinstance(read_samples([{"timestamp": AT, "sampledValue": anything}]), list)
    assert isinstance(
        read_samples([{"timestamp": AT, "sampledValue": [{"value": anything, "measurand": "SoC"}]}]), list
    )
    for key in ("measurand", "location", "phase", "unit", "unitOfMeasure"):
        assert isinstance(
            read_samples([{"timestamp": AT, "sampledValue": [{"value": 1, key: anything}]}]), list
        )
