"""The ways in that ``_cost`` hunts through: seeds, what is on the wire for one, and what takes that in."""

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

import msgspec
import tomli
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode

from tests.cloud.plans import WALL_S, plan_dict
from tests.config.small import TEXT
from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from tests.field.ocpp.samples import sample
from tests.fuzz.ocpp import UNREADABLE, Target
from tests.market import shapes
from v2g_edge.cloud.inbox import receive_plan
from v2g_edge.config.load import loads
from v2g_edge.config.problems import ConfigError
from v2g_edge.console.accounts import Accounts
from v2g_edge.console.daemon import Daemon
from v2g_edge.console.live import Hub
from v2g_edge.console.web import make_app
from v2g_edge.field.modbus.map_parser import available_maps, parse_map
from v2g_edge.field.modbus.register_map import MapError
from v2g_edge.field.ocpp.wire.budget import BoundedDeflate
from v2g_edge.field.ocpp.wire.events import CallIn, SendIn
from v2g_edge.field.ocpp.wire.machine import Machine
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, FROM_STATION, SENDS, VERSIONS, Version
from v2g_edge.fleet.timetable_file import BadTimetable, read_timetable
from v2g_edge.fleet.vdv463 import parse_frame, read_requests, refuse, write_frame
from v2g_edge.host.control import ControlSocket
from v2g_edge.host.http import Answer, HttpServer
from v2g_edge.host.roles import Peer, Role
from v2g_edge.market.price_file import read_bytes
from v2g_edge.market.rows import BadPrices
from v2g_edge.model.settings import PriceSettings

UNIT: Final = 64 << 10
CPU_MAX_S: Final = 0.005
MEMORY_MAX: Final = 4 << 20
OUTPUT_MAX: Final = 64 << 10
"""Octets of answers: no input makes more of itself than it is."""
OWN_CPU_MAX_S: Final = 0.25
OWN_MEMORY_MAX: Final = 64 << 20
"""The same for files of the administrator and answers of a price service: a process or a thread of its own
reads them, now and then.
"""


class Way(NamedTuple):
    """One way in: ``seeds`` are JSON-like values, ``octets`` turns one into what is on the wire, ``run``
    takes that in and returns how many octets it answers. ``bounds``: processor time, memory, output.
    """

    name: str
    seeds: list[Any]
    octets: Callable[[Any], bytes]
    run: Callable[[bytes], int]
    bounds: tuple[float, float, float] = (CPU_MAX_S, MEMORY_MAX, OUTPUT_MAX)


def ocpp_ways() -> Iterator[Way]:
    """Each version, plain and deflated; strict and lenient sides see the same frames."""
    for version in VERSIONS:
        target = Target()
        seeds = [
            [2, "1", action, sample(version, action, "request")] for action in sorted(FROM_STATION[version])
        ]
        seeds += [[6, "1", action, sample(version, action, "request")] for action in SENDS[version]]
        answers = [
            [3, action, sample(version, action, "response")] for action in sorted(FROM_CENTRAL[version])
        ]
        for strict in (True, False):
            sides = [
                side for side in target._sides if side[0].version == version and side[0].strict is strict
            ]
            name = f"ocpp {version} {'strict' if strict else 'lenient'}"
            yield Way(name, seeds, to_json, partial(_handled, sides))
            yield Way(f"{name} deflated", seeds, _deflated, partial(_inflated, partial(_handled, sides)))
        yield Way(
            f"ocpp {version} answers deflated", answers, _deflated, partial(_inflated, partial(_told, sides))
        )


def _handled(sides: list[tuple[Machine, Any]], frame: bytes) -> int:
    """As a link does: read, judged, handled, kept, answered."""
    said = 0
    for machine, adapter in sides:
        machine.receive(frame.decode("utf-8", "replace"), 0.0)
        for event in machine.events():
            if isinstance(event, CallIn):
                try:
                    machine.answer(event.id, adapter.answer(event.action, event.payload))
                except UNREADABLE:
                    machine.refuse(event.id, "FormatViolation")
                adapter._station.remember_told(event.action, event.payload)
            elif isinstance(event, SendIn) and hasattr(adapter, "take_stream"):
                with contextlib.suppress(*UNREADABLE):
                    adapter.take_stream(event.payload)
        said += sum(map(len, machine.frames()))
    return said


def _told(sides: list[tuple[Machine, Any]], frame: bytes) -> int:
    """The same for an answer, after the call that it is to; the id of the seeds names its action."""
    said = 0
    for machine, _ in sides:
        action = _action_in(frame, machine.version)
        machine.call(action, sample(machine.version, action, "request"), 0.0, message_id=action)
        machine.events(), machine.frames()
        machine.receive(frame.decode("utf-8", "replace"), 0.0)
        said += sum(map(len, machine.frames()))
        machine.lost()
        machine.events()
    return said


def _action_in(frame: bytes, version: Version) -> str:
    words = frame[:100].decode("utf-8", "replace").split('"')
    named = words[1] if len(words) > 1 else ""
    return named if named in FROM_CENTRAL[version] else "ChangeAvailability"


