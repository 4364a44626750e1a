"""The server to which a depot management system dials in (VDV 463): ``wss://HOST:PORT/vdv463/PRESYSTEM``,
HTTP Basic.

A peer that offers no known subprotocol gets its handshake and is closed, as the interface description says.
What a presystem said stays in force when its link is lost: a broken cable withdraws no departure.
"""

import asyncio
import base64
import binascii
import hmac
import http
import ssl
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from v2g_edge.connection_limits import ConnectionLimiter, Guest
from v2g_edge.fleet.vdv463 import (
    FRAME_MAX,
    SUBPROTOCOL,
    BadFrame,
    Form,
    Frame,
    Rejected,
    confirm,
    is_presystem,
    parse_frame,
    read_requests,
    refuse,
    write_frame,
)
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import FleetSettings

log = structlog.get_logger()

PATH: Final = "/vdv463/"
TELL_EVERY_S: Final = 15.0
"""The pace at which other charge management systems tell, and depot management systems expect."""
LINKS_MAX: Final = 8
"""A depot has one depot management system, perhaps a second on trial. As many names of such systems are
remembered.
"""
REJECTED_MAX: Final = 200
TOLD_MAX: Final = 20
"""Rejections that are told to the peer, and those of a list that become events; one counts the rest."""
TELL_AGAIN_S: Final = 60.0
"""Rejections of one system become events once in so long: two lists in turn would fill the journal."""

OPEN_S: Final = 5.0
"""Patience with an opening handshake (after TLS, which has its own)."""
IN_THREAD: Final = 64 << 10
"""Octets of a frame that is read off the loop: 1 MB with 2,000 requests takes some 30 ms."""
OCTETS_PER_S: Final = 512 << 10
REST_S: Final = 0.02
REST_AFTER_LIST_S: Final = 1.0
"""How long a link is not read after a frame: for its octets, for any frame, and for a list of requests, which
is answered with the state of the whole depot.
"""

Inform = Callable[[list[dict[str, str]]], dict[str, Any] | None]
"""The payload of ProvideChargingInformation with these rejections; None before the first tick."""


