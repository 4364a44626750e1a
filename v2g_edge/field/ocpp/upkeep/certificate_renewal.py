"""Stations' certificates are renewed before they run out: the daemon asks, the station requests, the site's
authority signs.

Watched is what a station showed when it came in (profile 3), else the youngest that the authority has issued
to it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.trust.pki import SiteCa
from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.ports import ClockPort
from v2g_edge.tasks import begin, end

log = structlog.get_logger()

ASK_S: Final = 86_400.0
"""A station whose certificate is due is asked once a day: there are two months to do it in."""

ISSUED_S: Final = 3_600.0
"""What was issued is read from disk this often."""

WAIT_S: Final = 60.0
"""A station that has just come in is left alone so long: it may have come back with its new certificate."""


class Renewals:
    """See the module. ``authority`` None: nothing is renewed."""

    def __init__(self, links: Mapping[str, StationLink], clock: ClockPort, renew_s: float) -> None:
        self.authority: SiteCa | None = None
        self._links = links
        self._clock = clock
        self._renew_s = renew_s
        self._seen: dict[str, tuple[Connection, float]] = {}
        self._asked_s: dict[str, float] = {}
        self._issued: dict[str, float] = {}
        self._read_s = -ISSUED_S
        self._asking: set[asyncio.Task[None]] = set()

    def step(self) -> None:
        """Ask whose time has come."""
        if self.authority is None:
            return
        now_s, wall_s = self._clock.now_s(), self._clock.wall_s()
        if now_s - self._read_s >= ISSUED_S:
            self._read_s = now_s
            self._issued = {
                each.name: each.expires_wall_s for each in self.authority.issued() if not each.revoked
            }
        for identity, link in self._links.items():
            connection = link.connection
            if connection is None or not link.station.requests.encrypted:
                continue
            known, since_s = self._seen.get(identity, (None, now_s))
            if known is not connection:
                self._seen[identity] = (connection, now_s)
                continue
            expires_wall_s = self._expires_wall_s(identity)
            if expires_wall_s is None or expires_wall_s - wall_s >= self._renew_s or now_s - since_s < WAIT_S:
                continue
            if now_s - self._asked_s.get(identity, -ASK_S) >= ASK_S:
                self._asked_s[identity] = now_s
                self._start(identity, connection, expires_wall_s)

    def describe(self) -> list[dict[str, Any]]:
        """Each station's certificate, for people."""
        told = []
        for identity in self._links:
            expires_wall_s = self._expires_wall_s(identity)
            if expires_wall_s is not None:
                shown = self._links[identity].shown
                serial = f"{shown.serial:x}" if shown.serial >= 0 else ""
                told.append({"station": identity, "serial": serial, "until": format_wall(expires_wall_s)})
        return told

    async def stop(self) -> None:
        """End what runs."""
        await end(*self._asking)

    def _expires_wall_s(self, identity: str) -> float | None:
        shown = self._links[identity].shown
        return shown.expires_wall_s if shown.serial >= 0 else self._issued.get(identity)

    def _start(self, identity: str, connection: Connection, expires_wall_s: float) -> None:
        task = begin(f"renew {identity}", self._ask(identity, connection, expires_wall_s))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, identity: str, connection: Connection, expires_wall_s: float) -> None:
        if connection.version == "1.6":
            asked = await connection.call(
                "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}
            )
        else:
            asked = await connection.call(
                "TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}
            )
        status = asked.payload.get("status") if isinstance(asked, Answered) else type(asked).__name__
        until = format_wall(expires_wall_s)
        if status == "Accepted":
            log.info("station_certificate_renewal_asked", station=identity, until=until)
        else:
            mend = f"make one with `v2g-edge pki station {identity}` and carry it there"
            log.error(
                "station_certificate_not_renewed", station=identity, until=until, status=status, mend=mend
            )
