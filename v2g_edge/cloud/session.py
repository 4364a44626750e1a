"""The MQTT session: a plan in and acknowledged, telemetry and events out. The depot never waits for it.

MQTT 5 through ``aiomqtt``. Every connection starts clean and asks for its plan: after a crash a broker may
have lost sessions, queues and retained messages alike.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import aiomqtt
import msgspec
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from v2g_edge.cloud.client import MAX_PACKET_BYTES, CheckedClient
from v2g_edge.cloud.inbox import MAX_PAYLOAD_BYTES, MAX_TEXT, Refusal, ack_json, receive_plan
from v2g_edge.cloud.outbox import Outbox
from v2g_edge.cloud.sending import Sender
from v2g_edge.cloud.signals import BadSignal, SignalInbox
from v2g_edge.cloud.signed import SIGNED_MORE, BadSignature, PlanKeys
from v2g_edge.cloud.topics import topics_of
from v2g_edge.cloud.webhook import SignalWebhook
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import CloudSettings
from v2g_edge.model.site import Site
from v2g_edge.tasks import described, end, is_cancelled, keep

log = structlog.get_logger()

CLOUD_FILE: Final = "cloud.sqlite"
"""Events and the last plan, in the state directory."""

KEEPALIVE_S: Final = 30
"""A silent broker is noticed, and our will published, within one and a half of these (MQTT 5, 3.1.2.10)."""

TIMEOUT_S: Final = 10.0
"""For connecting and for each acknowledgement; mobile uplinks answer within two or three seconds."""

BACKOFF_FIRST_S: Final = 1.0
BACKOFF_LAST_S: Final = 60.0
"""A minute at most: the broker is back long before a depot without a cloud notices any difference."""

SHORT_S: Final = 120.0
SHORT_MAX: Final = 4
"""So many sessions in a row that ended so soon, each dialled again at once without a fault: two clients of
one name push each other out. Each waits up to a minute, so a session of such a pair is shorter than this.
"""

SIGNAL_TOLD_S: Final = 60.0
"""A refused signal is said once in so long: a sender that is wrong is wrong every two seconds."""

MAX_QUEUED: Final = 16
"""Messages waiting in either direction; plans come a few times an hour."""

MAX_ACKS: Final = 64
"""Messages waiting to be read where the cloud acknowledges events, one by one or many at once. One that
finds no room is lost, and its events are sent again.
"""


class SignalPort(Protocol):
    """Where signals of an aggregator go."""

    def services(self) -> tuple[str, ...]:
        """The services that follow one."""

    def take(self, service: str, value: float, every_s: float, age_s: float) -> None:
        """One that counts, made ``age_s`` ago."""


class CloudSession:
    """Start, stop, publish. Without a host in ``settings`` every call is empty. ``on_plan`` gets each plan
    taken.
    """

    def __init__(
        self,
        settings: CloudSettings,
        site: Site,
        clock: ClockPort,
        on_plan: Callable[[Plan], None],
        *,
        state_dir: Path,
        tell: Callable[[Event], None] | None = None,
        signals: SignalPort | None = None,
    ) -> None:
        self._settings = settings
        self._site = site
        self._clock = clock
        self._on_plan = on_plan
        self._path = state_dir / CLOUD_FILE
        self._site_id = settings.site_id or site.name
        self._topics = topics_of(settings.topic_prefix, self._site_id)
        self._outbox: Outbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._sender = Sender(
            self._topics,
            clock,
            by_cloud=settings.events_ack == "cloud",
            kept_every_s=settings.telemetry_kept_s,
        )
        self._kept: tuple[int, bytes] = (-1, b"")
        self._issued_wall_s = 0.0
        self._keys = (
            PlanKeys(Path(settings.plan_keys_file), self._site_id) if settings.plan_keys_file else None
        )
        self._signals = signals
        self._signal_inbox = SignalInbox(self._keys) if self._keys is not None else None
        self._signal_told_s = -SIGNAL_TOLD_S
        self.webhook = SignalWebhook(settings, self.receive_signal)
        self._stopping = False
        self._tell = tell
        self._taken_told = False
        self._short = 0
        self.connected = False

    async def start(self) -> None:
        """Take up the kept plan if it still holds, and begin to connect. Returns at once, broker or not."""
        await self.webhook.start()
        if self._task is not None or not self._settings.host:
            return
        self._outbox = Outbox(self._path, max_bytes=self._settings.outbox_max_mb * 1_000_000)
        self._sender.use(self._outbox)
        kept = self._outbox.kept_plan()
        if kept is not None:
            self._kept = kept
            plan = self._judge(kept[1], kept[0] - 1)
            if isinstance(plan, Plan):
                self._issued_wall_s = plan.issued_wall_s
                self._on_plan(plan)
                log.info("cloud_plan_restored", revision=plan.revision)
        self._stopping = False
        self._task = keep("cloud", self._run)

    async def stop(self) -> None:
        """Say goodbye if connected, and close. Unsent events stay on disk."""
        await self.webhook.stop()
        task, self._task = self._task, None
        self._stopping = True
        if task is not None:
            await end(task)
        self._sender.use(None)
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def publish_telemetry(self, values: dict[str, Any]) -> None:
        """Offer the present state. Only the newest that has not been sent is kept; how often is the
        caller's choice.
        """
        if self._task is not None:
            self._sender.offer_telemetry(values, connected=self.connected)

    def publish_flexibility(self, values: dict[str, Any]) -> None:
        """Offer what the depot could give or take. Only the newest is sent."""
        if self._task is not None:
            self._sender.offer(self._topics.flexibility, values)

    def publish_events(self, events: tuple[Event, ...]) -> None:
        """Keep events on disk until each is acknowledged (at least once; ``id`` marks a repeat)."""
        self._sender.put(events)

    async def _run(self) -> None:
        attempt = 0
        # A goodbye that fails raises MqttError in place of the cancellation, which is then lost: the flag
        # ends the loop.
        while not self._stopping:
            client, since_s = None, None
            try:
                client = self._client()
                async with client:
                    since_s = self._clock.now_s()
                    attempt = attempt if self._short else 0
                    await self._serve(client)
            except asyncio.CancelledError as fault:
                if self._stopping or is_cancelled():
                    raise
                log.warning("cloud_offline", host=self._settings.host, fault=described(fault))
            except Exception as fault:  # noqa: BLE001 - broker, network, certificate and password files: any class (rule 14)
                log.warning("cloud_offline", host=self._settings.host, fault=_told(fault))
            finally:
                self.connected = False
            self._count_short(client, since_s)
            if not self._stopping:
                await self._clock.sleep_s(backoff_s(self._site_id, attempt))
                attempt += 1

    def _count_short(self, client: CheckedClient | None, since_s: float | None) -> None:
        """Whether sessions end so soon that another client must have this name."""
        if since_s is None or self._clock.now_s() - since_s >= SHORT_S:
            self._short = 0
            return
        self._short += 1
        if self._short >= SHORT_MAX or (client is not None and client.taken_over):
            self._short = max(self._short, SHORT_MAX)
            self._tell_taken_over()

    def _tell_taken_over(self) -> None:
        """Once: another machine has our name, and each takes the other's place."""
        log.error("cloud_id_taken", client_id=self._client_id)
        if self._tell is not None and not self._taken_told:
            self._taken_told = True
            text = (
                f"the broker ends each session of {self._client_id} soon after it began: another client has"
                " this name, from a copied site file or a second daemon. Give each depot its own"
                " cloud.site_id; this one waits longer between its attempts"
            )
            self._tell(Event("cloud_id_taken", "alarm", "site", text, self._clock.wall_s()))

    @property
    def _client_id(self) -> str:
        return f"{self._settings.topic_prefix}-{self._site_id}"

    def _client(self) -> CheckedClient:
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        properties.ReceiveMaximum = MAX_QUEUED
        return CheckedClient(
            settings.host,
            settings.port,
            username=settings.username or None,
            password=Path(settings.password_file).read_text(encoding="utf-8").strip()
            if settings.password_file
            else None,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=aiomqtt.Will(self._topics.status, b'{"online":false}', qos=1, retain=True),
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            properties=properties,
            tls_context=tls_context(settings) if settings.tls else None,
            max_queued_incoming_messages=MAX_ACKS if settings.events_ack == "cloud" else MAX_QUEUED,
            max_queued_outgoing_messages=MAX_QUEUED,
            max_inflight_messages=MAX_QUEUED,
        )

    async def _serve(self, client: CheckedClient) -> None:
        try:
            await self._greet(client)
            await self._exchange(client)
        except asyncio.CancelledError:
            # Stopped on purpose: the broker publishes the will only for clients that vanish.
            with contextlib.suppress(aiomqtt.MqttError):
                await client.send(self._topics.status, b'{"online":false}', retain=True)
            raise

    async def _greet(self, client: CheckedClient) -> None:
        wanted = [(self._topics.plan, 1)]
        if self._settings.events_ack == "cloud":
            wanted.append((self._topics.events_ack, 1))
        if self._signal_inbox is not None and self._signals is not None and self._signals.services():
            wanted.append((self._topics.signal, 0))
        for topic, qos in wanted:
            codes = await client.subscribe(topic, qos=qos)
            if any(code.is_failure for code in codes if isinstance(code, ReasonCode)):
                log.error("cloud_forbidden", topic=topic, reason=str(codes[0]))
        await client.send(self._topics.status, b'{"online":true}', retain=True)
        newest = {"revision": self._kept[0] if self._kept[0] >= 0 else None}
        await client.send(self._topics.plan_request, msgspec.json.encode(newest))
        self._heed_stop()
        self.connected = True
        log.info("cloud_online", host=self._settings.host)

    async def _exchange(self, client: CheckedClient) -> None:
        """Receive and send until the connection breaks, which raises an ``ExceptionGroup``.

        It is not taken apart with ``except*``: before 3.11.4 Python puts whatever is raised there into a
        group again.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive(client), name="cloud_in")
            group.create_task(self._sender.run(client, self._heed_stop), name="cloud_out")

    async def _receive(self, client: CheckedClient) -> None:
        async for message in client.messages:
            payload = message.payload
            if not isinstance(payload, bytes | bytearray) or not payload:
                continue
            topic = str(message.topic)
            if topic == self._topics.signal:
                self.receive_signal(bytes(payload))
            elif topic == self._topics.events_ack:
                self._sender.acknowledge(bytes(payload))
            else:
                await client.send(self._topics.plan_ack, self._take(bytes(payload)))
            self._heed_stop()

    def receive_signal(self, payload: bytes) -> str:
        """Take a signal, from the broker or the webhook; "" where it counts, else what is wrong with it.

        That is said once in a while; droop or the plan serves then.
        """
        inbox, port, wall_s = self._signal_inbox, self._signals, self._clock.wall_s()
        if inbox is None or port is None:
            return "signals are not taken here: cloud.plan_keys_file names no keys"
        try:
            said = inbox.take(payload, port.services(), wall_s)
        except BadSignal as fault:
            now_s = self._clock.now_s()
            if self._tell is not None and now_s - self._signal_told_s >= SIGNAL_TOLD_S:
                self._signal_told_s = now_s
                self._tell(Event("signal_refused", "warning", "site", str(fault), wall_s))
            return str(fault)
        port.take(said.service, said.value, said.every_s, wall_s - said.at_wall_s)
        return ""

    def _heed_stop(self) -> None:
        """Take up a cancellation that aiomqtt swallowed: ``asyncio.wait_for`` (Python 3.11) loses one that
        meets an answer.
        """
        if self._stopping:
            raise asyncio.CancelledError

    def _take(self, payload: bytes) -> bytes:
        """Judge one plan; the answer. The same plan again (a retained copy after a reconnect) is
        acknowledged again.
        """
        wall_s = self._clock.wall_s()
        again = payload == self._kept[1]
        verdict = self._judge(payload, self._kept[0] - 1 if again else self._kept[0])
        if isinstance(verdict, Refusal):
            log.warning(
                "cloud_plan_refused", reason=verdict.reason, text=verdict.text, revision=verdict.revision
            )
        else:
            self._kept, self._issued_wall_s = (verdict.revision, payload), verdict.issued_wall_s
            if self._outbox is not None and not again:
                self._outbox.keep_plan(verdict.revision, payload)
            self._on_plan(verdict)
            log.info("cloud_plan_taken", revision=verdict.revision, again=again)
        return ack_json(verdict, wall_s)

    def _judge(self, payload: bytes, last_revision: int) -> Plan | Refusal:
        """The plan in ``payload``, once its signature was checked where the site asks for one."""
        if len(payload) > MAX_PAYLOAD_BYTES + SIGNED_MORE:
            return Refusal("too_large", f"{len(payload)} bytes, allowed are {MAX_PAYLOAD_BYTES}")
        try:
            document = self._keys.open(payload) if self._keys is not None else payload
        except BadSignature as fault:
            return Refusal(fault.reason, str(fault)[:MAX_TEXT])
        wall_s = self._clock.wall_s()
        return receive_plan(
            document, self._site, last_revision, wall_s, last_issued_wall_s=self._issued_wall_s
        )

    def reset_revision(self) -> int:
        """Forget the newest revision, so that the next plan is taken whatever its number; the revision
        that was forgotten.
        """
        forgotten, self._kept, self._issued_wall_s = self._kept[0], (-1, b""), 0.0
        if self._outbox is not None:
            self._outbox.keep_plan(-1, b"")
        return forgotten


def _told(fault: BaseException) -> str:
    """The first fault of a group, in one line."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return str(fault) or type(fault).__name__


def tls_context(settings: CloudSettings) -> ssl.SSLContext:
    """TLS 1.3 or nothing, the server's name checked, our own certificate where there is one. Raises
    OSError.
    """
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if settings.certificate_file:
        context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    return context


def backoff_s(site_id: str, attempt: int) -> float:
    """Doubling from one second to a minute, spread over half of it by a hash, so that depots do not come
    back all at once.
    """
    full_s = min(BACKOFF_FIRST_S * 2.0 ** min(attempt, 10), BACKOFF_LAST_S)
    digest = hashlib.sha256(f"{site_id}:{attempt}".encode()).digest()
    return full_s * (0.5 + 0.5 * int.from_bytes(digest[:4]) / 2**32)
