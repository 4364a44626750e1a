"""Stations' Basic passwords, and how they are changed without shutting anybody out: both are accepted until
the new one is used.

The site file names the file of the first password. What the daemon has set since lies in
``passwords/<identity>.json`` of the state folder (mode 0600) and holds as long as the site's file stays as it
was: whoever writes a new one there overrules it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import Answered, Expired
from v2g_edge.model.settings import StationSettings

log = structlog.get_logger()

RANDOM_OCTETS: Final = 20
"""A new password is 40 hexadecimal digits: the most that 1.6's AuthorizationKey holds, and good for 2.x
(16 to 40 characters).
"""

PENDING_MAX: Final = 4
"""Changes that a station got and has not used yet. More are refused: a station that never comes back
needs a visit.
"""


TAKEN: Final = {
    "Accepted": "it comes back with the new password by itself; until then both are accepted",
    "RebootRequired": "reset it: it uses the new password after a restart; until then both are accepted",
}
"""What happens next, by what the station says."""


class Kept(Struct, frozen=True):
    """What the daemon set. ``of`` is the digest of the site's password that it follows, ``pending`` is
    sent and unused.
    """

    of: str
    current: str = ""
    pending: tuple[str, ...] = ()


class Passwords:
    """Knows every station's password. ``folder`` None: none can be changed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def fits(self, station: StationSettings, given: bytes) -> bool:
        """Whether ``given`` lets the station in. The first use of a new password ends the old one."""
        secret = _read(station)
        if not secret:
            return False
        kept = self._kept(station, secret)
        for place, each in enumerate(
            (kept.current.encode() or secret, *(new.encode() for new in kept.pending))
        ):
            if _same(given, each):
                if place:
                    self._save(station.identity, replace(kept, current=each.decode(), pending=()))
                    log.info("station_password_changed", station=station.identity)
                return True
        return False

    def begin(self, station: StationSettings) -> str:
        """A new password, accepted from now on beside the present one. ValueError where it cannot be
        changed.
        """
        if self._folder is None or not station.password_file:
            raise ValueError(
                f"{station.identity} has no password to change: no state folder, or no password_file in the"
                " site file"
            )
        secret = _read(station)
        if not secret:
            raise ValueError(
                f"{station.password_file} cannot be read or is empty; {station.identity} could not come in"
                " at all"
            )
        kept = self._kept(station, secret)
        if len(kept.pending) >= PENDING_MAX:
            raise ValueError(
                f"{station.identity} was told {PENDING_MAX} new passwords and uses none; set one at the"
                " station itself"
            )
        new = secrets.token_hex(RANDOM_OCTETS)
        self._save(station.identity, replace(kept, pending=(*kept.pending, new)))
        return new

    def drop(self, station: StationSettings, new: str) -> None:
        """The station did not take it."""
        kept = self._kept(station, _read(station))
        self._save(
            station.identity, replace(kept, pending=tuple(each for each in kept.pending if each != new))
        )

    def changing(self, station: StationSettings) -> bool:
        """Whether a new password was sent and not used yet."""
        return bool(self._kept(station, _read(station)).pending)

    def _kept(self, station: StationSettings, secret: bytes) -> Kept:
        of = hashlib.sha256(secret).hexdigest()
        if self._folder is None:
            return Kept(of)
        try:
            kept = msgspec.json.decode(self._path(self._folder, station.identity).read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept(of)
        except (OSError, msgspec.MsgspecError) as fault:
            log.error("station_password_unreadable", station=station.identity, fault=type(fault).__name__)
            return Kept(of)
        return kept if kept.of == of else Kept(of)

    def _save(self, identity: str, kept: Kept) -> None:
        """Write it to the disk before the station gets it. OSError where the disk refuses."""
        if self._folder is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(self._folder, identity)
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    @staticmethod
    def _path(folder: Path, identity: str) -> Path:
        return folder / f"{quote(identity, safe='')}.json"


async def change(passwords: Passwords, station: StationSettings, connection: Connection) -> dict[str, Any]:
    """Give a station a new password; no answer of it shuts it out. ValueError where it has none
    to change.
    """
    new = passwords.begin(station)
    if connection.version == "1.6":
        outcome = await connection.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": new})
    else:
        where = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        outcome = await connection.call(
            "SetVariables", {"setVariableData": [{"attributeValue": new, **where}]}
        )
    status = _status(outcome)
    if status in TAKEN:
        return {"outcome": "done", "status": status, "next": TAKEN[status]}
    if isinstance(outcome, Expired):
        return {
            "outcome": "silent",
            "status": outcome.why,
            "next": "old and new password are both accepted; ask again later",
        }
    passwords.drop(station, new)
    return {"outcome": "refused", "status": status, "next": "the old password stands"}


def _status(outcome: Outcome) -> str:
    """What the station says, in the word of its version."""
    if not isinstance(outcome, Answered):
        return outcome.why if isinstance(outcome, Expired) else outcome.code
    results = outcome.payload.get("setVariableResult")
    row = (
        results[0]
        if isinstance(results, list) and results and isinstance(results[0], dict)
        else outcome.payload
    )
    return str(row.get("attributeStatus", row.get("status", "")))


def _read(station: StationSettings) -> bytes:
    try:
        return Path(station.password_file).read_bytes().strip() if station.password_file else b""
    except OSError:
        return b""


def _same(given: bytes, secret: bytes) -> bool:
    """Stations send a key of 40 hexadecimal digits as text or as the 20 octets that it spells (OCPP-J 1.6
    6.2 shows octets).
    """
    if hmac.compare_digest(given, secret):
        return True
    try:
        octets = bytes.fromhex(secret.decode("ascii")) if len(secret) == 2 * RANDOM_OCTETS else b""
    except ValueError:
        return False
    return bool(octets) and hmac.compare_digest(given, octets)
