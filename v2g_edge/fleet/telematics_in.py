"""Reports of telematics systems, by HTTP and by MQTT, into the fleet's records. A sender is told what was
refused.
"""

import asyncio
import hmac
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import aiomqtt
import structlog
from msgspec.structs import replace

from v2g_edge.bounded_http import Answer, Inlet
from v2g_edge.bounded_mqtt import bound_packets
from v2g_edge.fleet.telematics import OCTETS_MAX, BadState, VehicleReport, read_report
from v2g_edge.fleet.vehicle_records import VehicleRecords
from v2g_edge.model.event import Event
from v2g_edge.model.mission import Mission
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import TelematicsSettings
from v2g_edge.model.site import Site
from v2g_edge.tasks import described

log = structlog.get_logger()

READINGS: Final = frozenset({"soc_pct", "soh_pct", "capacity_wh", "pack_c"})
"""Fields that a vehicle's state has; the others are kept for people to see."""

KINDS_MAX: Final = 32
"""Kinds of refusal whose last time is remembered."""

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
        records: VehicleRecords,
        clock: ClockPort,
        tell: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._records = records
        self._clock = clock
        self._tell = tell
        kinds = {kind.id: kind.capacity_wh for kind in site.vehicle_types}
        self._capacities_wh = {vehicle.id: kinds.get(vehicle.type, 0.0) for vehicle in site.vehicles}
        self._told_s: dict[str, float] = {}
        self._missions: dict[str, Mission] = {}
        self._token = b""
        self.inlet = Inlet(b"/telematics", OCTETS_MAX, self._answer, self._judge, _say_broken)
        self.taken = 0

    @property
    def port(self) -> int:
        """The port of HTTP; 0 while it is closed."""
        return self.inlet.port

    def take(self, data: bytes, named: str = "") -> VehicleReport:
        """One report into the records. ``BadState`` when nothing of it can be used."""
        wall_s, now_s = self._clock.wall_s(), self._clock.now_s()
        try:
            report = read_report(data, self._records.ids, wall_s, self._capacities_wh, named)
        except BadState as fault:
            self._say(str(fault))
            raise
        for text in report.wrong:
            self._say(f"{report.vehicle}: {text}")
        self._records.update_readings(
            report.vehicle,
            {
                name: Reading(sample.value, now_s - max(wall_s - sample.at_wall_s, 0.0))
                for name, sample in report.samples.items()
                if name in READINGS
            },
        )
        self._records.note(
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
            self._records.replace_missions("telematics", self._missions.values())

    def _say(self, text: str) -> None:
        """Once for each kind in a while: a sender that is wrong is wrong each time."""
        now_s, kind = self._clock.now_s(), text.partition(" is ")[0][:80]
        if now_s - self._told_s.get(kind, float("-inf")) < TOLD_EVERY_S:
            return
        if len(self._told_s) > KINDS_MAX:
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
        await self.inlet.start(settings.host, settings.port, settings.certificate_file, settings.key_file)
        log.info("telematics_listens", port=self.port, tls=bool(settings.certificate_file))

    async def stop(self) -> None:
        """Close the port and all links."""
        await self.inlet.stop()

    def _answer(self, body: bytes) -> Answer:
        try:
            report = self.take(body)
        except BadState as fault:
            return 422, {"error": str(fault)}
        return 200, {"vehicle": report.vehicle, "refused": list(report.wrong)}

    def _judge(self, headers: Mapping[bytes, bytes]) -> Answer | None:
        """None for a request that may go on."""
        if not hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            return 401, {"error": "wrong or no bearer token"}
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


def _say_broken(fault: str) -> None:
    log.info("telematics_request_broken", fault=fault)
