"""Reports of telematics systems, by HTTP and by MQTT, into the fleet's book. A sender is told what was
refused.
"""

import asyncio
import hmac
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiomqtt
import h11
import msgspec
import structlog
from msgspec.structs import replace

from v2g_edge.bounded_mqtt import bound_packets
from v2g_edge.fleet.book import FleetBook
from v2g_edge.fleet.telematics import OCTETS_MAX, BadState, VehicleReport, read_report
from v2g_edge.model.event import Event
from v2g_edge.model.mission import Mission
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import TelematicsSettings
from v2g_edge.model.site import Site
from v2g_edge.tasks import begin, close_door, described, end

log = structlog.get_logger()

READINGS: Final = frozenset({"soc_pct", "soh_pct", "capacity_wh", "pack_c"})
"""Fields that a vehicle's state has; the others are kept for people to see."""

LINKS_MAX: Final = 32
REQUEST_S: Final = 10.0
"""Connections at once, and patience with one request."""

TOLD_EVERY_S: Final = 600.0
"""A refusal of one kind becomes an event once in so long; the sender hears of each."""

WAITS_S: Final = (1.0, 5.0, 15.0, 60.0)
KEEPALIVE_S: Final = 30
PACKET_MAX: Final = 2 * OCTETS_MAX
"""Octets of one packet: a report with its topic, and one that is just too large, which gets its answer."""
QUEUED_MAX: Final = 1_000
"""Messages of a broker that wait: a thousand retained ones come at once."""


