"""Security incidents from the log: how many, how long until each was told, how long until it was over.

The log is an export: ``journalctl -u v2g-edge -o json``, or the JSON lines of a daemon without systemd. Lines
of one kind and subject less than an hour apart are one incident; it is over with its last line.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from v2g_edge.security_events import SECURITY_EVENTS

QUIET_S: Final = 3_600.0
"""So long without another line of its kind and subject, and an incident is over."""
NO_INCIDENTS: Final = frozenset(
    {
        "console_login", "console_claimed", "console_account", "console_account_ended", "console_token",
        "console_token_ended", "listener_file_runs_out", "station_certificates_stand",
    }
)  # fmt: skip
"""Security events that are a record of what was allowed, or a reminder."""
SUBJECTS: Final = (
    "V2G_STATION",
    "station",
    "V2G_IDENTITY",
    "identity",
    "V2G_PEER",
    "peer",
    "V2G_FROM",
    "from",
)


class IncidentError(Exception):
    """The file is no log that can be read; the message names it and the line."""


class Incident(Struct):
    """One incident.

    Attributes:
        kind: The security event.
        subject: Whom it is about; "" where no line says.
        first_wall_s: Its first line, UTC epoch seconds.
        last_wall_s: Its last line.
        detect_s: Seconds from the act to the first line.
        lines: How many lines it has.
    """

    kind: str
    subject: str
    first_wall_s: float
    last_wall_s: float
    detect_s: float
    lines: int = 1

    @property
    def resolve_s(self) -> float:
        """Seconds from the act to the last line."""
        return self.detect_s + self.last_wall_s - self.first_wall_s


def read_incidents(path: Path, from_wall_s: float, until_wall_s: float) -> list[Incident]:
    """The incidents that begin in a time. Raises ``IncidentError``."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = sorted(_events(path, file), key=lambda each: each.first_wall_s)
    except (OSError, UnicodeDecodeError) as error:
        raise IncidentError(f"{path}: cannot be read ({error})") from error
    found: list[Incident] = []
    open_: dict[tuple[str, str], Incident] = {}
    for line in lines:
        key = (line.kind, line.subject)
        old = open_.get(key)
        if old is not None and line.first_wall_s - old.last_wall_s < QUIET_S:
            old.last_wall_s, old.lines = line.first_wall_s, old.lines + 1
            continue
        open_[key] = line
        found.append(line)
    return [each for each in found if from_wall_s <= each.first_wall_s < until_wall_s]


def _events(path: Path, lines: Iterable[str]) -> Iterator[Incident]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            kind = str(row.get("V2G_EVENT") or row.get("event") or "")
            if kind not in SECURITY_EVENTS or kind in NO_INCIDENTS:
                continue
            at_s = _time(row)
            after_s = max(float(row.get("V2G_AFTER_S") or row.get("after_s") or 0.0), 0.0)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            wanted = "expected the lines of `journalctl -u v2g-edge -o json`"
            raise IncidentError(f"{path}:{number}: {error}; {wanted}") from error
        subject = next((str(row[key]) for key in SUBJECTS if row.get(key)), "")
        yield Incident(kind, subject, at_s, at_s, after_s)


def _time(row: dict[str, Any]) -> float:
    stamp = row.get("__REALTIME_TIMESTAMP")
    if stamp is not None:
        return int(stamp) / 1e6
    return datetime.fromisoformat(str(row["timestamp"])).timestamp()
