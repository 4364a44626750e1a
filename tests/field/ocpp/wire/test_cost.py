"""What a message costs is bounded by its octets and its elements before anything is read, listed or
handled (cases E1, E2).
"""

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest
from websockets.frames import Frame

from sim.virtual.loop import run_virtual
from tests.field.ocpp.samples import sample
from tests.field.ocpp.wire.test_websocket import Raw, visit
from v2g_edge import bounded_json
from v2g_edge.field.ocpp.wire import frames, schemas
from v2g_edge.field.ocpp.wire.budget import (
    BURST_OCTETS,
    INFLATED_FREE,
    INFLATED_MAX,
    MESSAGE_LEAST,
    OCTETS_PER_S,
    Allowance,
)
from v2g_edge.field.ocpp.wire.events import Stray
from v2g_edge.field.ocpp.wire.fast_path import SLICE
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, VERSIONS, Version

HEAD = b'[2,"r1","NotifyReport",{"requestId":1,"generatedAt":"2026-03-01T12:00:00Z","seqNo":0,"reportData":['


def hollow_report(rows: int) -> bytes:
    """The frame of case E1: empty rows, each of which violates the schema."""
    return HEAD + b",".join([b"{}"] * rows) + b"]}]"


async def deflated(port: int, frame: bytes) -> tuple[Raw, int]:
    """A client that has sent ``frame`` compressed, and how many octets that took."""
    raw = await Raw.dial(port, deflate=True)
    raw.client.send_text(frame)
    octets = raw.octets()
    raw.transport.write(octets)
    await asyncio.sleep(5.0)
    return raw, len(octets)


@pytest.mark.parametrize("rows", [170_000, 340_000])
def test_e1_frame_of_616_octets(rows: int) -> None:
    """It is not inflated beyond what its octets on the wire allow, and its link is closed."""
    closed: list[tuple[Any, int]] = []

    async def guest(port: int) -> None:
        raw, size = await deflated(port, hollow_report(rows))
        closed.append((raw.client.close_rcvd, size))

    assert run_virtual(visit(guest)) == []
    ((close, size),) = closed
    assert size < 2_000
    assert close is not None
    assert close.code == 1009


