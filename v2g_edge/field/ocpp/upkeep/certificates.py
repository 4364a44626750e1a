"""The listeners' certificates while the daemon runs: new files count for new handshakes, and bad ones not at
all.

A rotation drops no station, except a station whose own certificate was revoked.
"""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog

from v2g_edge.field.ocpp.link.station_link import StationLink
from v2g_edge.field.ocpp.trust.tls import LiveContext, Loaded, files_of, load
from v2g_edge.field.ocpp.wire.timestamps import format_wall
from v2g_edge.model.settings import Listener

log = structlog.get_logger()

LOOK_S: Final = 1.0
"""The files are looked at this often. New ones are read when they have stood still from one look to the
next: a certificate and its key are two files, and one of them is written first.
"""

TELL_S: Final = 86_400.0
"""What runs out soon is reported once a day."""

REVOKED_CLOSE: Final = 1008
"""RFC 6455 7.4.1: policy violation."""

Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class Certificates:
    """The contexts of all listeners. Times are those of the caller's clock."""

    def __init__(self, listeners: Sequence[Listener], renew_s: float) -> None:
        self._listeners = {
            place: listener for place, listener in enumerate(listeners) if listener.security_profile >= 2
        }
        self._renew_s = renew_s
        self._contexts: dict[int, LiveContext] = {}
        self._loaded: dict[int, Loaded] = {}
        self._stamps: dict[int, Stamp] = {}
        self._seen: dict[int, Stamp] = {}
        self._told_wall_s = 0.0

    def context(self, place: int) -> ssl.SSLContext | None:
        """The context of the listener at ``place`` of the site file, None for a plain one. OSError names
        what is wrong.
        """
        listener = self._listeners.get(place)
        if listener is None:
            return None
        self._stamps[place] = self._seen[place] = _stamp(listener)
        loaded = self._loaded[place] = load(listener)
        context = self._contexts[place] = LiveContext(ssl.PROTOCOL_TLS_SERVER)
        context.fresh = loaded.context
        return context

    def look(self, wall_s: float) -> bool:
        """Read what has changed and stands still. True when new files are in use."""
        taken = False
        for place in self._contexts:
            stamp = _stamp(self._listeners[place])
            still, self._seen[place] = stamp == self._seen[place], stamp
            if still and stamp != self._stamps[place]:
                taken |= self._take(place, stamp, wall_s) == ""
        if wall_s - self._told_wall_s >= TELL_S:
            self._told_wall_s = wall_s
            self._tell(wall_s)
        return taken

    def reload(self, wall_s: float) -> list[dict[str, Any]]:
        """Read all files now; what became of each listener's, for people."""
        told = []
        for place in self._contexts:
            listener = self._listeners[place]
            self._seen[place] = _stamp(listener)
            why = self._take(place, self._seen[place], wall_s)
            told.append({"listener": f"{listener.host}:{listener.port}", "taken": not why, "why": why})
        return told

    def describe(self) -> list[dict[str, Any]]:
        """Until when what is in use is good, for people."""
        return [
            {
                "listener": f"{self._listeners[place].host}:{self._listeners[place].port}",
                "file": file,
                "until": format_wall(wall_s),
            }
            for place, loaded in self._loaded.items()
            for file, wall_s in loaded.expires
        ]

    def revoked(self) -> frozenset[int]:
        """Serial numbers that no listener may accept any more."""
        return frozenset().union(*(each.revoked for each in self._loaded.values()))

    def cut_revoked(self, links: Mapping[str, StationLink]) -> list[str]:
        """End the links that came in with a certificate that is revoked by now, at once; the stations
        behind them.
        """
        revoked, cut = self.revoked(), []
        for identity, link in links.items():
            if link.connection is not None and link.shown.serial in revoked:
                serial = f"{link.shown.serial:x}"
                log.error(
                    "station_certificate_revoked",
                    station=identity,
                    serial=serial,
                    effect="its link is closed",
                )
                link.connection.ws.give_up(REVOKED_CLOSE, "certificate revoked")
                cut.append(identity)
        return cut

    def _take(self, place: int, stamp: Stamp, wall_s: float) -> str:
        """Use the files as they are now, or say why not."""
        listener, self._stamps[place] = self._listeners[place], stamp
        name = f"{listener.host}:{listener.port}"
        try:
            loaded = load(listener)
            for file, expires_wall_s in loaded.expires:
                if expires_wall_s <= wall_s:
                    raise OSError(f"{file} holds something that has run out already")
        except OSError as fault:
            log.error(
                "listener_files_refused", listener=name, why=str(fault), effect="the old ones stay in use"
            )
            return str(fault)
        self._loaded[place], self._contexts[place].fresh = loaded, loaded.context
        log.info("listener_files_taken", listener=name, revoked=len(loaded.revoked))
        return ""

    def _tell(self, wall_s: float) -> None:
        for place, loaded in self._loaded.items():
            for file, expires_wall_s in loaded.expires:
                if expires_wall_s - wall_s < self._renew_s:
                    days = (expires_wall_s - wall_s) / 86_400.0
                    listener = self._listeners[place]
                    log.warning(
                        "listener_file_runs_out",
                        listener=f"{listener.host}:{listener.port}",
                        file=file,
                        days=round(days),
                    )


def _stamp(listener: Listener) -> Stamp:
    """What changes when a file changes; zeros for one that is not there."""
    marks = []
    for file in files_of(listener):
        try:
            stat = Path(file).stat()
        except OSError:
            marks.append((0, 0, 0))
        else:
            marks.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(marks)