def to_json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _deflated(value: Any) -> bytes:
    packer = zlib.compressobj(wbits=-11, memLevel=8)
    return (packer.compress(to_json(value)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _inflated(handled: Callable[[bytes], int], data: bytes) -> int:
    """As a link inflates it, within the budget."""
    try:
        frame = BoundedDeflate(True, True, 11, 11).decode(Frame(Opcode.TEXT, data, True, True))
    except WebSocketException:
        return 0  # the link is closed
    return handled(bytes(frame.data))


def other_ways() -> Iterator[Way]:
    """MQTT, the control socket, depot management, HTTP, files."""
    site = small_site()
    yield Way("mqtt plan", [plan_dict()], to_json, lambda data: _quiet(receive_plan, data, site, 0, WALL_S))
    control, loop = ControlSocket("", {"status": _nothing, "operate": _nothing}), asyncio.new_event_loop()
    client: Any = type("Client", (), {"reserved": True, "peer": Peer(0, Role.ENGINEER)})
    ask = [{"id": 1, "method": "operate", "params": {"stop": True}}, {"id": "x", "method": "status"}]
    yield Way(
        "control socket", ask, to_json, lambda data: loop.run_until_complete(_asked(control, data, client))
    )
    vdv = [[1, "BMS", "IVU", "2026-03-01T12:00:00Z", "m1", "ProvideChargingRequests", _requests()]]
    vdv.append([1, "BMS", "IVU", "2026-03-01T12:00:00Z", "m2", "BootNotification", {"presystem": "BMS"}])
    yield Way("vdv 463", vdv, to_json, lambda data: _quiet(_as_management, data))
    monitor = HttpServer(
        "", {"/metrics": lambda accept: Answer(HTTPStatus.OK, "text/plain", accept.encode())}
    )
    heads = ["GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"]
    yield Way(
        "http monitoring", heads, _octets, lambda data: loop.run_until_complete(_scraped(monitor, data))
    )
    console, bodies = _console(), [{"stop": True, "why": "x"}, {"acknowledge": "b1"}]
    yield Way("http console", bodies, to_json, lambda data: loop.run_until_complete(_posted(console, data)))
    yield from file_ways()


def file_ways() -> Iterator[Way]:
    """What is read now and then, off the control loop."""
    own = partial(Way, bounds=(OWN_CPU_MAX_S, OWN_MEMORY_MAX, OUTPUT_MAX))
    maps = [tomli.loads(path.read_text(encoding="utf-8")) for path in available_maps().values()]
    yield own("register map", maps, to_json, lambda data: _quiet(_as_map, data))
    yield own("site file", [TEXT], _octets, lambda data: _quiet(loads, data.decode("utf-8", "replace")))
    times = [TIMETABLE, CALENDAR]
    ids = {"BUS-07": "bus"}
    yield own("timetable", times, _octets, lambda data: _quiet(read_timetable, data, "f", ids, "UTC", WALL_S))
    prices = [made().decode() for made in (shapes.plain_csv, shapes.kwh_csv, shapes.smard_csv)]
    prices += [TEXT_XML, '{"prices": [{"time": "2026-03-01T00:00:00Z", "value": 1}]}']
    yield own("prices", prices, _octets, lambda data: _quiet(read_bytes, data, "f", PriceSettings()))


TIMETABLE: Final = "vehicle,departure,min_soc_pct\nBUS-07,2026-03-02 04:45,80\n" * 3
CALENDAR: Final = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTART:20260301T044500Z\n"
    "SUMMARY:BUS-07 85%\n"
    "RRULE:FREQ=DAILY;COUNT=30\nEND:VEVENT\nEND:VCALENDAR\n"
)
TEXT_XML: Final = (
    "<Publication_MarketDocument>\n<TimeSeries>\n<Period>\n</Period>\n</TimeSeries>\n"
    "</Publication_MarketDocument>\n"
)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _requests() -> dict[str, Any]:
    data = {"minTargetSoc": 80, "maxTargetSoc": 95.5, "requestedTimeForDeparture": "2026-03-02T04:45:00Z"}
    one = {"vehicleId": "bus-1", "chargingRequestId": "r1", "priority": 1, "chargingPointId": "b1"}
    return {"chargingRequestList": [one | {"chargingRequestData": data}]}


def _as_management(data: bytes) -> int:
    """As the server does: read, judged, answered."""
    frame = parse_frame(data.decode("utf-8", "replace"))
    _, rejected = read_requests(frame.payload, "IVU", WALL_S, {"bus-1": "bus-1"}, {"b1": "b1"})
    return len(write_frame(refuse(frame, str(rejected[:1])), WALL_S))


def _as_map(data: bytes) -> None:
    parse_map("fuzz", "fuzz.toml", msgspec.json.decode(data))


async def _scraped(monitor: HttpServer, data: bytes) -> int:
    reader = asyncio.StreamReader(limit=8_192)
    reader.feed_data(data)
    reader.feed_eof()
    with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return len((await monitor._answer(reader)).body)
    return 0


def _console() -> Any:
    folder = Path(mkdtemp(prefix="v2g-edge-fuzz-"))
    daemon = Daemon(str(folder / "none"))
    return make_app(Accounts(folder), Hub(daemon), daemon, Clock(), tls=False)


async def _posted(console: Any, data: bytes) -> int:
    """An order without a session: whoever can reach the port can send one."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/orders", "raw_path": b"/api/orders", "query_string": b"", "root_path": "",
        "headers": headers, "client": None, "server": ("127.0.0.1", 3000), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    said = 0

    async def send(message: Any) -> None:
        nonlocal said
        said += len(message.get("body", b""))

    await console(scope, receive, send)
    return said


async def _nothing(_params: dict[str, Any]) -> dict[str, Any]:
    return {}


async def _asked(control: ControlSocket, data: bytes, client: Any) -> int:
    return len(msgspec.json.encode(await control._answer(data, client)))


def every_way() -> Iterator[Way]:
    """All of them."""
    yield from ocpp_ways()
    yield from other_ways()


def _quiet(call: Callable[..., Any], *arguments: Any) -> int:
    """Octets of the answer, where one is made."""
    with contextlib.suppress(ConfigError, MapError, BadTimetable, BadPrices, *UNREADABLE, RecursionError):
        answer = call(*arguments)
        return answer if type(answer) is int else 0
    return 0