@pytest.mark.parametrize("parts", [8, 16])
def test_e1_frame_in_parts_inflates_no_further_than_whole(parts: int) -> None:
    """Each part may not take what the whole message may."""

    async def guest(port: int) -> None:
        raw = await Raw.dial(port, deflate=True)
        share = b"x" * (2 * INFLATED_MAX // parts)
        raw.client.send_text(share, fin=False)
        for place in range(1, parts):
            raw.client.send_continuation(share, fin=place == parts - 1)
        raw.transport.write(raw.octets())
        await asyncio.sleep(5.0)
        assert raw.client.close_rcvd is not None
        assert raw.client.close_rcvd.code == 1009

    assert run_virtual(visit(guest)) == []


def test_a_report_that_compresses_well_is_taken() -> None:
    """Meter values of an idle charger compress more than 40 times."""
    idle = [
        {"value": "0", "measurand": name, "unit": "W"}
        for name in ("Power.Active.Import", "Power.Offered", "SoC")
    ]
    rows = [
        {"timestamp": f"2026-03-01T{10 + n // 3600}:{n // 60 % 60:02d}:{n % 60:02d}Z", "sampledValue": idle}
        for n in range(500)
    ]
    text = msgspec.json.encode(rows)
    assert INFLATED_FREE / 2 < len(text) < INFLATED_FREE

    async def guest(port: int) -> None:
        _raw, size = await deflated(port, text)
        assert size < len(text) / 40

    assert [message for _, message in run_virtual(visit(guest))] == [text.decode()]


@pytest.mark.parametrize("rows", [170_000, 340_000])
@pytest.mark.parametrize("version", VERSIONS)
def test_e1_without_compression_is_refused_before_it_is_read(rows: int, version: Version) -> None:
    """By its id, where it can be seen at a glance."""
    machine = Machine(version, "central")
    machine.receive(hollow_report(rows), 0.0)
    (event,) = machine.events()
    assert isinstance(event, Stray)
    assert "allowed are" in event.why
    (reply,) = machine.frames()
    assert msgspec.json.decode(reply)[:3] == [4, "r1", frames.error_code(version, "FormatViolation")]


@pytest.mark.parametrize(
    "filler",
    [b"[],", b"{},", b"0,", b'"",', b'{"a":1},', b"[[]],", b"null,"],
    ids=lambda filler: filler.decode(),
)
@pytest.mark.parametrize("octets", [500_000, 1_000_000])
def test_e1_others_of_its_kind(filler: bytes, octets: int) -> None:
    """Small values of any kind, many of them."""
    inner = filler * (octets // len(filler))
    machine = Machine("2.0.1", "central", strict=False)
    machine.receive(HEAD + inner + b"0]}]", 0.0)
    (event,) = machine.events()
    assert isinstance(event, Stray)
    assert "values in" in event.why


def test_depth_counts_as_elements() -> None:
    """Lists in lists have no commas."""
    machine = Machine("2.0.1", "central", strict=False)
    machine.receive(HEAD + (b"[" * 900 + b"]" * 900 + b",") * 200 + b"0]}]", 0.0)
    (event,) = machine.events()
    assert isinstance(event, Stray)
    assert "values in" in event.why


def test_full_messages_of_stations_fit_with_room() -> None:
    """Also a report of three schedules of 1,024 periods, the densest legal message."""
    for version in VERSIONS:
        for action in FROM_STATION[version]:
            parts = [2, "1", action, sample(version, action, "request")]
            assert frames.decode(msgspec.json.encode(parts), strict=True) == parts
    periods = [{"startPeriod": n, "limit": 1} for n in range(1_024)]
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": periods}
    report = {
        "requestId": 1,
        "evseId": 1,
        "chargingLimitSource": "CSO",
        "chargingProfile": [{"chargingSchedule": [schedule] * 3}],
    }
    assert frames.decode(msgspec.json.encode([2, "1", "ReportChargingProfiles", report]), strict=True)


@pytest.mark.parametrize("rows", [500, 1_000, 10_000, 20_000])
def test_e1_errors_of_a_large_payload_are_not_listed(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first alone is asked for, and beyond some thousand values not even that: both copy what they are
    about.
    """

    class First:
        def __init__(self, real: Any) -> None:
            self.is_valid = real.is_valid
            if rows <= 1_000:
                self.validate = real.validate

    real = schemas.validator("2.1", "NotifyReport", "request")
    monkeypatch.setattr(schemas, "validator", lambda *_words: First(real))
    (problem,) = schemas.problems(
        "2.1", "NotifyReport", "request", msgspec.json.decode(hollow_report(rows))[3]
    )
    assert (problem.code, problem.where) == (
        ("OccurrenceConstraintViolation", "reportData.0") if rows <= 1_000 else ("FormatViolation", "")
    )


@pytest.mark.parametrize("text", ["x" * 20_000, "\N{SNOWMAN}" * 40_000])
def test_e1_long_texts_are_told_shortened(text: str) -> None:
    (problem,) = schemas.problems(
        "1.6", "BootNotification", "request", {"chargePointVendor": text, "chargePointModel": "m"}
    )
    assert len(problem.what) <= schemas.TOLD_MAX


def signs(size: int, seed: int) -> bytes:
    """What compresses by a third, as no attack does."""
    return bytes(Random(seed).choices(b"0123456789abcdefghijklmnop", k=size))


@pytest.mark.parametrize("share", [1, 2])
def test_e2_a_turn_ends_by_octets(share: int) -> None:
    """Frames of 100 and 200 kB: the quiet station is heard after one or two of them, not after 32."""

    async def guest(port: int) -> None:
        loud, quiet = await Raw.dial(port, deflate=True), await Raw.dial(port)
        for seed in range(8):
            loud.client.send_text(signs(100_000 * share, seed))
        quiet.client.send_text(b"please")
        loud.transport.write(loud.octets())
        quiet.transport.write(quiet.octets())
        await asyncio.sleep(20.0)

    told = [message for _, message in run_virtual(visit(guest))]
    assert len(told) == 9
    assert told.index("please") <= 2


@pytest.mark.parametrize("times", [2, 4])
def test_e2_a_link_that_sends_more_than_it_may_is_read_slowly_and_loses_nothing(times: int) -> None:
    """What counts is inflated."""
    at_s: list[float] = []
    size = 200_000
    count = times * BURST_OCTETS // size

    async def guest(port: int) -> None:
        raw = await Raw.dial(port, deflate=True)
        at_s.append(asyncio.get_running_loop().time())
        for number in range(count):
            raw.client.send_text(b"%06d" % number + signs(size, number))
        raw.client.send_ping(b"last")
        raw.transport.write(raw.octets())
        async with asyncio.timeout(50.0):
            while not any(isinstance(event, Frame) for event in raw.client.events_received()):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.5)
        at_s.append(asyncio.get_running_loop().time())

    told = [str(message)[:6] for _, message in run_virtual(visit(guest))]
    assert told == [f"{number:06d}" for number in range(count)]
    assert at_s[1] - at_s[0] >= (count * size - BURST_OCTETS - size) / OCTETS_PER_S


def test_an_allowance_fills_again_and_never_beyond_its_burst() -> None:
    allowance = Allowance()
    assert allowance.wait_s(0.0) == 0.0
    for _ in range(BURST_OCTETS // MESSAGE_LEAST + 256):
        allowance.spend(0)  # an empty frame costs a turn all the same
    assert allowance.wait_s(0.0) == pytest.approx(256 * MESSAGE_LEAST / OCTETS_PER_S)
    assert allowance.wait_s(1.5) == 0.0
    allowance.spend(3 * BURST_OCTETS)
    assert allowance.wait_s(1_000_000.0) == 0.0
    allowance.spend(2 * BURST_OCTETS)
    assert allowance.wait_s(1_000_000.0) == pytest.approx(BURST_OCTETS / OCTETS_PER_S)


def test_a_client_that_does_not_wait_for_our_answer_has_the_same_budget() -> None:
    """Its octets take the library's way, and that too ends its turn."""

    async def guest(port: int) -> None:
        raw = Raw(deflate=False)
        await asyncio.get_running_loop().create_connection(lambda: raw, "localhost", port)
        quiet = await Raw.dial(port)
        raw.transport.write(raw.hello() + b"\x81\x81\0\0\0\0a")
        await asyncio.sleep(0.1)
        raw.transport.write(b"\x81\x81\0\0\0\0x" * 40_000)
        quiet.client.send_text(b"please")
        quiet.transport.write(quiet.octets())
        await asyncio.sleep(0.5)

    told = [message for _, message in run_virtual(visit(guest))]
    assert "please" in told
    assert told.index("please") <= 2 + SLICE // 7
    burst, then = (
        BURST_OCTETS // MESSAGE_LEAST,
        12 * OCTETS_PER_S // MESSAGE_LEAST,
    )  # until its link is given up
    assert len(told) <= burst + then + SLICE


@pytest.mark.parametrize("number", ["1e308", "1e-320", "0.12345678901234567e-300", "-1E+300"])
def test_e1_numbers_that_take_long_to_read_are_read_another_way(number: str) -> None:
    """The decoder's own way takes 20 µs for each: half a second for 160 octets on the wire. Python's own
    gives the same.
    """
    parts = frames.decode(f'[2,"1","X",{{"n":{number}}}]', strict=True)
    assert parts[3]["n"] == float(number)
    assert bounded_json._small_decoder.float_hook is bounded_json.read_float


@pytest.mark.parametrize("number", ["1e308", "1e-320", "1E+300"])
def test_e1_extreme_numbers_of_a_large_frame_are_few(number: str) -> None:
    def frame(numbers: int) -> str:
        return f'[2,"1","X",{{"n":[{",".join([number] * numbers)}],"s":"{"x" * 200_000}"}}]'

    assert len(frames.decode(frame(bounded_json.FLOATS_MAX), strict=True)[3]["n"]) == bounded_json.FLOATS_MAX
    for numbers in (bounded_json.FLOATS_MAX + 1, 2 * bounded_json.FLOATS_MAX):
        with pytest.raises(frames.Unreadable, match="more than 256 numbers"):
            frames.decode(frame(numbers), strict=True)


@pytest.mark.parametrize("digits", [65, 4_000])
@pytest.mark.parametrize("rest", [10, 200_000])
def test_e1_whole_numbers_have_few_digits(digits: int, rest: int) -> None:
    """Reading and writing one costs the square of its digits; as a text they cost nothing."""
    long = "7" * digits
    for text in (f'[{{"n":{long}}}', f"[-{long}", f'["{long}",{long}'):
        with pytest.raises(frames.Unreadable, match="more than 64 digits"):
            frames.decode(f'[2,"1","X",{{"n":{text}],"s":"{"x" * rest}"}}]', strict=True)
    assert frames.decode(f'[2,"1","X",{{"n":"{long}","m":{long[:64]},"s":"{"x" * rest}"}}]', strict=True)


def test_e1_digits_without_end_stand_among_few_values() -> None:
    """Whether they are a number's or a text's is seen by looking at each value."""
    few, many = bounded_json.NUMBERS_MAX - 10, bounded_json.NUMBERS_MAX + 1
    for values in (few, many):
        text = f'[2,"1","X",{{"a":"{"0" * 65}","n":[{",".join(["1"] * values)}]}}]'
        if values == few:
            assert len(frames.decode(text, strict=True)[3]["n"]) == few
            continue
        with pytest.raises(frames.Unreadable, match="digits without end"):
            frames.decode(text, strict=True)


def test_ordinary_numbers_of_a_large_frame_are_as_many_as_its_values() -> None:
    numbers = ",".join(["1.2345678E7", "0.5"] * 4_000)
    parts = frames.decode(f'[2,"1","X",{{"n":[{numbers}]}}]', strict=True)
    assert parts[3]["n"] == [12_345_678.0, 0.5] * 4_000


@pytest.mark.parametrize("digits", [100, 60_000])
def test_e1_a_number_has_an_end(digits: int) -> None:
    machine = Machine("2.0.1", "central", strict=False)
    machine.receive(f'[2,"1","Heartbeat",{{"n":0.{"1" * digits}}}]', 0.0)
    (event,) = machine.events()
    assert isinstance(event, Stray)
    assert "allowed are 64" in event.why


class Unwritable(list[Any]):
    """A list that is never written out."""

    def __repr__(self) -> str:
        raise AssertionError("written out")


@pytest.mark.parametrize("kind", [2, 4, 5, 6, "list"])
def test_e1_a_list_where_a_word_belongs_is_not_written_out(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing out a list of 64 KiB to show twenty signs of it costs more than reading it."""
    odd = Unwritable([1] * 10)
    parts: list[Any] = [odd if kind == "list" else kind, "s1", odd, odd, {}][: 4 if kind in (2, 6) else 5]
    machine = Machine("2.1", "central", strict=False)
    machine.call("GetLocalListVersion", {}, 0.0, message_id="s1")
    monkeypatch.setattr(bounded_json, "decode", lambda _frame: parts)
    machine.frames()
    machine.receive("x" * 40, 0.0)
    assert machine.events() or machine.frames()
