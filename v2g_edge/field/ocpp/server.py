"""The central system: listeners, links, and the stations behind them."""

import asyncio
import contextlib
import http
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from v2g_edge.connection_limits import ConnectionLimiter, Guest
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.trust.admission import Admitted, Refusal, identity_of
from v2g_edge.field.ocpp.trust.tokens import Tokens
from v2g_edge.field.ocpp.trust.unknown_stations import UnknownStations
from v2g_edge.field.ocpp.upkeep.maintenance import SITE, Maintenance
from v2g_edge.field.ocpp.upkeep.operations import Operations
from v2g_edge.field.ocpp.upstream.upstreams import Upstreams
from v2g_edge.field.ocpp.wire.boot_throttle import BootThrottle
from v2g_edge.field.ocpp.wire.budget import BoundedDeflateFactory
from v2g_edge.field.ocpp.wire.frames import FRAME_MAX
from v2g_edge.field.ocpp.wire.messages import SUBPROTOCOL, VERSIONS
from v2g_edge.field.ocpp.wire.websocket import Wire
from v2g_edge.model.ports import ChargerPort, ClockPort
from v2g_edge.model.settings import Listener, OcppSettings, StationSettings, UpstreamSettings
from v2g_edge.model.site import Site
from v2g_edge.tasks import close_door, guarded, keep

log = structlog.get_logger()

PINGS_PER_AGE: Final = 3.0
PING_RANGE_S: Final = (1.0, 30.0)
"""Three pings fit into the age at which a charger counts as silent: one may be lost, and no more are sent
than that needs.
"""

OPEN_S: Final = 5.0
CLOSE_S: Final = 1.0
"""Patience with an opening handshake (after TLS, which has its own) and with a closing one."""

DEFLATE: Final = BoundedDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=11,
    client_max_window_bits=11,
    compress_settings={"memLevel": 3},
)
"""permessage-deflate (a SHALL of OCPP 2.x Part 4 3.3) with windows of 2 KiB that are not kept between
messages: OCPP messages are short, and a kept window is 24 KiB of every station's memory.
"""

_VERSION_OF: Final = {subprotocol: version for version, subprotocol in SUBPROTOCOL.items()}


class StationGuest(Guest, Wire):
    """A station's connection: a guest first, then a link."""


