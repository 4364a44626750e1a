"""What a station said last, kept for people: whole as long as it is short, else its beginning and how much
there was.
"""

from collections import deque
from typing import Any, Final

import msgspec

from v2g_edge.field.ocpp.vocabulary.facts import readable

TOLD_MAX: Final = 20
"""Messages of one station kept."""

MESSAGE_MAX: Final = 8 << 10
"""Octets (as JSON) that one message may take. A notification has some hundreds, a part of a device model
report two to six thousand; a frame may have 1 MiB. A whole report is read by the operation that asks for
it (``reports``).
"""

ALL_MAX: Final = 32 << 10
"""Octets that one station's messages take together, the newest first: a thousand stations that talk
without end take 32 MB, and all of it fits into one answer on the control socket.
"""

MARK: Final = "\N{HORIZONTAL ELLIPSIS}"
"""Stands where something was left out."""

_MARKS_MAX: Final = 1 << 10
DEPTH_MAX: Final = 12
"""Levels that are shown; OCPP's own messages have up to nine. Each may end with a mark: ``_MARKS_MAX`` is
room for them.
"""

VALUE_LEAST: Final = 16
"""Octets that a value counts at least: 2,400 empty tables in 7 KiB would take 1.4 ms to shorten."""

_encode = msgspec.json.Encoder().encode


class LastMessages:
    """The messages as JSON: a tenth of what they take as objects."""

    __slots__ = ("_kept", "_octets")

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque()
        self._octets = 0

    def add(self, wall_s: float, action: str, payload: dict[str, Any]) -> None:
        """Keep it, and forget what it displaces."""
        entry: dict[str, Any] = {"wall_s": wall_s, "action": action, "payload": payload}
        line = _encode(entry)
        if len(line) > MESSAGE_MAX:
            entry |= {
                "shortened_from_octets": len(line),
                "payload": shortened(payload, MESSAGE_MAX - _MARKS_MAX),
            }
            line = _encode(entry)
        self._kept.append(line)
        self._octets += len(line)
        while len(self._kept) > TOLD_MAX or self._octets > ALL_MAX:
            self._octets -= len(self._kept.popleft())

    def describe(self) -> list[dict[str, Any]]:
        """Oldest first: ``wall_s``, ``action``, ``payload``, and ``shortened_from_octets`` where not all
        of it is there.
        """
        return [msgspec.json.decode(line) for line in self._kept]


def shortened(value: Any, octets: int) -> Any:
    """The beginning of a JSON value in about so many octets; a mark stands in each text, list and table
    that was cut.
    """
    return _cut(value, octets, DEPTH_MAX)[0]


def _cut(value: Any, room: int, levels: int) -> tuple[Any, int]:
    """The value's beginning, and the octets left."""
    made: Any
    most = room - VALUE_LEAST
    if isinstance(value, dict | list) and value and levels == 0:
        return MARK, most
    if isinstance(value, dict):
        made, room = _cut_table(value, room, levels - 1)
    elif isinstance(value, list):
        made, room = _cut_list(value, room, levels - 1)
    elif isinstance(value, str):
        made, room = _cut_text(value, room)
    else:
        made, room = value, room - len(_encode(value)) - 1
    return made, min(room, most)


def _cut_table(table: dict[str, Any], room: int, levels: int) -> tuple[dict[str, Any], int]:
    kept: dict[str, Any] = {}
    for place, (key, item) in enumerate(table.items()):
        if room <= 0:
            kept[MARK] = f"{len(table) - place} more"
            break
        name = readable(key)
        kept[name], room = _cut(item, room - len(_encode(name)) - 2, levels)
    return kept, room - 2


def _cut_list(items: list[Any], room: int, levels: int) -> tuple[list[Any], int]:
    kept: list[Any] = []
    for place, item in enumerate(items):
        if room <= 0:
            kept.append(f"{MARK} {len(items) - place} more")
            break
        cut, room = _cut(item, room, levels)
        kept.append(cut)
    return kept, room - 2


def _cut_text(text: str, room: int) -> tuple[str, int]:
    cut = text[: max(room, 0)]
    while len(_encode(cut)) > max(room, 2):
        cut = cut[: len(cut) // 2]
    left = room - len(_encode(cut)) - 1
    return cut if len(cut) == len(text) else f"{cut}{MARK} ({len(text)} signs in all)", left
