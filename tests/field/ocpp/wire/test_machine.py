"""Bytes in, events and bytes out: the promises of the message machine, without any socket."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field.ocpp.samples import keys, property_names, sample
from v2g_edge.field.ocpp.wire.events import (
    Answered,
    AnswerRejected,
    CallIn,
    Duplicate,
    Event,
    Expired,
    Refused,
    SendIn,
    Stray,
)
from v2g_edge.field.ocpp.wire.frames import FRAME_MAX
from v2g_edge.field.ocpp.wire.machine import (
    SAFETY_PATIENCE_S,
    SETPOINT_PATIENCE_S,
    SETTLED_MAX,
    TIMEOUT_S,
    Machine,
)
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, FROM_STATION, SENDS, VERSIONS, Version
from v2g_edge.field.ocpp.wire.queue import BULK, QUEUE_MAX, SAFETY, SETPOINT
from v2g_edge.field.ocpp.wire.schemas import schema

BOOT_16 = {"chargePointVendor": "a", "chargePointModel": "b"}


def central(version: Version = "2.1", **options: Any) -> Machine:
    return Machine(version, "central", prefix="c", **options)


def sent(machine: Machine) -> list[Any]:
    return [msgspec.json.decode(frame) for frame in machine.frames()]


def told(machine: Machine, *parts: Any, now_s: float = 0.0) -> list[Event]:
    machine.receive(msgspec.json.encode(list(parts)), now_s)
    return machine.events()


def carry(source: Machine, target: Machine) -> list[Event]:
    for frame in source.frames():
        target.receive(frame, 0.0)
    return target.events()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_property_of_every_message_goes_out_and_comes_back_unchanged(version: Version) -> None:
    wanted, seen = set[str](), set[str]()
    for role, actions in (("station", FROM_STATION[version]), ("central", FROM_CENTRAL[version])):
        caller = Machine(version, "station" if role == "station" else "central")
        callee = Machine(version, "central" if role == "station" else "station")
        for action in sorted(actions):
            request, response = sample(version, action, "request"), sample(version, action, "response")
            caller.call(action, request, 0.0)
            (call,) = carry(caller, callee)
            assert isinstance(call, CallIn)
            assert (call.action, call.payload, call.problems) == (action, request, ())
            callee.answer(call.id, response)
            (answer,) = carry(callee, caller)
            assert isinstance(answer, Answered)
            assert (answer.payload, answer.problems) == (response, ())
            seen |= keys(request) | keys(response)
            wanted |= property_names(schema(version, action, "request")) | property_names(
                schema(version, action, "response")
            )
    for action in SENDS[version]:
        request = sample(version, action, "request")
        station = Machine(version, "station")
        station.send(action, request)
        assert carry(station, central(version)) == [SendIn(action, request)]
        seen |= keys(request)
        wanted |= property_names(schema(version, action, "request"))
    assert seen == wanted
    assert len(wanted) == {"1.6": 96, "2.0.1": 244, "2.1": 555}[version]


def test_a_call_is_answered_under_its_own_id() -> None:
    machine = central("1.6")
    assert told(machine, 2, "a1", "Heartbeat", {}) == [CallIn("a1", "Heartbeat", {})]
    machine.answer("a1", {"currentTime": "2026-01-01T00:00:00Z"})
    assert sent(machine) == [[3, "a1", {"currentTime": "2026-01-01T00:00:00Z"}]]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_action_is_not_implemented_and_a_known_one_for_the_other_side_is_not_supported(
    version: Version,
) -> None:
    machine = central(version)
    assert told(machine, 2, "1", "MakeCoffee", {}) == []
    assert told(machine, 2, "2", "Reset", {"type": "Soft"}) == []
    assert [(frame[0], frame[1], frame[2]) for frame in sent(machine)] == [
        (4, "1", "NotImplemented"),
        (4, "2", "NotSupported"),
    ]


def test_an_action_that_the_owner_does_not_handle_is_not_supported() -> None:
    machine = central("2.1", handles=frozenset({"Heartbeat"}))
    told(machine, 2, "1", "BatterySwap", sample("2.1", "BatterySwap", "request"))
    assert sent(machine)[0][:3] == [4, "1", "NotSupported"]


def test_a_handler_may_call_out_before_it_answers() -> None:
    machine = central("1.6")
    told(machine, 2, "b", "BootNotification", BOOT_16)
    machine.call("GetConfiguration", {}, 0.0)
    machine.answer("b", {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300})
    assert [frame[0] for frame in sent(machine)] == [2, 3]


def test_a_wrong_payload_is_refused_when_strict_and_passed_on_with_its_problems_when_lenient() -> None:
    wrong = {"connectorId": 1, "errorCode": "NoError", "status": "Sleeping"}
    strict, lenient = central("1.6"), central("1.6", strict=False)
    assert told(strict, 2, "1", "StatusNotification", wrong) == []
    assert sent(strict)[0][:3] == [4, "1", "PropertyConstraintViolation"]
    (call,) = told(lenient, 2, "1", "StatusNotification", wrong)
    assert isinstance(call, CallIn)
    assert [problem.where for problem in call.problems] == ["status"]
    assert sent(lenient) == []


def test_1_6_spells_its_error_codes_as_its_own_specification_does() -> None:
    machine = central("1.6")
    told(machine, 2, "1", "Heartbeat", {"x": 1})
    told(machine, 2, "2", "BootNotification", {})
    assert [frame[2] for frame in sent(machine)] == ["FormationViolation", "OccurenceConstraintViolation"]


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "3", '{"a":1}', "[2]", '[2,{},"Heartbeat",{}]', '[2,"","Heartbeat",{}]', "[" * 100_000],
)
def test_a_frame_whose_id_cannot_be_read_is_answered_with_minus_one(frame: str) -> None:
    machine = central("2.0.1")
    machine.receive(frame, 0.0)
    assert [type(event) for event in machine.events()] == [Stray]
    assert [reply[:3] for reply in sent(machine)] == [[4, "-1", "RpcFrameworkError"]]


def test_1_6_knows_no_minus_one_and_answers_unreadable_frames_only_when_they_are_calls() -> None:
    machine = central("1.6")
    machine.receive("garbage", 0.0)
    assert sent(machine) == []
    machine.receive('[2,"x"]', 0.0)
    assert sent(machine)[0][:3] == [4, "x", "ProtocolError"]


def test_an_unknown_message_type_is_named_in_2_x_and_ignored_in_1_6() -> None:
    newer, older = central("2.1"), central("1.6")
    told(newer, 9, "1", "Heartbeat", {})
    told(older, 9, "1", "Heartbeat", {})
    assert sent(newer)[0][:3] == [4, "1", "MessageTypeNotSupported"]
    assert sent(older) == []


def test_numbers_as_ids_go_back_as_numbers_to_lenient_stations_only() -> None:
    lenient, strict = central("1.6", strict=False), central("1.6")
    told(lenient, 2, 77, "Heartbeat", {})
    lenient.answer(77, {"currentTime": "2026-01-01T00:00:00Z"})
    assert sent(lenient)[0][:2] == [3, 77]
    told(strict, 2, 77, "Heartbeat", {})
    assert sent(strict)[0][:2] == [4, "-1"]


def test_an_oversized_frame_is_refused_unread() -> None:
    machine = central("2.1")
    machine.receive(b" " * (FRAME_MAX + 1), 0.0)
    assert sent(machine)[0][:3] == [4, "-1", "RpcFrameworkError"]


def test_one_call_is_outstanding_and_the_next_goes_out_when_it_is_answered() -> None:
    machine = central("1.6")
    first = machine.call("ClearCache", {}, 0.0)
    second = machine.call("GetLocalListVersion", {}, 0.0)
    assert [frame[1] for frame in sent(machine)] == [first]
    assert told(machine, 3, first, {"status": "Accepted"}) == [
        Answered(first, "ClearCache", {"status": "Accepted"})
    ]
    assert [frame[1] for frame in sent(machine)] == [second]


def test_a_refusal_of_our_call_frees_the_line() -> None:
    machine = central("1.6")
    first = machine.call("ClearCache", {}, 0.0)
    machine.call("GetLocalListVersion", {}, 0.0)
    assert told(machine, 4, first, "NotSupported", "no cache", {}) == [
        Refused(first, "ClearCache", "NotSupported", "no cache")
    ]
    assert machine.next_deadline_s() == TIMEOUT_S


def test_a_call_expires_at_its_deadline_and_its_answer_is_late_once_then_a_duplicate() -> None:
    machine = central("1.6")
    first = machine.call("ClearCache", {}, 10.0, timeout_s=5.0)
    machine.tick(14.9)
    assert machine.events() == []
    machine.tick(15.0)
    assert machine.events() == [Expired(first, "ClearCache", "deadline", sent=True)]
    assert told(machine, 3, first, {"status": "Accepted"}) == [
        Answered(first, "ClearCache", {"status": "Accepted"}, late=True)
    ]
    assert told(machine, 3, first, {"status": "Accepted"}) == [Duplicate(first, "ClearCache")]
    assert [type(event) for event in told(machine, 3, "never", {})] == [Stray]


def test_a_late_answer_does_not_end_the_call_that_is_outstanding_now() -> None:
    machine = central("1.6")
    first = machine.call("ClearCache", {}, 0.0)
    second = machine.call("GetConfiguration", {}, 0.0)
    machine.tick(TIMEOUT_S)
    told(machine, 3, first, {"status": "Accepted"})
    assert told(machine, 3, second, {}) == [Answered(second, "GetConfiguration", {})]


def test_a_safety_call_passes_everything_and_does_not_wait_for_a_slow_answer() -> None:
    machine = central("1.6")
    slow = machine.call("GetConfiguration", {}, 0.0)
    machine.call("ClearCache", {}, 0.0, priority=BULK)
    machine.call("GetLocalListVersion", {}, 0.0, priority=SETPOINT)
    stop = machine.call("ClearChargingProfile", {}, 1.0, priority=SAFETY)
    machine.frames()
    assert machine.next_deadline_s() == 1.0 + SAFETY_PATIENCE_S
    machine.tick(1.0 + SAFETY_PATIENCE_S)
    assert machine.events() == [Expired(slow, "GetConfiguration", "gave_way", sent=True)]
    assert [frame[1] for frame in sent(machine)] == [stop]


def test_a_lease_waits_a_little_for_a_question_and_not_at_all_longer() -> None:
    machine = central("1.6")
    question = machine.call("GetConfiguration", {}, 0.0, priority=BULK)
    machine.call("ClearCache", {}, 10.0, priority=SETPOINT)
    machine.call("GetLocalListVersion", {}, 10.0)
    assert machine.next_deadline_s() == 10.0 + SETPOINT_PATIENCE_S
    machine.tick(10.0 + SETPOINT_PATIENCE_S)
    assert machine.events() == [Expired(question, "GetConfiguration", "gave_way", sent=True)]
    machine.call("GetConfiguration", {}, 13.0)
    assert machine.next_deadline_s() == 10.0 + SETPOINT_PATIENCE_S + TIMEOUT_S


def test_a_newer_setpoint_replaces_the_queued_one_of_its_key_and_keeps_its_place() -> None:
    machine = central("1.6")
    line = machine.call("GetConfiguration", {}, 0.0)
    old = machine.call("ClearCache", {}, 0.0, priority=SETPOINT, key="evse1")
    other = machine.call("GetLocalListVersion", {}, 0.0, priority=SETPOINT, key="evse2")
    new = machine.call("ClearCache", {}, 0.0, priority=SETPOINT, key="evse1")
    assert machine.events() == [Expired(old, "ClearCache", "replaced", sent=False)]
    told(machine, 3, line, {})
    told(machine, 3, new, {"status": "Accepted"})
    assert [frame[1] for frame in sent(machine)] == [line, new, other]


def test_the_queue_is_bounded_and_the_least_urgent_newest_call_falls_out() -> None:
    machine = central("1.6")
    ids = [machine.call("ClearCache", {}, 0.0) for _ in range(QUEUE_MAX + 1)]
    assert machine.events() == []
    urgent = machine.call("ClearCache", {}, 0.0, priority=SETPOINT)
    assert machine.events() == [Expired(ids[-1], "ClearCache", "queue_full", sent=False)]
    bulk = machine.call("ClearCache", {}, 0.0, priority=BULK)
    assert machine.events() == [Expired(bulk, "ClearCache", "queue_full", sent=False)]
    told(machine, 3, ids[0], {"status": "Accepted"})
    assert sent(machine)[-1][1] == urgent


def test_when_the_link_dies_every_waiting_call_is_told() -> None:
    machine = central("1.6")
    told(machine, 2, "x", "Heartbeat", {})
    out, queued = machine.call("ClearCache", {}, 0.0), machine.call("ClearCache", {}, 0.0)
    machine.lost()
    assert machine.events() == [
        Expired(out, "ClearCache", "link_lost", sent=True),
        Expired(queued, "ClearCache", "link_lost", sent=False),
    ]
    machine.answer("x", {"currentTime": "2026-01-01T00:00:00Z"})
    assert (machine.frames(), machine.idle()) == ([], True)


def test_a_wrong_answer_is_thrown_away_when_strict_and_in_2_1_the_peer_is_told() -> None:
    strict, lenient, older = central("2.1"), central("2.1", strict=False), central("2.0.1")
    for machine in (strict, lenient, older):
        machine.call("ClearCache", {}, 0.0)
        machine.frames()
    (refused,) = told(strict, 3, "c1", {"status": "Perhaps"})
    assert isinstance(refused, Refused)
    assert refused.code == "FormatViolation"
    assert sent(strict)[0][:3] == [5, "c1", "PropertyConstraintViolation"]
    (answered,) = told(lenient, 3, "c1", {"status": "Perhaps"})
    assert isinstance(answered, Answered)
    assert len(answered.problems) == 1
    told(older, 3, "c1", {"status": "Perhaps"})
    assert sent(older) == []


def test_an_error_about_our_answer_is_told() -> None:
    assert told(central("2.1"), 5, "9", "FormatViolation", "no", {}) == [
        AnswerRejected("9", "FormatViolation", "no")
    ]


def test_an_unconfirmed_message_of_an_older_version_is_a_stray() -> None:
    stream = sample("2.1", "NotifyPeriodicEventStream", "request")
    machine = central("2.0.1")
    assert [type(event) for event in told(machine, 6, "1", "NotifyPeriodicEventStream", stream)] == [Stray]
    with pytest.raises(ValueError, match="not an unconfirmed message"):
        machine.send("NotifyPeriodicEventStream", stream)


def test_our_own_wrong_payloads_never_leave() -> None:
    machine = central("1.6")
    told(machine, 2, "1", "Heartbeat", {})
    with pytest.raises(ValueError, match="status"):
        machine.answer("1", {"status": "x", "currentTime": "2026-01-01T00:00:00Z"})
    with pytest.raises(ValueError, match="Reset"):
        machine.call("Reset", {"type": "Gentle"}, 0.0)
    assert machine.frames() == []
    machine.refuse("1", "InternalError")
    assert sent(machine) == [[4, "1", "InternalError", "", {}]]


def test_memory_of_settled_calls_is_bounded() -> None:
    machine = central("1.6")
    for _ in range(SETTLED_MAX + 1):
        told(machine, 3, machine.call("ClearCache", {}, 0.0), {"status": "Accepted"})
    assert [type(event) for event in told(machine, 3, "c1", {"status": "Accepted"})] == [Stray]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    version=st.sampled_from(VERSIONS),
    strict=st.booleans(),
    kind=st.integers(0, 8) | json_values,
    message_id=st.text(max_size=40) | json_values,
    action=st.sampled_from(["Heartbeat", "MeterValues", "Reset", "Nonsense"]) | json_values,
    payload=json_values,
)
def test_every_call_is_answered_or_handed_up_and_nothing_raises(
    version: Version, strict: bool, kind: object, message_id: object, action: object, payload: object
) -> None:
    machine = central(version, strict=strict)
    machine.receive(msgspec.json.encode([kind, message_id, action, payload]), 0.0)
    told_up = [event for event in machine.events() if isinstance(event, CallIn)]
    replies = sent(machine)
    if kind == 2 and type(kind) is int:
        assert len(told_up) + len(replies) == 1
    assert all(reply[0] == 4 for reply in replies)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_machine(data: bytes) -> None:
    machine = central("2.1")
    machine.receive(data, 0.0)
    assert len(machine.events()) + len(machine.frames()) >= 1