class CentralSystem:
    """Listens for the stations of the site file. ``ports`` hands permits to their outlets, by our EVSE id.

    ``state_dir`` holds ``ocpp.sqlite`` (transactions, what was learnt of stations) and, once made, the
    authority in ``pki``; None keeps all in memory.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        stations: Sequence[StationSettings],
        site: Site,
        board: Board,
        clock: ClockPort,
        *,
        state_dir: Path | None = None,
        settings: OcppSettings | None = None,
        upstreams: Sequence[UpstreamSettings] = (),
    ) -> None:
        self._listeners = tuple(listeners)
        self._board = board
        self._clock = clock
        self._state_dir = state_dir
        if state_dir is not None:
            with contextlib.suppress(OSError):  # the store says what cannot be written
                state_dir.mkdir(parents=True, exist_ok=True)
        self._store = SqliteStore(
            ":memory:" if state_dir is None else state_dir / "ocpp.sqlite", clock.wall_s
        )
        self._maintenance = Maintenance(
            listeners, stations, settings or OcppSettings(), clock, self._store, state_dir
        )
        self.links = {
            settings.identity: StationLink(
                Station(settings, site, board, clock, self._store), board, clock, self._store
            )
            for settings in stations
        }
        for link in self.links.values():
            link.station.sessions.elsewhere, link.station.sessions.moved = self._is_elsewhere, self._moved
        tokens, storm = Tokens(None if state_dir is None else state_dir / "tokens.json"), BootThrottle()
        for link in self.links.values():
            link.station.tokens, link.station.boot_throttle = tokens, storm
        self.ports: dict[str, ChargerPort] = {
            evse: port for link in self.links.values() for evse, port in link.ports.items()
        }
        low_s, high_s = PING_RANGE_S
        self._ping_s = min(max(site.safety.charger_max_age_s / PINGS_PER_AGE, low_s), high_s)
        self._operations = Operations(self.links, self._maintenance.admission)
        self.upstreams = Upstreams(upstreams, self.links, self._store, board, clock, site.grid.nominal_v)
        self._servers: list[Server] = []
        self._keeper = ConnectionLimiter(len(self.links))
        self.knocks = UnknownStations()
        self._pinger: asyncio.Task[None] | None = None
        self._connections = 0

    def _moved(self, vehicle: str, evse: str, started_wall_s: float) -> None:
        """A vehicle has come to one outlet: whatever station thought it had it, has it no more."""
        for link in self.links.values():
            link.station.sessions.leave(vehicle, evse, started_wall_s)

    def _is_elsewhere(self, vehicle: str, evse: str) -> bool:
        """Whether a vehicle of the site file stands at another outlet than this."""
        return any(
            outlet.session is not None and outlet.session.vehicle == vehicle and outlet.evse.id != evse
            for link in self.links.values()
            for outlet in link.station.outlets.values()
        )

    def take_site(self, site: Site) -> None:
        """Another site of the same outlets: its vehicles, their types and the agreement to export count
        from now on.
        """
        for link in self.links.values():
            link.station.take_site(site)

    async def start(self) -> None:
        """Open all listeners. OSError or ssl.SSLError when one cannot be opened; none is open then."""
        if self._servers:
            return
        try:
            for place, listener in enumerate(self._listeners):
                self._servers.append(await self._listen(place, listener))
        except OSError:
            await self.stop()
            raise
        self._maintenance.start(self.links, self._board)
        self.upstreams.start()
        self._pinger = keep("ocpp pings", self._ping_all)

    async def stop(self) -> None:
        """Close all links and listeners. The leases at the chargers end by themselves."""
        if self._pinger is not None:
            self._pinger.cancel()
        self._pinger = None
        await self._maintenance.stop()
        await self.upstreams.stop()
        self._keeper.close()
        for server in self._servers:
            await close_door(server.server)
            server.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        for link in self.links.values():
            await link.stop()
        self._store.flush()

    def bound_port(self, index: int = 0) -> int:
        """The TCP port of a listener, where the site file says 0."""
        port: int = next(iter(self._servers[index].sockets)).getsockname()[1]
        return port

    def store_fault(self) -> str:
        """Why transactions are not written to the disk, "" while they are. Tries again to write what could
        not be written.
        """
        fault = self._store.fault
        self._store.fault = ""
        self._store.move_to_disk()
        return fault or self._store.fault

    async def perform(self, station: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """An operation of ``operations`` at one station, or of ``maintenance`` at ``SITE``, for people.

        ValueError says what is wrong and what is allowed.
        """
        if station == SITE:
            return await self._maintenance.perform(operation, params)
        return await self._operations.perform(station, operation, params)

    def describe(self) -> list[dict[str, Any]]:
        """Every station for people: its identity, whether it is connected, what it said last, how well it
        follows.
        """
        upstreams = self.upstreams.describe()
        return [
            link.describe() | ({"upstreams": upstreams[identity]} if identity in upstreams else {})
            for identity, link in self.links.items()
        ]

    async def reload(self) -> None:
        """Take new certificates into use now, and shut out what is revoked."""
        await self._maintenance.reload()

    async def _listen(self, place: int, listener: Listener) -> Server:
        def judge(ws: ServerConnection, request: Request) -> Response | None:
            return self._judge(listener, ws, request)

        guest = partial(StationGuest, keeper=self._keeper, context=self._maintenance.context(place))
        return await serve(
            self._handle,
            listener.host,
            listener.port,
            subprotocols=[Subprotocol(SUBPROTOCOL[version]) for version in VERSIONS],
            process_request=judge,
            process_response=_log_refusal,
            create_connection=guest,  # type: ignore[arg-type]  # it makes connections, as a class does
            extensions=[DEFLATE],
            compression=None,
            server_header=None,
            ping_interval=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            max_size=FRAME_MAX,
        )

    def _judge(self, listener: Listener, ws: ServerConnection, request: Request) -> Response | None:
        peer = str(ws.remote_address[0]) if ws.remote_address else "?"
        credentials = request.headers.get_all("Authorization")
        certificate: dict[str, Any] | None = ws.transport.get_extra_info("peercert")
        verdict = self._maintenance.admission.judge(
            listener,
            request.path,
            credentials[0] if credentials else "",
            peer,
            certificate,
            self._clock.now_s(),
        )
        if isinstance(verdict, Admitted):
            assert isinstance(ws, StationGuest)  # noqa: S101 - see ``create_connection``
            link = self.links[verdict.identity]
            if not (stands := link.holds_against(verdict.shown)):
                ws.admitted, ws.is_known, ws.allowance = verdict, True, link.allowance
                if not link.may_compress:
                    ws.protocol.available_extensions = []
                return None
            verdict = Refusal(http.HTTPStatus.FORBIDDEN, stands)
        if verdict.status is http.HTTPStatus.NOT_FOUND:
            offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol")).split(", ")
            versions = tuple(version for version, name in SUBPROTOCOL.items() if name in offered)
            agent = ", ".join(request.headers.get_all("User-Agent"))
            self.knocks.note(identity_of(request.path), peer, versions, agent, self._clock.wall_s())
        log.warning(
            "station_refused", peer=peer, path=request.path[:100], status=int(verdict.status), why=verdict.why
        )
        response = ws.respond(verdict.status, f"{verdict.status.phrase}\n")
        if verdict.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
        return response

    async def _handle(self, ws: ServerConnection) -> None:
        assert isinstance(ws, StationGuest)  # noqa: S101 - see ``create_connection``
        assert ws.request is not None  # noqa: S101 - the handshake is over
        assert isinstance(ws.admitted, Admitted)  # noqa: S101 - ``_judge`` let it in
        ws.come_in()
        self._connections += 1
        link = self.links[ws.admitted.identity]
        ws.request.headers.clear()  # the handshake is over, and its headers are 4 KiB
        if ws.response is not None:
            ws.response.headers.clear()
        await link.serve(ws, _VERSION_OF[str(ws.subprotocol)], f"{self._connections}-", ws.admitted.shown)

    async def _ping_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._clock.sleep_s(self._ping_s)
            for link in self.links.values():
                guarded("ocpp pings", link.ping, loop.time())


def _log_refusal(ws: ServerConnection, request: Request, response: Response) -> Response | None:
    if response.status_code == 400:
        offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        log.warning(
            "station_handshake_wrong",
            path=request.path[:100],
            subprotocols=offered[:100],
            body=bytes(response.body)[:200],
        )
    return None
