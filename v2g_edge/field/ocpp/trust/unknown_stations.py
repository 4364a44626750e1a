"""Stations that dial in and are not in the site file: turned away, and remembered for the person who puts
them in.
"""

from collections import OrderedDict
from typing import Any, Final

from msgspec import Struct

KNOCKS_MAX: Final = 32
"""Identities remembered; the one that dialled longest ago is forgotten first."""
TEXT_MAX: Final = 60
"""Characters kept of what a stranger says."""


class UnknownStation(Struct, frozen=True):
    """What a stranger showed before it was turned away: anybody can say any of it."""

    identity: str
    peer: str
    versions: tuple[str, ...]
    agent: str
    wall_s: float
    times: int = 1


class UnknownStations:
    """The latest strangers, by identity."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, UnknownStation] = OrderedDict()

    def note(self, identity: str, peer: str, versions: tuple[str, ...], agent: str, wall_s: float) -> None:
        """One dial that was turned away."""
        identity = _plain(identity)
        before = self._known.pop(identity, None)
        times = before.times + 1 if before is not None else 1
        self._known[identity] = UnknownStation(identity, peer, versions[:8], _plain(agent), wall_s, times)
        if len(self._known) > KNOCKS_MAX:
            self._known.popitem(last=False)

    def describe(self) -> list[dict[str, Any]]:
        """The latest first."""
        return [
            {
                "station": knock.identity,
                "peer": knock.peer,
                "versions": list(knock.versions),
                "agent": knock.agent,
                "wall_s": knock.wall_s,
                "times": knock.times,
            }
            for knock in reversed(self._known.values())
        ]


def _plain(text: str) -> str:
    """Short, on one line, and without what would steer a terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[:TEXT_MAX])
