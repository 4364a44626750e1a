"""What the validators accept, what they refuse, and with which error code."""

import subprocess
import sys

import msgspec
import pytest

from tests.field.ocpp.samples import sample
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, SENDS, VERSIONS, Version, known_actions
from v2g_edge.field.ocpp.wire.schemas import PROBLEMS_MAX, problems


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_payload_of_every_message_conforms(version: Version) -> None:
    for action in sorted(known_actions(version)):
        assert problems(version, action, "request", sample(version, action, "request")) == ()
        assert problems(version, action, "response", sample(version, action, "response")) == ()
    for action in SENDS[version]:
        assert problems(version, action, "request", sample(version, action, "request")) == ()


AT = "2026-01-01T00:00:00Z"
STATUS_16 = {"connectorId": "1", "errorCode": "NoError", "status": "Available"}
STATUS_2 = {"timestamp": "yesterday", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}


@pytest.mark.parametrize(
    ("version", "action", "payload", "code", "where"),
    [
        ("1.6", "BootNotification", {"chargePointVendor": "a"}, "OccurrenceConstraintViolation", ""),
        ("1.6", "StatusNotification", STATUS_16, "TypeConstraintViolation", "connectorId"),
        ("1.6", "Heartbeat", {"x": 1}, "FormatViolation", ""),
        (
            "2.0.1",
            "MeterValues",
            {"evseId": 1, "meterValue": []},
            "OccurrenceConstraintViolation",
            "meterValue",
        ),
        ("2.0.1", "StatusNotification", STATUS_2, "PropertyConstraintViolation", "timestamp"),
        (
            "2.1",
            "NotifyDERAlarm",
            {"controlType": "None", "timestamp": AT},
            "PropertyConstraintViolation",
            "controlType",
        ),
        ("2.1", "Heartbeat", [], "TypeConstraintViolation", ""),
    ],
)
def test_each_kind_of_mistake_has_its_error_code(
    version: Version, action: str, payload: object, code: str, where: str
) -> None:
    found = problems(version, action, "request", payload)
    assert [(problem.code, problem.where) for problem in found] == [(code, where)]


def test_one_decimal_digit_is_allowed_in_1_6_and_two_are_not() -> None:
    def limit(value: float) -> dict[str, object]:
        period = {"startPeriod": 0, "limit": value}
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
        return {
            "connectorId": 1,
            "csChargingProfiles": {
                "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative", "chargingSchedule": schedule,
            },
        }  # fmt: skip

    assert all(
        problems("1.6", "SetChargingProfile", "request", limit(tenths / 10)) == ()
        for tenths in range(-5000, 5000)
    )
    assert (
        problems("1.6", "SetChargingProfile", "request", limit(16.25))[0].code
        == "PropertyConstraintViolation"
    )


def test_a_hostile_payload_is_told_in_a_bounded_number_of_problems() -> None:
    assert (
        len(problems("2.0.1", "SetVariables", "request", {"setVariableData": [{"a": 1}] * 60}))
        == PROBLEMS_MAX
    )
    assert len(problems("2.0.1", "SetVariables", "request", {"setVariableData": [{"a": 1}] * 1000})) == 1


def test_nesting_deeper_than_the_validator_walks_is_a_problem_and_no_crash() -> None:
    deep: object = 1
    for _ in range(800):
        deep = [deep]
    payload = {"vendorId": "a", "data": deep}
    assert isinstance(problems("2.1", "DataTransfer", "request", payload), tuple)


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    period = {"startPeriod": 0, "limit": float("nan")}
    payload = {
        "duration": 1,
        "evseId": 1,
        "scheduleStart": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [period],
    }
    assert (
        problems("2.0.1", "GetCompositeSchedule", "response", {"status": "Accepted", "schedule": payload})
        != ()
    )


def test_an_empty_answer_is_let_out_exactly_where_the_schema_takes_it() -> None:
    for version, actions in FROM_STATION.items():
        for action in actions:
            machine = Machine(version, "central")
            machine.receive(msgspec.json.encode([2, "1", action, sample(version, action, "request")]), 0.0)
            if problems(version, action, "response", {}):
                with pytest.raises(ValueError, match=action):
                    machine.answer("1", {})
            else:
                machine.answer("1", {})
                assert machine.frames() == [b'[3,"1",{}]']


def test_a_schema_is_read_without_importing_the_packages_classes() -> None:
    """They are hundreds for each version, and made at the first message they held up all stations for a
    second.
    """
    code = (
        "import sys; from v2g_edge.field.ocpp.wire.schemas import problems\n"
        "for version in ('1.6', '2.0.1', '2.1'): problems(version, 'Heartbeat', 'request', {})\n"
        "print(*sorted(name for name in sys.modules if name.startswith('ocpp.')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert told.stdout.split() == []
