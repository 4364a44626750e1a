"""Logs: events with keys, to stderr, or to journald with a field for each key where systemd runs us.

journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) is one datagram an entry: ``KEY=value`` lines,
or for values with a line break the key, a little-endian length of 64 bits and the bytes.
"""

import logging
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID, uuid5

import structlog
from structlog.typing import EventDict

from v2g_edge.host.loglimit import LogLimit
from v2g_edge.model.event import Event
from v2g_edge.model.site import Site
from v2g_edge.security_events import SEEN

JOURNAL: Final = Path("/run/systemd/journal/socket")
VALUE_MAX: Final = 16_384
"""Bytes of one field: a whole entry stays below a datagram's usual limit of 208 KiB
(net.core.wmem_default).
"""
CATALOGUE: Final = UUID("5b1f4ac6-2f3e-4f0c-9d0a-6c1e5c9a7e21")
"""Ours alone: message ids are made from it and an event's kind (RFC 9562, version 5)."""
PLAIN: Final = frozenset({"evse", "feeder", "meter", "contact", "vehicle", "station", "device", "who", "why"})
"""Keys that are fields under their own name, so that `journalctl EVSE=B07` works. All others keep the
prefix: no key may stand in for a field of journald's own.
"""
FIELDS_MAX: Final = 10
"""Keys of one entry; no event of ours has more."""
PRIORITY: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""syslog's severities (RFC 5424, 6.2.1)."""

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["auto", "console", "json", "journal"]


LEVEL_OF: Final = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "alarm": logging.ERROR,
    "trip": logging.CRITICAL,
}
"""An event's severity is the priority of its line, so that `journalctl -p warning` and `log_level` show
what matters.
"""


def subjects_of(site: Site) -> dict[str, str]:
    """What each name of the site is: the journal's field that an event about it gets besides."""
    named = dict.fromkeys(site.contacts, "contact")
    named |= {vehicle.id: "vehicle" for vehicle in site.vehicles}
    named |= dict.fromkeys(site.meters, "meter")
    named |= {feeder.id: "feeder" for feeder in site.feeders}
    return named | {evse.id: "evse" for evse in site.evses}


def record_event(event: Event, subjects: Mapping[str, str] = MappingProxyType({})) -> None:
    """One line for one event. ``subjects`` says what the names of the site are (``subjects_of``)."""
    what = subjects.get(event.subject)
    extra = {what: event.subject} if what else {}
    level, logger = LEVEL_OF[event.severity], structlog.get_logger()
    logger.log(
        level,
        "event",
        kind=event.kind,
        severity=event.severity,
        subject=event.subject,
        text=event.text,
        **extra,
    )


def message_id(kind: str) -> str:
    """The journal's MESSAGE_ID of an event: the same for a kind for ever, so that the catalogue can
    explain it.
    """
    return uuid5(CATALOGUE, kind.removesuffix(".cleared")).hex


class JournalWriter:
    """Sends entries to journald. An entry that cannot be sent is counted in ``lost``: logging never stops
    the daemon.
    """

    def __init__(self, path: Path = JOURNAL) -> None:
        self._path = str(path)
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        self.lost = 0

    def msg(self, **fields: str) -> None:
        """One entry; keys are field names of the journal."""
        try:
            self._socket.sendto(b"".join(map(_field, fields.keys(), fields.values())), self._path)
        except OSError:
            self.lost += 1

    debug = info = warning = error = exception = critical = msg

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _field(key: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")[:VALUE_MAX]
    if b"\n" in data:
        return key.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return key.encode() + b"=" + data + b"\n"


def journal_fields(_logger: object, _method: str, entry: EventDict) -> tuple[tuple[()], dict[str, str]]:
    """structlog's last step: MESSAGE for people, PRIORITY, EVENT, and ``V2G_<KEY>`` for each key; some
    under their own name.
    """
    level = str(entry.pop("level", "info"))
    event = str(entry.pop("event", ""))
    entry.pop("timestamp", None)
    keys = list(entry.items())[:FIELDS_MAX]
    kind = str(entry.get("kind", "")) if event == "event" else ""
    fields = {
        "MESSAGE": " ".join([event, *(f"{key}={value}" for key, value in keys)]),
        "PRIORITY": str(PRIORITY.get(level, 6)),
        "SYSLOG_IDENTIFIER": "v2g-edge",
        "EVENT": kind or event,
        "V2G_EVENT": event,
    }
    if kind:
        fields["MESSAGE"] = f"{kind} {entry.get('subject', '')}: {entry.get('text', '')}"
        fields["MESSAGE_ID"] = message_id(kind)
    fields.update((_name(key), str(value)) for key, value in keys)
    fields.update((key.upper(), str(value)) for key, value in keys if key in PLAIN)
    return (), fields


def _name(key: str) -> str:
    """Field names are capitals, digits and _, at most 64 characters."""
    return ("V2G_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper()))[:64]


def journal_is_stderr(environ: Mapping[str, str], stderr_fd: int = 2) -> bool:
    """Whether stderr goes to journald (JOURNAL_STREAM, systemd.exec(5)), so that native entries would not
    be doubled.
    """
    try:
        stat = os.fstat(stderr_fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM", "") == f"{stat.st_dev}:{stat.st_ino}" and JOURNAL.exists()


class _Foreign(logging.Handler):
    """What libraries log becomes an event like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {record.exc_info[1]!r}"
        structlog.get_logger().log(record.levelno, "library", logger=record.name, text=text)


def _on_one_line(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """What others send, a path or a name, may not steer the terminal that shows the log. journalctl sees to
    it by itself.

    Line ends are written as \\n by the renderer.
    """
    return {key: _shown(value) if isinstance(value, str) else value for key, value in entry.items()}


def _shown(text: str) -> str:
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def set_up_logs(
    level: Level,
    wall_text: Callable[[], str],
    style: Style = "auto",
    now_s: Callable[[], float] | None = None,
) -> None:
    """Configure the whole process. ``wall_text`` gives the time as it should stand in a line (journald has
    its own).

    ``now_s`` (monotonic) bounds what is logged on behalf of others; None: nothing is left out, as suits a
    short command.
    """
    if style == "auto":
        style = "journal" if journal_is_stderr(os.environ) else "console"

    def stamp(_logger: object, _method: str, entry: EventDict) -> EventDict:
        return {"timestamp": wall_text(), **entry}

    common: list[Any] = [structlog.contextvars.merge_contextvars, SEEN]
    if now_s is not None:
        common.append(LogLimit(now_s))
    common += [structlog.processors.add_log_level, stamp]
    common.append(structlog.processors.format_exc_info)
    factory: Any = structlog.WriteLoggerFactory(file=sys.stderr)
    last: Any = structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "event"], bool_as_flag=False
    )
    if style == "console":
        common.append(_on_one_line)
    elif style == "json":
        last = structlog.processors.JSONRenderer()
    elif style == "journal":
        writer = JournalWriter()
        last, factory = journal_fields, lambda *_args: writer
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*common, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_Foreign()], force=True)
