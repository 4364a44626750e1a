"""Who may charge: identifiers that the depot knows, from ``tokens.json`` in the state folder.

{"others": "Invalid", "known": {"bus-1": {}, "old-card": {"status": "Blocked"}, "guest": {"until":
"2026-12-31T00:00:00Z"}}}

Identifiers are compared without regard to case, as OCPP has them (1.6 CiString20Type, 2.x IdTokenType). A
``group`` is sent to the stations: a token of the same group may end what another of it began, and the one
that is a station's MasterPassGroupId may end all.

Without the file every token may charge: a depot's gate is its authorisation, and a vehicle that the site file
does not know never discharges. The file is read again when it changes; one that cannot be read lets in no new
one and is reported in the log.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import structlog
from msgspec import Meta, Struct
from msgspec.structs import replace

from v2g_edge.field.ocpp.wire.timestamps import parse_wall

log = structlog.get_logger()

Status = Literal["Accepted", "Blocked", "Expired", "Invalid", "Unknown"]

V16_STATUS: Final[dict[Status, str]] = {
    "Accepted": "Accepted", "Blocked": "Blocked", "Expired": "Expired", "Invalid": "Invalid",
    "Unknown": "Invalid",
}  # fmt: skip


GROUP_MAX: Final = 20
"""Characters of a group: 1.6 has room for no more (IdToken)."""


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """``until`` is RFC 3339, "" for ever; ``group`` "" for none. ValueError when one of them cannot be
    sent to a station.
    """

    status: Status = "Accepted"
    until: str = ""
    group: Annotated[str, Meta(max_length=GROUP_MAX)] = ""

    def until_wall_s(self) -> float | None:
        """When it ends; None for never."""
        return parse_wall(self.until)

    def __post_init__(self) -> None:
        """A date that cannot be read would never come."""
        if self.until and self.until_wall_s() is None:
            raise ValueError(f"until {self.until!r} is no RFC 3339 time, for example 2026-12-31T00:00:00Z")


class TokenFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    others: Status = "Accepted"
    known: dict[str, Token] = {}


class Tokens:
    """Answers for identifiers. ``path`` None: every one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._changed_ns = -1
        self._take(TokenFile())

    def find(self, identifier: str, wall_s: float) -> Token:
        """The identifier's token, with the status of this moment as OCPP 2.x calls it; ``V16_STATUS``
        turns it.
        """
        self._refresh()
        token = self._known.get(identifier.casefold(), Token(self._file.others))
        until_wall_s = token.until_wall_s()
        return (
            replace(token, status="Expired") if until_wall_s is not None and wall_s >= until_wall_s else token
        )

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
            self._take(TokenFile())
            return
        try:
            self._take(msgspec.json.decode(self._path.read_bytes(), type=TokenFile))
        except (OSError, msgspec.MsgspecError) as fault:
            self._take(TokenFile(others="Invalid"))
            log.error(
                "tokens_unreadable", file=str(self._path), fault=str(fault), effect="nobody is authorised"
            )

    def _take(self, file: TokenFile) -> None:
        self._file = file
        self._known = {identifier.casefold(): token for identifier, token in file.known.items()}
