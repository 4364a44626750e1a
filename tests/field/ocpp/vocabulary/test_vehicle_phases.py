"""D23: which phases a vehicle was seen to draw on."""

import pytest

from v2g_edge.field.ocpp.vocabulary.metering import read_samples
from v2g_edge.field.ocpp.vocabulary.vehicle_phases import SeenPhases

Three = tuple[float, float, float]


def seen(*readings: Three, session: str = "s") -> list[str]:
    phases = SeenPhases()
    return [phases.add(session, reading) for reading in readings]


@pytest.mark.parametrize(
    ("reading", "shown"),
    [
        ((7_000.0, 0.0, 0.0), "L1"),
        ((0.0, 7_000.0, 10.0), "L2"),
        ((3_700.0, 3_600.0, 40.0), "L1L2"),
        ((3_700.0, 40.0, 3_600.0), "L1L3"),
        ((3_700.0, 3_600.0, 3_650.0), "L1L2L3"),
        ((-3_700.0, -3_600.0, -3_650.0), "L1L2L3"),
    ],
)
def test_d23_two_readings_in_a_row_show_the_phases(reading: Three, shown: str) -> None:
    assert seen(reading, reading) == ["", shown]


def test_d23_a_vehicle_that_draws_nothing_shows_nothing_and_takes_nothing_back() -> None:
    assert seen((300.0, 0.0, 0.0), (300.0, 0.0, 0.0)) == ["", ""]
    assert seen((7e3, 0.0, 0.0), (7e3, 0.0, 0.0), (20.0, 20.0, 20.0)) == ["", "L1", "L1"]


def test_d23_a_contradiction_counts_at_once_and_the_next_two_settle_it() -> None:
    three, one = (7e3, 7e3, 7e3), (7e3, 0.0, 0.0)
    assert seen(three, three, one, three, three) == ["", "L1L2L3", "", "", "L1L2L3"]
    assert seen(three, three, one, one) == ["", "L1L2L3", "", "L1"]


def test_d23_phases_that_are_loaded_unevenly_are_not_known() -> None:
    uneven = (7e3, 7e3, 2e3)
    assert seen(uneven, uneven, uneven) == ["", "", ""]


def test_d23_another_session_shows_its_own() -> None:
    phases = SeenPhases()
    for _ in range(2):
        phases.add("first", (7e3, 0.0, 0.0))
    assert phases.add("second", (7e3, 0.0, 0.0)) == ""


def value(measurand: str, amount: float, phase: str) -> dict[str, object]:
    return {"measurand": measurand, "value": amount, "phase": phase}


def on_phases(*sampled: dict[str, object]) -> Three | None:
    (sample,) = read_samples([{"timestamp": "2026-03-01T12:00:00Z", "sampledValue": list(sampled)}])
    return sample.phase_w


def test_d23_powers_and_currents_by_phase_are_read() -> None:
    names = ("L1", "L2", "L3")
    powers = [value("Power.Active.Import", w, p) for w, p in zip((7e3, 0.0, 0.0), names, strict=True)]
    assert on_phases(*powers) == (7e3, 0.0, 0.0)
    amps = [value("Current.Import", a, f"{p}-N") for a, p in zip((32.0, 0.0, 0.0), names, strict=True)]
    assert on_phases(*amps) == (7_360.0, 0.0, 0.0)
    total = {"measurand": "Power.Active.Import", "value": 7_300.0}
    assert on_phases(total, *amps) == (7_360.0, 0.0, 0.0), "also beside a power in all"
    exported = [value("Power.Active.Export", w, p) for w, p in zip((1e3, 1e3, 1e3), names, strict=True)]
    assert on_phases(*exported) == (-1e3, -1e3, -1e3)


def test_d23_a_phase_that_is_not_reported_leaves_all_unknown() -> None:
    assert on_phases(value("Current.Import", 32.0, "L1")) is None
    assert on_phases(value("Power.Active.Import", 7e3, "L1"), value("Power.Active.Import", 0.0, "L2")) is None
    assert on_phases({"measurand": "Current.Import", "value": 32.0}) is None
