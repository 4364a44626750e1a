"""T7: bad data neither trips a healthy grid by itself, nor hides a sick one, nor keeps export going
without proof.
"""

from typing import Any

import pytest

from tests.conformance.cases_file import load
from tests.conformance.grid import CODES, MAX_AGE_S, RATE_HZ, Corrupt, Rig, code_of
from v2g_edge.envelope.gridtrip import pickup_s
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.snapshot import GridSample

FAULTS = load("data_faults")["faults"]
WORD_SWAPPED = 1.4e-41
"""230.0 as a float whose two registers were exchanged is a denormal; so is 50.0."""


def all_of(sample: GridSample, measured: Measured) -> GridSample:
    return GridSample(sample.at_s, (measured, measured, measured), measured)


def broken(kind: str, sample: GridSample) -> GridSample:
    at_s = sample.at_s
    match kind:
        case "nan":
            return all_of(sample, Reading(float("nan"), at_s))
        case "infinite":
            return all_of(sample, Reading(float("-inf"), at_s))
        case "unknown":
            return all_of(sample, Unknown("exception 6"))
        case "unknown_phase":
            return GridSample(at_s, (sample.v[0], Unknown("sentinel"), sample.v[2]), sample.hz)
        case "unknown_frequency":
            return GridSample(at_s, sample.v, Unknown("scale factor missing"))
        case "old_readings":
            aged = [Reading(v.value, at_s - 3.0) for v in sample.v if isinstance(v, Reading)]
            return GridSample(at_s, (aged[0], aged[1], aged[2]), sample.hz)
        case "word_swapped":
            return all_of(sample, Reading(WORD_SWAPPED, at_s))
        case "stale_reply":
            return GridSample(900.0, sample.v, sample.hz)
        case "from_the_future":
            return GridSample(at_s + 3600.0, sample.v, sample.hz)
        case "clock_back":
            return GridSample(at_s - 3600.0, sample.v, sample.hz)
    raise AssertionError(kind)


def corrupting(fault: dict[str, Any]) -> Corrupt:
    def corrupt(sample: GridSample, index: int) -> GridSample:
        # The first sample of an excursion is left alone: what was never seen can start no delay.
        return broken(fault["kind"], sample) if index % fault["every"] == fault["every"] - 1 else sample

    return corrupt


def rows() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "fault", [pytest.param(fault, id=f"{fault['kind']}-1in{fault['every']}") for fault in FAULTS]
    )


@rows()
@pytest.mark.parametrize("code", CODES)
def test_on_a_healthy_grid(code: str, fault: dict[str, Any]) -> None:
    rig = Rig(code_of(code), tick_s=0.1, running=True)
    rig.hold(3.0)
    rig.hold(MAX_AGE_S + 24.0, corrupt=corrupting(fault))
    assert bool(rig.trips) == fault.get("trips", False)
    assert (rig.share == 1.0) == fault.get("quiet", False)
    if fault.get("blind"):
        ended_s = next(at_s for at_s, verdict in rig.verdicts if verdict.share == 0.0)
        assert ended_s - 1003.0 <= MAX_AGE_S + 0.2


@rows()
@pytest.mark.parametrize("code", CODES)
def test_during_an_undervoltage_the_trip_is_not_later(code: str, fault: dict[str, Any]) -> None:
    profile = code_of(code)
    slowest = max((e for e in profile.elements if e.quantity == "voltage_low"), key=lambda e: e.threshold)
    clean, dirty = Rig(profile, tick_s=0.1, running=True), Rig(profile, tick_s=0.1, running=True)
    seconds = pickup_s(profile, slowest) + MAX_AGE_S + 1.0
    for rig, corrupt in ((clean, None), (dirty, corrupting(fault))):
        rig.hold(3.0)
        rig.hold(1.0 / RATE_HZ, slowest.threshold - 0.02)
        rig.hold(seconds, slowest.threshold - 0.02, corrupt=corrupt)
    late_s = dirty.trips[slowest.id].at_s - clean.trips[slowest.id].at_s
    assert late_s <= fault["every"] / RATE_HZ if fault["every"] > 1 else late_s <= MAX_AGE_S + 0.2
    assert dirty.share == 0.0


@rows()
@pytest.mark.parametrize("code", CODES)
def test_bad_data_never_shortens_the_way_back(code: str, fault: dict[str, Any]) -> None:
    profile = code_of(code)
    seconds = profile.enter_service.delay_s + 10.0
    clean, dirty = Rig(profile), Rig(profile)
    clean.hold(seconds, rate_hz=4.0)
    dirty.hold(seconds, rate_hz=4.0, corrupt=corrupting(fault))
    assert clean.share > 0.0
    for (_, with_fault), (_, without) in zip(dirty.verdicts, clean.verdicts, strict=True):
        assert with_fault.share <= without.share
