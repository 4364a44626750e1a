"""How leases and defaults are written: valid in every version, ended by themselves, and never more than
was permitted.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.field.ocpp.control.test_outlet_port import VERSIONS
from v2g_edge.field.ocpp.vocabulary.charging_profiles import (
    DEFAULT_ID,
    LADDER,
    LEASE_ID,
    NOMINAL_V,
    Lease,
    Shape,
    default_profile,
    lease_profile,
)
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.schemas import problems
from v2g_edge.field.ocpp.wire.timestamps import parse_wall

LEASE = Lease(2, "41", -5_000.0, 1_772_366_400.0, 30)
POWERS = st.floats(-350_000.0, 350_000.0)


def parts(version: Version, payload: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The profile, its schedule and the one period of it."""
    profile = payload["csChargingProfiles" if version == "1.6" else "chargingProfile"]
    schedule = profile["chargingSchedule"] if version == "1.6" else profile["chargingSchedule"][0]
    (period,) = schedule["chargingSchedulePeriod"]
    return profile, schedule, period


def rate_of(period: dict[str, Any]) -> float:
    """What a period commands: its setpoint where it has one, else its limit."""
    rate: float = period.get("setpoint", period["limit"])
    return rate


@pytest.mark.parametrize("version", VERSIONS)
@given(power_w=POWERS, shape=st.sampled_from(LADDER), phases=st.sampled_from([1, 3]), setpoint=st.booleans())
def test_every_lease_fits_the_schema_and_ends_by_itself(
    version: Version, power_w: float, shape: Shape, phases: int, setpoint: bool
) -> None:
    lease = replace(LEASE, power_w=power_w, shape=shape, phases=phases, setpoint=setpoint)
    payload = lease_profile(version, lease)
    assert problems(version, "SetChargingProfile", "request", payload) == ()
    profile, schedule, period = parts(version, payload)
    assert (schedule["duration"], schedule["chargingRateUnit"]) == (30, shape.unit)
    assert parse_wall(schedule["startSchedule"]) == LEASE.start_wall_s
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["chargingProfileKind"] == "Absolute"
    assert str(profile["transactionId"]) == "41"
    assert parse_wall(profile.get("validTo")) == (
        LEASE.start_wall_s + 30.0 if shape.valid_to and version != "1.6" else None
    )
    if version == "2.1":
        assert (profile["maxOfflineDuration"], profile["invalidAfterOfflineDuration"]) == (30, True)
    assert period["startPeriod"] == 0


@pytest.mark.parametrize("version", VERSIONS)
@given(power_w=POWERS, shape=st.sampled_from(LADDER), phases=st.sampled_from([1, 3]), setpoint=st.booleans())
def test_rounding_goes_towards_zero_by_less_than_a_watt_or_a_tenth_of_an_ampere(
    version: Version, power_w: float, shape: Shape, phases: int, setpoint: bool
) -> None:
    lease = replace(LEASE, power_w=power_w, shape=shape, phases=phases, setpoint=setpoint)
    rate = rate_of(parts(version, lease_profile(version, lease))[2])
    unit_w = 1.0 if shape.unit == "W" else NOMINAL_V * phases
    assert abs(rate) * unit_w <= abs(power_w) * (1.0 + 1e-12)
    assert abs(power_w) - abs(rate) * unit_w < (1.0 if shape.unit == "W" else 0.1 * unit_w) + 1e-6
    assert rate * power_w >= 0.0


@pytest.mark.parametrize("version", VERSIONS)
@given(fallback_w=st.floats(0.0, 350_000.0), shape=st.sampled_from(LADDER), phases=st.sampled_from([1, 3]))
def test_every_default_fits_the_schema_has_no_end_and_never_discharges(
    version: Version, fallback_w: float, shape: Shape, phases: int
) -> None:
    payload = default_profile(version, 2, fallback_w, phases=phases, shape=shape)
    assert problems(version, "SetChargingProfile", "request", payload) == ()
    profile, schedule, period = parts(version, payload)
    assert profile["chargingProfilePurpose"] == "TxDefaultProfile"
    assert {"validTo", "maxOfflineDuration", "transactionId"}.isdisjoint(profile)
    assert {"duration", "startSchedule"}.isdisjoint(schedule)
    assert 0.0 <= period["limit"] * (1.0 if shape.unit == "W" else NOMINAL_V * phases) <= fallback_w + 1e-9


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lease_keeps_its_id_and_stands_apart_from_the_default(version: Version) -> None:
    lease, default = lease_profile(version, LEASE), default_profile(version, 2, 6_000.0)
    key = "chargingProfileId" if version == "1.6" else "id"
    assert (parts(version, lease)[0][key], parts(version, default)[0][key]) == (LEASE_ID + 2, DEFAULT_ID + 2)
    assert parts(version, lease_profile(version, replace(LEASE, power_w=7_000.0)))[0][key] == LEASE_ID + 2


def test_discharge_in_2_1_is_a_setpoint_beside_a_limit_of_zero_and_a_negative_limit_elsewhere() -> None:
    told = replace(LEASE, setpoint=True)
    assert parts("2.1", lease_profile("2.1", told))[2] == {
        "startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -5_000, "limit": 0,
        "dischargeLimit": -5_000,
    }  # fmt: skip
    for version in ("1.6", "2.0.1"):
        assert parts(version, lease_profile(version, told))[2] == {"startPeriod": 0, "limit": -5_000}


@pytest.mark.parametrize("version", VERSIONS)
@given(power_w=POWERS, phases=st.sampled_from([1, 3]))
def test_amperes_are_rounded_towards_zero(version: Version, power_w: float, phases: int) -> None:
    lease = replace(LEASE, power_w=power_w, phases=phases, shape=Shape("A", valid_to=False))
    _, _, period = parts(version, lease_profile(version, lease))
    said_w = rate_of(period) * NOMINAL_V * phases
    assert abs(said_w) <= abs(power_w) + 1e-6
    assert abs(said_w) >= abs(power_w) - 0.1 * NOMINAL_V * phases - 1e-6
