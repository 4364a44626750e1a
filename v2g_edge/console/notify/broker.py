"""The session with Home Assistant's broker: discovery, states each ten seconds, and orders from its
buttons.
"""

import asyncio
import ssl
from typing import Any, Final

import aiomqtt
import structlog

from v2g_edge import tasks
from v2g_edge.bounded_mqtt import bound_packets
from v2g_edge.console.daemon import Daemon, DaemonDown, DaemonRefuses
from v2g_edge.console.notify.entities import ORDERS, base_topic, discovery, states
from v2g_edge.console.notify.settings import HomeAssistant, secret

log = structlog.get_logger()

PACKET_MAX: Final = 64 << 10
"""Octets of one packet: what is heard is an order or a word."""
EVERY_S: Final = 10.0
RETRY_S: Final = (2.0, 60.0)
"""First and longest wait before the next try."""


class Entities:
    """Keeps the depot's entities true while ``run`` runs."""

    def __init__(self, settings: HomeAssistant, daemon: Daemon) -> None:
        self._settings = settings
        self._daemon = daemon
        self._announce = asyncio.Event()

    async def run(self) -> None:
        """Hold the session; a broker that is away is tried again with growing pauses."""
        wait_s = RETRY_S[0]
        while True:
            try:
                status = await self._daemon.ask("status")
                await self._hold(str(status["site"]))
                wait_s = RETRY_S[0]
            except (aiomqtt.MqttError, OSError, DaemonDown, DaemonRefuses) as fault:
                log.warning("home_assistant_offline", fault=str(fault), again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2.0, RETRY_S[1])

    async def _hold(self, site: str) -> None:
        topic, kept = f"{base_topic(site)}/availability", self._settings
        tls = ssl.create_default_context(cafile=kept.ca_file or None) if kept.tls else None
        async with aiomqtt.Client(
            kept.host,
            kept.port,
            username=kept.user or None,
            password=secret(kept.password_file) or None,
            identifier=f"v2g-edge-{base_topic(site).partition('/')[2]}-home",
            will=aiomqtt.Will(topic, b"offline", qos=1, retain=True),
            tls_context=tls,
        ) as client:
            bound_packets(client, PACKET_MAX)
            await client.subscribe(f"{kept.prefix}/status", qos=1)
            if kept.orders:
                await client.subscribe(f"{base_topic(site)}/order", qos=1)
            log.info("home_assistant_online", host=kept.host)
            listening = tasks.begin("home assistant orders", self._listen(client))
            try:
                await self._publish(client, topic)
            finally:
                await tasks.end(listening)

    async def _publish(self, client: aiomqtt.Client, availability: str) -> None:
        self._announce.set()
        announced: dict[str, bytes] = {}
        while True:
            try:
                status = await self._daemon.ask("status")
            except (DaemonDown, DaemonRefuses):
                await client.publish(availability, b"offline", qos=1, retain=True)
            else:
                fresh = discovery(status, self._settings.prefix, orders=self._settings.orders)
                for topic in announced.keys() - fresh.keys():
                    await client.publish(topic, b"", qos=1, retain=True)  # the device is gone
                if self._announce.is_set() or fresh != announced:
                    self._announce.clear()
                    for topic, body in fresh.items():
                        await client.publish(topic, body, qos=1, retain=True)
                    announced = fresh
                await client.publish(availability, b"online", qos=1, retain=True)
                for topic, body in states(status).items():
                    await client.publish(topic, body, qos=0, retain=topic.endswith("/link"))
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next turn, or for Home Assistant's start."""
        try:
            async with asyncio.timeout(EVERY_S):
                await self._announce.wait()
        except TimeoutError:
            return

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            body = bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""
            if str(message.topic).endswith("/order"):
                await self._order(body, retained=bool(message.retain))
            elif body == b"online":  # Home Assistant has started: it knows nothing
                self._announce.set()

    async def _order(self, body: bytes, *, retained: bool) -> None:
        """Give the order of a button. A retained one is old: it must never act again at a reconnect."""
        name = body[:20].decode("utf-8", "replace")
        order: dict[str, Any] | None = ORDERS.get(name)
        if order is None or retained:
            log.warning("home_assistant_order_refused", order=name, retained=retained)
            return
        said = {"by": "home-assistant", "why": f"button {name}"}
        try:
            await self._daemon.ask("operate", {**order, **said})
        except (DaemonDown, DaemonRefuses) as fault:
            log.warning("home_assistant_order_failed", order=name, fault=str(fault))
        else:
            log.warning("home_assistant_order", order=name)