class Telematics:
    """Takes reports. ``tell`` gets events about what cannot be used."""

    def __init__(
        self,
        settings: TelematicsSettings,
        site: Site,
        book: FleetBook,
        clock: ClockPort,
        tell: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._book = book
        self._clock = clock
        self._tell = tell
        kinds = {kind.id: kind.capacity_wh for kind in site.vehicle_types}
        self._capacities_wh = {vehicle.id: kinds.get(vehicle.type, 0.0) for vehicle in site.vehicles}
        self._told_s: dict[str, float] = {}
        self._missions: dict[str, Mission] = {}
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._token = b""
        self.taken = 0

    @property
    def port(self) -> int:
        """The port of HTTP; 0 while it is closed."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    def take(self, data: bytes, named: str = "") -> VehicleReport:
        """One report into the book. ``BadState`` when nothing of it can be used."""
        wall_s, now_s = self._clock.wall_s(), self._clock.now_s()
        try:
            report = read_report(data, self._book.ids, wall_s, self._capacities_wh, named)
        except BadState as fault:
            self._say(str(fault))
            raise
        for text in report.wrong:
            self._say(f"{report.vehicle}: {text}")
        self._book.update_readings(
            report.vehicle,
            {
                name: Reading(sample.value, now_s - max(wall_s - sample.at_wall_s, 0.0))
                for name, sample in report.samples.items()
                if name in READINGS
            },
        )
        self._book.note(
            report.vehicle, {name: (*each, report.source) for name, each in report.samples.items()}
        )
        if report.mission is not None:
            self._take_mission(report.mission)
        self.taken += 1
        return report

    def _take_mission(self, mission: Mission) -> None:
        """The newest word on a vehicle counts; the same word again changes nothing."""
        old = self._missions.get(mission.vehicle)
        if old is None or replace(old, received_wall_s=mission.received_wall_s) != mission:
            self._missions[mission.vehicle] = mission
            self._book.replace_missions("telematics", self._missions.values())

    def _say(self, text: str) -> None:
        """Once for each kind in a while: a sender that is wrong is wrong each time."""
        now_s, kind = self._clock.now_s(), text.partition(" is ")[0][:80]
        if now_s - self._told_s.get(kind, float("-inf")) < TOLD_EVERY_S:
            return
        if len(self._told_s) > LINKS_MAX:
            self._told_s.clear()
        self._told_s[kind] = now_s
        self._tell(Event("telematics_refused", "warning", "site", text[:200], self._clock.wall_s()))

    # HTTP

    async def start(self) -> None:
        """Open the port of HTTP. OSError or ssl.SSLError name what cannot be used."""
        settings = self._settings
        if not settings.port:
            return
        self._token = (await asyncio.to_thread(Path(settings.token_file).read_bytes)).strip()
        context: ssl.SSLContext | None = None
        if settings.certificate_file:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        patience_s = REQUEST_S if context is not None else None
        self._server = await asyncio.start_server(
            self._accept, settings.host, settings.port, ssl=context, ssl_handshake_timeout=patience_s
        )
        log.info("telematics_listens", port=self.port, tls=context is not None)

    async def stop(self) -> None:
        """Close the port and all links."""
        if self._server is not None:
            await close_door(self._server)
            await end(*self._links)
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection. The oldest gives way where all places are taken: a sender needs milliseconds.

        What only holds a place loses it.
        """
        if len(self._links) >= LINKS_MAX:
            oldest = next(iter(self._links))
            self._links.pop(oldest).transport.abort()
            oldest.cancel()
        task = begin("telematics request", self._serve(reader, writer))
        self._links[task] = writer
        task.add_done_callback(lambda done: self._links.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, and the end: a fleet system reports a few times a minute."""
        machine = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(REQUEST_S):
                status, words = await self._answer(machine, reader)
                body = msgspec.json.encode(words)
                headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                response = h11.Response(status_code=status, headers=[*headers, ("Connection", "close")])
                for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                    writer.write(machine.send(event) or b"")
                await writer.drain()
        except (h11.ProtocolError, OSError, TimeoutError) as fault:
            log.info("telematics_request_broken", fault=described(fault)[:100])
        finally:
            writer.close()

    async def _answer(self, machine: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, Any]:
        request: h11.Request | None = None
        body = b""
        while True:
            event = machine.next_event()
            if event is h11.NEED_DATA:
                machine.receive_data(await reader.read(8 << 10))
            elif isinstance(event, h11.Request):
                request = event
                if (wrong := self._judge(event)) is not None:
                    return wrong
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > OCTETS_MAX:
                    return 413, {"error": f"at most {OCTETS_MAX} octets"}
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                raise ConnectionError("the request ended early")
        assert request is not None  # noqa: S101 - h11 gives it first
        try:
            report = self.take(body)
        except BadState as fault:
            return 422, {"error": str(fault)}
        return 200, {"vehicle": report.vehicle, "refused": list(report.wrong)}

    def _judge(self, request: h11.Request) -> tuple[int, Any] | None:
        """None for a request that may go on."""
        headers = dict(request.headers)
        if not hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            return 401, {"error": "wrong or no bearer token"}
        if request.target.partition(b"?")[0] != b"/telematics":
            return 404, {"error": "the path is /telematics"}
        if request.method != b"POST":
            return 405, {"error": "POST is expected"}
        return None

    # MQTT

    async def run_mqtt(self) -> None:
        """Take messages of the broker until cancelled; dial again after each fault."""
        attempt = 0
        while True:
            try:
                async with self._client() as client:
                    await client.subscribe(self._settings.mqtt_topic, qos=1)
                    log.info("telematics_mqtt_online", host=self._settings.mqtt_host)
                    attempt = 0
                    async for message in client.messages:
                        self._take_message(message)
            except Exception as fault:  # noqa: BLE001 - broker, network, certificates: any class (rule 14)
                log.warning(
                    "telematics_mqtt_offline", host=self._settings.mqtt_host, fault=described(fault)[:200]
                )
            await self._clock.sleep_s(WAITS_S[min(attempt, len(WAITS_S) - 1)])
            attempt += 1

    def _take_message(self, message: aiomqtt.Message) -> None:
        """The vehicle stands in the message, or at the place of + in the topic."""
        parts, wanted = str(message.topic).split("/"), self._settings.mqtt_topic.split("/")
        named = next((part for part, of in zip(parts, wanted, strict=False) if of == "+"), "")
        payload = message.payload
        if isinstance(payload, bytes | bytearray) and payload:
            try:
                self.take(bytes(payload), named)
            except BadState:  # an event has said it
                return

    def _client(self) -> aiomqtt.Client:
        settings, context = self._settings, None
        if settings.mqtt_tls:
            context = ssl.create_default_context(cafile=settings.mqtt_ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        password = None
        if settings.mqtt_password_file:
            password = Path(settings.mqtt_password_file).read_text(encoding="utf-8").strip()
        client = aiomqtt.Client(
            settings.mqtt_host,
            settings.mqtt_port,
            username=settings.mqtt_username or None,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            tls_context=context,
            max_queued_incoming_messages=QUEUED_MAX,
        )
        bound_packets(client, PACKET_MAX)
        return client
