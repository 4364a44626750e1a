"""Who may charge: identifiers that the depot knows, from ``tokens.json`` in the state folder.

    {"others": "Invalid", "known": {"bus-1": {}, "old-card": {"status": "Blocked"}, "guest": {"until": "2026-12-31T00:00:00Z"}}}

Without the file everybody may charge: a depot's gate is its authorisation, and a vehicle that the site file does not know never
discharges. The file is read again when it changes; one that cannot be read lets in nobody new and is told in the log.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog
from msgspec import Struct

from v2g_edge.field.ocpp.when import parse_wall

log = structlog.get_logger()

Status = Literal["Accepted", "Blocked", "Expired", "Invalid", "Unknown"]

V16_STATUS: Final[dict[Status, str]] = {
    "Accepted": "Accepted", "Blocked": "Blocked", "Expired": "Expired", "Invalid": "Invalid", "Unknown": "Invalid",
}  # fmt: skip


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """``until`` is RFC 3339, "" for ever."""

    status: Status = "Accepted"
    until: str = ""


class TokenFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    others: Status = "Accepted"
    known: dict[str, Token] = {}


class Tokens:
    """Answers for identifiers. ``path`` None: everybody."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._changed_ns = -1
        self._file = TokenFile()

    def status(self, identifier: str, wall_s: float) -> Status:
        """What OCPP 2.x calls the authorisation status; ``V16_STATUS`` turns it."""
        self._refresh()
        token = self._file.known.get(identifier)
        if token is None:
            return self._file.others
        until_s = parse_wall(token.until) if token.until else None
        return "Expired" if until_s is not None and wall_s >= until_s else token.status

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except OSError:
            changed_ns = -1
        if changed_ns == self._changed_ns:
            return
        self._changed_ns = changed_ns
        if changed_ns == -1:
            self._file = TokenFile()
            return
        try:
            self._file = msgspec.json.decode(self._path.read_bytes(), type=TokenFile)
        except (OSError, msgspec.MsgspecError) as fault:
            self._file = TokenFile(others="Invalid")
            log.error("tokens_unreadable", file=str(self._path), fault=str(fault), effect="nobody is authorised")