class VdvServer:
    """Takes charging requests into ``records`` and tells ``inform()`` to each peer."""

    def __init__(
        self,
        settings: FleetSettings,
        records: VehicleRecords,
        clock: ClockPort,
        *,
        inform: Inform,
        tell: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._records = records
        self._clock = clock
        self._inform = inform
        self._tell = tell
        self._server: Server | None = None
        self._links: dict[ServerConnection, tuple[str, Form]] = {}
        self._keeper = ConnectionLimiter(LINKS_MAX)
        self._rejected: dict[str, list[dict[str, str]]] = {}
        self._told_s: dict[str, float] = {}
        self._password = b""

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return int(next(iter(self._server.sockets)).getsockname()[1]) if self._server is not None else 0

    async def start(self) -> None:
        """Listen. OSError or ssl.SSLError name the file or port that cannot be used."""
        settings = self._settings
        self._password = (await asyncio.to_thread(Path(settings.password_file).read_bytes)).strip()
        context: ssl.SSLContext | None = None
        if settings.certificate_file:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2  # VDV 463 asks for TLS 1.2 or newer
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        self._server = await serve(
            self._serve,
            settings.host,
            settings.port,
            create_connection=partial(Guest, keeper=self._keeper, context=context),  # type: ignore[arg-type]
            process_request=self._admit,
            select_subprotocol=_select,
            compression=None,  # 2 KB on the wire would be 2 MB of lists
            open_timeout=OPEN_S,
            server_header=None,
            max_size=FRAME_MAX,
            max_queue=4,
            ping_interval=20.0,
        )
        log.info("vdv463_listens", port=self.port, tls=context is not None)

    async def stop(self) -> None:
        """Close all links and the port."""
        if self._server is not None:
            self._keeper.close()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def run(self) -> None:
        """Report the depot's state to every peer, until cancelled."""
        while True:
            await self._clock.sleep_s(TELL_EVERY_S)
            await asyncio.gather(
                *(self._inform_peer(link, *name_form) for link, name_form in list(self._links.items()))
            )

    async def _inform_peer(self, link: ServerConnection, presystem: str, form: Form) -> None:
        payload = self._inform(self._rejected.get(presystem, []))
        if payload is None:
            return
        frame = Frame(1, "CMS", presystem, str(uuid.uuid4()), "ProvideChargingInformation", payload, form)
        await self._send(link, frame)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        presystem = request.path.removeprefix(PATH).partition("?")[0]
        if not request.path.startswith(PATH) or not is_presystem(presystem):
            return connection.respond(http.HTTPStatus.NOT_FOUND, f"expected {PATH}PRESYSTEM\n")
        if not self._is_right(request.headers.get("Authorization", "")):
            log.warning("vdv463_refused", presystem=presystem, why="wrong or no HTTP Basic credentials")
            answer = connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong or no credentials\n")
            answer.headers["WWW-Authenticate"] = 'Basic realm="vdv463"'
            return answer
        if len(self._links) >= LINKS_MAX or not self._has_room(presystem):
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, f"at most {LINKS_MAX} links\n")
        assert isinstance(connection, Guest)  # noqa: S101 - see ``create_connection``
        connection.is_known = True
        return None

    def _has_room(self, presystem: str) -> bool:
        """What a system said stays in force without its link, so its name holds a place until a restart."""
        return presystem in self._rejected or len(self._rejected) < LINKS_MAX

    def _is_right(self, header: str) -> bool:
        kind, _, coded = header.partition(" ")
        try:
            said = base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            said = b""
        right = self._settings.user.encode() + b":" + self._password
        return hmac.compare_digest(said, right) and kind.lower() == "basic"

    async def _serve(self, link: ServerConnection) -> None:
        presystem = link.request.path.removeprefix(PATH).partition("?")[0] if link.request else ""
        assert isinstance(link, Guest)  # noqa: S101 - see ``create_connection``
        link.come_in()
        if link.subprotocol is None:
            await link.close(1002, f"subprotocol {SUBPROTOCOL} expected")
            return
        log.info("vdv463_connected", presystem=presystem)
        self._links[link] = (presystem, "array")
        self._rejected.setdefault(presystem, [])
        try:
            async for text in link:
                rest_s = await self._on_text(link, presystem, text)
                await self._clock.sleep_s(max(rest_s, len(text) / OCTETS_PER_S))
        except ConnectionClosed:
            pass
        finally:
            self._links.pop(link, None)
            log.info("vdv463_disconnected", presystem=presystem)

    async def _on_text(self, link: ServerConnection, presystem: str, text: str | bytes) -> float:
        """Answer a frame; how long the link shall rest then."""
        large = len(text) > IN_THREAD
        try:
            frame = await asyncio.to_thread(parse_frame, text) if large else parse_frame(text)
        except BadFrame as fault:
            log.warning("vdv463_bad_frame", presystem=presystem, why=str(fault))
            await self._send(link, Frame(3, "CMS", presystem, "", "", {"errorMessage": str(fault)}))
            return REST_S
        self._links[link] = (presystem, frame.form)
        if frame.kind != 1:
            return REST_S  # confirmations and errors to what the daemon sent
        if frame.presystem != presystem:
            await self._send(
                link, refuse(frame, f"presystemId is {frame.presystem!r}; this link is of {presystem!r}")
            )
            return REST_S
        try:
            answer = confirm(frame, await self._handle(frame, large=large))
        except BadFrame as fault:
            answer = refuse(frame, str(fault))
        await self._send(link, answer)
        if frame.action == "ProvideChargingRequests":
            await self._inform_peer(link, presystem, frame.form)
            return REST_AFTER_LIST_S
        return REST_S

    async def _handle(self, frame: Frame, *, large: bool) -> dict[str, Any]:
        """The confirmation's payload. Raises ``BadFrame`` for what cannot be answered."""
        if frame.action == "BootNotification":
            known = frame.payload.get("presystem") in ("BMS", "ITCS")
            return {"status": "Accepted" if known else "Rejected"}
        if frame.action == "ProvideChargingRequests":
            await self._take(frame, large=large)
            return {}
        raise BadFrame(f"action {frame.action!r}; known: BootNotification, ProvideChargingRequests")

    async def _take(self, frame: Frame, *, large: bool) -> None:
        """Replace all that this presystem has asked for."""
        source, wall_s = f"vdv463:{frame.presystem}", self._clock.wall_s()
        told = (frame.payload, frame.presystem, wall_s, self._records.ids, self._records.points)
        missions, rejected = await asyncio.to_thread(read_requests, *told) if large else read_requests(*told)
        self._records.replace_missions(source, missions)
        said = [
            {"presystemId": frame.presystem, "chargingRequestId": each.request, "reason": each.reason}
            for each in rejected[:REJECTED_MAX]
        ]
        changed, self._rejected[frame.presystem] = said != self._rejected.get(frame.presystem, []), said
        now_s = self._clock.now_s()
        if changed and said and now_s - self._told_s.get(frame.presystem, -TELL_AGAIN_S) >= TELL_AGAIN_S:
            self._told_s[frame.presystem] = now_s
            self._tell_rejected(frame.presystem, rejected, wall_s)

    def _tell_rejected(self, presystem: str, rejected: list[Rejected], wall_s: float) -> None:
        for each in rejected[:TOLD_MAX]:
            name = each.request or "without an id"
            text = f"charging request {name} of {presystem} is rejected: {each.reason}"
            self._tell(Event("mission_rejected", "warning", presystem, text, wall_s))
        if len(rejected) > TOLD_MAX:
            text = f"{len(rejected) - TOLD_MAX} more charging requests of {presystem} are rejected"
            self._tell(Event("mission_rejected", "warning", presystem, text, wall_s))

    async def _send(self, link: ServerConnection, frame: Frame) -> None:
        try:
            await asyncio.wait_for(link.send(write_frame(frame, self._clock.wall_s())), TELL_EVERY_S)
        except (ConnectionClosed, TimeoutError):
            log.warning("vdv463_not_sent", presystem=frame.presystem, action=frame.action[:100])
            link.transport.abort()  # it reads nothing, or is gone


def _select(_connection: ServerConnection, offered: object) -> Subprotocol | None:
    """The one that is spoken here, if it is offered; None closes the link after its handshake."""
    wanted = Subprotocol(SUBPROTOCOL)
    return wanted if wanted in list(offered) else None  # type: ignore[call-overload]
