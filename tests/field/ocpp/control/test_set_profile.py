"""Setting a profile at a station that does not like it: what is tried, in which order, and when it is
hopeless.
"""

from typing import Any

import pytest

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.control.test_outlet_port import EVSE, VERSIONS, charging
from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.test_server import permit
from v2g_edge.field.ocpp.control import outlet_port
from v2g_edge.field.ocpp.control.set_profile import is_hopeless, says_no_transaction
from v2g_edge.field.ocpp.vocabulary.charging_profiles import LADDER
from v2g_edge.field.ocpp.wire.events import Answered, Refused
from v2g_edge.field.ocpp.wire.messages import Version


def shapes(station: Peer, skip: int) -> list[tuple[str, bool, int]]:
    """Unit, end and level of the profiles that it was given, after the first ``skip``."""
    profiles = [payload["chargingProfile"] for payload in station.got("SetChargingProfile")[skip:]]
    return [(p["chargingSchedule"][0]["chargingRateUnit"], "validTo" in p, p["stackLevel"]) for p in profiles]


async def test_what_stands_in_the_way_is_cleared_once_then_each_shape_is_tried_once(depot: Depot) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    before = len(station.got("SetChargingProfile"))
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    assert await port.write_permit(permit("b2", 6_000.0)) == "rejected"
    ladder = [(shape.unit, shape.valid_to, shape.stack_level) for shape in LADDER]
    assert shapes(station, before) == [ladder[0], *ladder, ladder[0]], (
        "and 0 W last, where the default would allow more"
    )
    assert station.got("ClearChargingProfile") == [
        {"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxProfile"}}
    ]
    await station.close()


async def test_the_default_of_the_others_is_not_cleared(depot: Depot) -> None:
    """1.6: by connector and purpose."""
    station, port = await charging(depot, "1.6"), depot.central.ports["b1"]
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    await port.write_permit(permit("b1", 6_000.0))
    assert station.got("ClearChargingProfile") == [{"connectorId": 1, "chargingProfilePurpose": "TxProfile"}]
    await station.close()


async def test_a_station_that_does_not_answer_is_not_asked_again_in_other_words(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet_port, "ANSWER_S", 0.02)
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    before = len(station.got("SetChargingProfile"))
    station.scripts["SetChargingProfile"] = lambda _: None
    assert await port.write_permit(permit("b2", 6_000.0)) == "silent"
    await station.call("Heartbeat", {})
    assert len(shapes(station, before)) == 1
    assert station.got("ClearChargingProfile") == []
    await station.close()


async def test_without_smart_charging_no_other_shape_helps(depot: Depot) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    before = len(station.got("SetChargingProfile"))

    def unknown(_: dict[str, Any]) -> dict[str, Any]:
        return {"no": "answer that the schema knows: the peer answers NotSupported"}

    station.scripts["SetChargingProfile"] = unknown
    assert await port.write_permit(permit("b2", 6_000.0)) == "rejected"
    assert len(shapes(station, before)) == 2, "once, and once more after clearing"
    await station.close()


async def test_what_worked_is_tried_first_and_given_up_when_it_works_no_more(depot: Depot) -> None:
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    taken: list[tuple[str, bool, int]] = []

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        p = payload["chargingProfile"]
        shape = (p["chargingSchedule"][0]["chargingRateUnit"], "validTo" in p, p["stackLevel"])
        return {"status": "Accepted" if shape in taken else "Rejected"}

    station.scripts["SetChargingProfile"] = answer
    for taken in ([("A", False, 0)], [("W", False, 1)]):
        assert await port.write_permit(permit("b2", 6_000.0)) == "accepted"
        before = len(station.got("SetChargingProfile"))
        assert await port.write_permit(permit("b2", 6_000.0)) == "accepted"
        assert shapes(station, before) == taken
    await until(lambda: station.got("SetVariables"))
    await station.close()


