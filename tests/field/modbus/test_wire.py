"""One connection: whatever comes back, a request gives registers or a Fault, and nothing is raised past
it.
"""

import asyncio
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.virtual.loop import run_virtual
from tests.field.modbus.conftest import RealClock
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.model.settings import ModbusLine
from v2g_edge.tasks import close_door

VIRTUAL = True

Reply = Callable[[bytes], bytes]


async def ask(replies: list[Reply], *, function: int = 3, count: int = 2) -> list[object]:
    """Ask once per reply against a raw server; exceptions that reach the loop fail the test."""
    pending, faults = iter(replies), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.read(300):
                reply = next(pending, None)
                if reply is None:
                    break
                writer.write(reply(request))
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = Wire(
        ModbusLine("l", host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout_s=0.03),
        RealClock(),
    )
    answers: list[object] = []
    for _ in replies:
        if function in {3, 4}:
            answers.append(await wire.read(1, function, 10, count))
        else:
            answers.append(await wire.write(1, function, 10, [5] * count))
    wire.hang_up()
    await close_door(server)
    await asyncio.sleep(0.01)
    assert faults == []
    return answers


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, "refused"), (4, "refused"), (5, "busy"), (6, "busy"), (10, "silent"), (11, "silent")],
)
async def test_outside_case_a14_busy_is_not_gone(code: int, kind: str) -> None:
    """Exception 6 says "ask again": the values that stand go on growing old, as when nothing was said."""
    (answer,) = await ask([lambda request: request[:4] + struct.pack(">HBBB", 3, 1, 0x83, code)])
    assert isinstance(answer, Fault)
    assert (answer.kind, answer.keeps) == (kind, kind != "refused")
    assert f"exception {code}" in answer.why


def good(request: bytes, tid: bytes | None = None, words: int = 2) -> bytes:
    """The answer to a read of two registers, or one with another transaction id or length."""
    body = bytes([3, 2 * words]) + b"\x00\x2a" * words
    return (tid or request[:2]) + b"\x00\x00" + struct.pack(">HB", len(body) + 1, 1) + body


@pytest.mark.parametrize("before", ["another id", "another length", "another function", "none"])
@pytest.mark.parametrize("after", ["another id", "the same", "none"])
async def test_a_surplus_frame_before_or_after_the_right_one_costs_nothing(before: str, after: str) -> None:
    """In one segment."""

    def reply(request: bytes) -> bytes:
        surplus = {
            "another id": good(request, b"\xab\xcd"),
            "another length": good(request, words=5),
            "another function": request[:4] + b"\x00\x06" + request[6:7] + b"\x06\x00\x01\x00\x02",
            "the same": good(request),
            "none": b"",
        }
        return surplus[before] + good(request) + surplus[after]

    assert await ask([reply, reply]) == [[42, 42], [42, 42]]


@st.composite
def hostile(draw: st.DrawFn) -> Reply:
    """Noise, or a frame that echoes the request's header with a wrong body, length, unit or protocol."""
    body = draw(st.binary(max_size=270))
    kind = draw(st.sampled_from(["noise", "body", "length", "unit", "protocol"]))
    number = draw(st.integers(0, 0xFFFF))
    if kind == "noise":
        return lambda _: body
    if kind == "body":
        return lambda request: request[:4] + struct.pack(">H", len(body) + 1) + request[6:7] + body
    if kind == "length":
        return lambda request: request[:4] + struct.pack(">H", number) + request[6:8] + body
    if kind == "unit":
        return lambda request: request[:4] + struct.pack(">HB", len(body) + 1, number & 0xFF) + body
    return lambda request: request[:2] + struct.pack(">HH", number, len(body) + 1) + request[6:7] + body


@settings(max_examples=60, deadline=None)
@given(st.lists(hostile(), min_size=1, max_size=4), st.sampled_from([3, 4, 6, 16]))
def test_fuzzed_replies_never_raise_past_the_adapter(replies: list[Reply], function: int) -> None:
    for answer in run_virtual(ask(replies, function=function, count=1 if function == 6 else 2)):
        assert answer is None or isinstance(answer, Fault) or len(answer) == 2  # type: ignore[arg-type]


def right(words: list[int], *, function: int = 3) -> Reply:
    return lambda request: (
        request[:4]
        + struct.pack(">HBBB", 3 + 2 * len(words), request[6], function, 2 * len(words))
        + struct.pack(f">{len(words)}H", *words)
    )


async def test_the_right_reply_is_taken_and_the_wrong_ones_are_not() -> None:
    """Too long, too short, another function: dropped, and the connection lives on for the next question."""
    answers = await ask([right([1, 2, 3]), right([1]), right([1, 2], function=4), right([7, 8])])
    assert [isinstance(answer, Fault) for answer in answers] == [True, True, True, False]
    assert answers[-1] == [7, 8]


async def test_an_exception_is_named() -> None:
    def busy(request: bytes) -> bytes:
        return request[:4] + struct.pack(">HBBB", 3, request[6], 0x83, 6)

    assert await ask([busy]) == [Fault("busy", "exception 6 (busy)")]


async def test_a_gateway_that_cannot_reach_its_device_means_silence() -> None:
    def gateway(request: bytes) -> bytes:
        return request[:4] + struct.pack(">HBBB", 3, request[6], 0x83, 11)

    (answer,) = await ask([gateway])
    assert isinstance(answer, Fault)
    assert answer.kind == "silent"


async def test_registers_that_do_not_exist_are_not_asked_for() -> None:
    wire = Wire(ModbusLine("l", host="127.0.0.1", port=1), RealClock())
    assert await wire.read(1, 3, 65_535, 2) == Fault("refused", "registers 65535+2 do not exist")
