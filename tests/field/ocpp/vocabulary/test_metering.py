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


POWER = "Power.Active.Import"
ENERGY = "Energy.Active.Import.Register"


@pytest.mark.parametrize(
    ("value", "unit", "watts"),
    [
        ("7.4", "kW", 7_400.0),
        ("7,4", "kW", 7_400.0),
        ("7.4", "KW", 7_400.0),
        ("7.4", "kw", 7_400.0),
        ("7.4 kW", None, 7_400.0),
        ("7,40kW", "W", 7_400.0),
        ("7400 W", None, 7_400.0),
        (" 7400 ", "w", 7_400.0),
        ("7.4", "kVA", 7_400.0),
        ("0.0074", "MW", 7_400.0),
        ("7.4e3", "W", 7_400.0),
        ("+7400", None, 7_400.0),
        ("-7400,0", "W", -7_400.0),
        ("7,400", "W", None),
        ("7.400,0", "W", None),
        ("7 400", "W", None),
        ("0x1CE8", "W", None),
        ("7400 furlongs", None, None),
        ("", "W", None),
        ("-", "W", None),
        ("n/a", "W", None),
        ("٧", "W", 7.0),
    ],
)
def test_a_power_is_read_however_it_is_written_and_is_never_guessed(
    value: str, unit: str | None, watts: float | None
) -> None:
    sampled = {"value": value, "measurand": POWER} | ({} if unit is None else {"unit": unit})
    found = one(sampled)
    assert [each.power_w for each in found] == ([] if watts is None else [pytest.approx(watts)])


@pytest.mark.parametrize(
    ("value", "unit", "wh"),
    [
        ("12.5", "kWh", 12_500.0),
        ("12,5", "KWH", 12_500.0),
        ("12.5 kWh", None, 12_500.0),
        ("0.0125", "MWh", 12_500.0),
        ("12500", "Wh", 12_500.0),
        ("12500", None, 12_500.0),
    ],
)
def test_a_register_is_read_however_it_is_written(value: str, unit: str | None, wh: float) -> None:
    (found,) = one({"value": value, "measurand": ENERGY} | ({} if unit is None else {"unit": unit}))
    assert found.import_wh == pytest.approx(wh)


@pytest.mark.parametrize(
    ("value", "soc_pct"),
    [("64", 64.0), ("64,5", 64.5), ("64.5 %", 64.5), ("64%", 64.0), (64, 64.0), ("0", 0.0)],
)
@pytest.mark.parametrize(
    "more", [{}, {"unit": "Percent"}, {"unit": "%"}, {"location": "Inlet"}, {"location": "EV"}]
)
def test_a_state_of_charge_is_the_vehicles_wherever_and_however_it_is_written(
    value: Any, soc_pct: float, more: dict[str, str]
) -> None:
    (found,) = one({"value": value, "measurand": "SoC", **more})
    assert found.soc_pct == soc_pct


@pytest.mark.parametrize(
    "context",
    [
        "Sample.Periodic",
        "Sample.Clock",
        "Transaction.End",
        "Transaction.Begin",
        "Trigger",
        "Other",
        "Odd",
        7,
        None,
    ],
)
def test_every_context_alone_is_a_reading(context: Any) -> None:
    (found,) = one({"value": "900", "measurand": POWER, "context": context})
    assert found.power_w == 900.0


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("phase", [{}, {"phase": "L1"}])
def test_a_value_from_the_begin_does_not_overwrite_the_one_of_now(order: int, phase: dict[str, str]) -> None:
    """Some put both into one entry at the end of a transaction."""
    both = [
        {"value": "100", "measurand": ENERGY, "context": "Transaction.Begin", **phase},
        {"value": "5000", "measurand": ENERGY, "context": "Transaction.End", **phase},
    ]
    (found,) = one(*both[::order])
    assert found.import_wh == 5_000.0


@pytest.mark.parametrize("multiplier", [3, "3", 3.0])
def test_a_multiplier_is_a_number_in_any_form(multiplier: Any) -> None:
    (found,) = one(
        {"value": 7.4, "measurand": POWER, "unitOfMeasure": {"unit": "W", "multiplier": multiplier}}
    )
    assert found.power_w == pytest.approx(7_400.0)


@pytest.mark.parametrize("names", [("L1", "L2", "L3"), ("L1-N", "L2-N", "L3-N")])
def test_phases_that_run_against_each_other_are_added_with_their_signs(names: tuple[str, ...]) -> None:
    watts = (3_000.0, -1_000.0, 500.0)
    (found,) = one(
        *({"value": w, "measurand": POWER, "phase": n} for w, n in zip(watts, names, strict=True)),
        {"value": 9, "measurand": POWER, "phase": "N"},
    )
    assert found.power_w == 2_500.0


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
    for key in ("measurand", "location", "phase", "unit", "unitOfMeasure", "context"):
        assert isinstance(
            read_samples([{"timestamp": AT, "sampledValue": [{"value": 1, key: anything}]}]), list
        )
