"""Signals of an aggregator by HTTP: POST /signal with the signed document that the topic ``signal`` carries.

The signature says who sends; there is no other password. What counts and what does not is the same on both
ways, and one order of sequence holds for both.
"""

from collections.abc import Callable
from typing import Final

import structlog

from v2g_edge.bounded_http import Answer, Inlet
from v2g_edge.cloud.signals import OCTETS_MAX
from v2g_edge.model.settings import CloudSettings

log = structlog.get_logger()

PATH: Final = "/signal"


class SignalWebhook:
    """``receive`` judges a document: "" where it counts, else what is wrong with it."""

    def __init__(self, settings: CloudSettings, receive: Callable[[bytes], str]) -> None:
        self._settings = settings
        self._receive = receive
        self._inlet = Inlet(PATH.encode(), OCTETS_MAX, self._take, lambda _: None, _say_broken)

    @property
    def port(self) -> int:
        """0 while it is closed."""
        return self._inlet.port

    async def start(self) -> None:
        """Listen where the site file says so. OSError or ssl.SSLError name what cannot be used."""
        settings = self._settings
        if not settings.signal_port:
            return
        await self._inlet.start(
            settings.signal_host,
            settings.signal_port,
            settings.signal_certificate_file,
            settings.signal_key_file,
        )
        log.info("signal_listens", port=self.port, tls=bool(settings.signal_certificate_file))

    async def stop(self) -> None:
        """Close the port."""
        await self._inlet.stop()

    def _take(self, body: bytes) -> Answer:
        fault = self._receive(body)
        return (422, {"error": fault}) if fault else (200, {"result": "accepted"})


def _say_broken(fault: str) -> None:
    log.info("signal_request_broken", fault=fault)