SESSION_IS_OVER = (
    "TxNotFound",
    "UnknownTxId",
    "TxProfileEvseHasNoActiveTransaction",
    "TxProfileTransactionNotOnEvse",
    "NoActiveTransaction",
    "no active transaction",
    "Transaction not found",
    "transaction does not exist",
    "Unknown transactionId 17",
    "InvalidTransactionId",
    "No transaction running at EVSE 1",
    "transactionId mismatch",
    "Transaction is not active",
    "no such transaction",
)
OTHER_REASONS = (
    "InvalidProfile",
    "InvalidSchedule",
    "InvalidStackLevel",
    "InvalidTxProfile",
    "NoTxDefaultProfile",
    "TxProfileConflictingStackLevel",
    "TxProfileMissingTransactionId",
    "DuplicateProfile",
    "UnsupportedRateUnit",
    "ValuePositiveOnly",
    "ValueOutOfRange",
    "InternalError",
    "FwUpdateInProgress",
    "UnknownEvse",
    "NotEnabled",
    "TxInProgress",
    "TxStarted",
    "",
)
"""2.x Part 2, appendix 5, libocpp's ProfileValidationResultEnum, and words of people."""


@pytest.mark.parametrize("where", ["reasonCode", "additionalInfo", "error"])
@pytest.mark.parametrize("reason", [*SESSION_IS_OVER, *OTHER_REASONS])
def test_d27_what_a_refusal_says_of_the_session(reason: str, where: str) -> None:
    """A word that speaks of the session is told apart from one that speaks of the profile."""
    answer = {"status": "Rejected", "statusInfo": {"reasonCode": "x", where: reason}}
    outcome = (
        Refused("1", "SetChargingProfile", "GenericError", reason)
        if where == "error"
        else Answered("1", "SetChargingProfile", answer)
    )
    assert says_no_transaction(outcome) is (reason in SESSION_IS_OVER)
    assert not is_hopeless(outcome)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ["Rejected", "NotSupported", "accepted", "Scheduled", "", "Pending"])
async def test_d27_no_status_but_accepted_is_one(depot: Depot, version: Version, status: str) -> None:
    """An unknown word is a refusal: what was not accepted is not in force."""
    evse = EVSE[version]
    station, port = await charging(depot, version), depot.central.ports[evse]
    before = len(station.got("SetChargingProfile"))
    station.scripts["SetChargingProfile"] = lambda _: {"status": status}
    assert await port.write_permit(permit(evse, 6_000.0)) == "rejected"
    assert depot.board.evse(evse).vehicle is not None, "no word of the session"
    tried = len(station.got("SetChargingProfile")) - before
    assert tried == 2 if status == "NotSupported" and version == "1.6" else tried >= 2
    await station.close()


ERRORS = (
    "NotSupported",
    "NotImplemented",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormatViolation",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurrenceConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
    "MessageTypeNotSupported",
    "RpcFrameworkError",
    "NoSuchCode",
)


@pytest.mark.parametrize("code", ERRORS)
def test_d27_of_the_errors_two_say_that_there_is_no_smart_charging(code: str) -> None:
    outcome = Refused("1", "SetChargingProfile", code, "")
    assert is_hopeless(outcome) is (code in ("NotSupported", "NotImplemented"))
    assert not says_no_transaction(outcome)


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({"ongoingIndicator": True, "messagesInQueue": False}, True),
        ({"ongoingIndicator": False, "messagesInQueue": False}, False),
        ({"messagesInQueue": False}, True),
    ],
)
async def test_d27_what_the_station_leaves_out_it_does_not_say(
    depot: Depot, said: dict[str, Any], stays: bool
) -> None:
    """Once in doubt and without an answer, a session is not over yet."""
    station, port = await charging(depot, "2.0.1"), depot.central.ports["b2"]
    info = {"reasonCode": "UnknownTxId"}
    station.scripts["SetChargingProfile"] = lambda _: {"status": "Rejected", "statusInfo": info}
    station.scripts["GetTransactionStatus"] = lambda _: said
    await port.write_permit(permit("b2", 9_000.0))
    await until(lambda: station.got("GetTransactionStatus"))
    await until(lambda: (depot.board.evse("b2").vehicle is not None) is stays)
    await station.call("Heartbeat", {})
    assert (depot.board.evse("b2").vehicle is not None) is stays
    await station.close()
