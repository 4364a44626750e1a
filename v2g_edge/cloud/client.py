"""An MQTT client that says what the library keeps to itself: refused publishes, a goodbye's reason, large
packets.
"""

import asyncio
from typing import Any, Final

import aiomqtt
import structlog
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from v2g_edge.bounded_mqtt import bound_packets
from v2g_edge.cloud.inbox import MAX_PAYLOAD_BYTES

log = structlog.get_logger()

MAX_PACKET_BYTES: Final = 4 * MAX_PAYLOAD_BYTES
"""Larger packets the broker itself keeps back (MQTT 5, 3.1.2.11.4); between the two limits we answer
``too_large``. A broker that sends one all the same loses the session: the library would take up to 256
MiB.
"""

TAKEN_OVER: Final = 0x8E
"""Reason code of a broker that ends a session because another client came with its id (MQTT 5, 3.14.2.1).
Mosquitto 2.0 closes the connection without a word.
"""


class CheckedClient(aiomqtt.Client):
    """``aiomqtt`` drops the reason code of a PUBACK, so a publish against the broker's ACL (135) would
    count as delivered.
    """

    def __init__(self, host: str, port: int, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._one_at_a_time = asyncio.Lock()
        self._refused = ""
        self.taken_over = False
        self._handle_disconnect = self._client._handle_disconnect
        self._client._handle_disconnect = self._handle_goodbye  # type: ignore[method-assign]
        bound_packets(self, MAX_PACKET_BYTES)

    async def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Publish and wait for the acknowledgement; False when the broker refuses. Raises ``MqttError``
        when there is none.
        """
        async with self._one_at_a_time:
            self._refused = ""
            await self.publish(topic, payload, qos=qos, retain=retain)
            if self._refused:
                log.error("cloud_forbidden", topic=topic, reason=self._refused)
            return not self._refused

    def _handle_goodbye(self) -> Any:
        """The broker's DISCONNECT, with its reason code."""
        self.taken_over |= self._client._in_packet["packet"][:1] == bytes((TAKEN_OVER,))
        return self._handle_disconnect()

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self._refused = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)
