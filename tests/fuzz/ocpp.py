"""Frames of all three versions into the message machine and the handlers behind it: no crash, no unanswered call, no growth."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec
import structlog

from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from tests.field.ocpp.samples import sample
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.events import CallIn, SendIn
from v2g_edge.field.ocpp.link import DIALECTS
from v2g_edge.field.ocpp.machine import OPEN_MAX, Machine
from v2g_edge.field.ocpp.messages import FROM_STATION, SENDS, VERSIONS, Version
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.v21 import V21
from v2g_edge.model.settings import Station, StationEvse

UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What a handler may raise on a payload that a lenient link let pass; the link answers FormatViolation then."""


class Target:
    """One station of each version, strict and lenient, in memory."""

    def __init__(self) -> None:
        self._sides: list[tuple[Machine, Any]] = []
        clock = Clock()
        for version in VERSIONS:
            for strict in (True, False):
                site = small_site(1)
                central = CentralSystem(
                    [], [Station("cp", (StationEvse("b1"),))], site, Board(site, lambda: None), clock, state_dir=None
                )
                station = central.links["cp"].station
                station.link_up(version)
                dialect = DIALECTS[version](station, clock.wall_s)
                self._sides.append((Machine(version, "central", strict=strict, handles=dialect.handles), dialect))

    def feed(self, frame: bytes) -> None:
        """One frame to every side. AssertionError when a promise does not hold; any other exception is a crash."""
        for machine, dialect in self._sides:
            machine.receive(frame, 0.0)
            events, replies = machine.events(), machine.frames()
            assert len(events) <= 1
            assert len(replies) <= 1
            for event in events:
                if isinstance(event, CallIn):
                    self._answer(machine, dialect, event)
                    replies = machine.frames()
                    assert len(replies) == 1, "a call without an answer"
                elif isinstance(event, SendIn) and isinstance(dialect, V21):
                    try:
                        dialect.take_stream(event.payload)
                    except UNREADABLE:
                        continue
            if _is_call(frame):
                assert replies, "a call without an answer"
            assert len(machine._open) <= OPEN_MAX

    def _answer(self, machine: Machine, dialect: Any, call: CallIn) -> None:
        try:
            payload = dialect.answer(call.action, call.payload)
        except UNREADABLE:
            machine.refuse(call.id, "FormatViolation")
            return
        machine.answer(call.id, payload)


def _is_call(frame: bytes) -> bool:
    try:
        parts = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return type(parts) is list and len(parts) == 4 and parts[0] == 2 and type(parts[0]) is int


def seeds() -> list[bytes]:
    """A full message of every action that stations send, and the shapes around them."""
    found = [b"", b"[]", b"[2]", b'[2,"1","Heartbeat",{}]', b'[3,"1",{}]', b'[4,"1","GenericError","",{}]', b'[5,"1","x","",{}]']
    found.append(b"[2" + b" " * 40 + b',"' + b"x" * 40 + b'","Heartbeat",{}]')
    for version in VERSIONS:
        found += [_call(version, action) for action in sorted(FROM_STATION[version])]
        found += [msgspec.json.encode([6, "1", action, sample(version, action, "request")]) for action in SENDS[version]]
    return found


def _call(version: Version, action: str) -> bytes:
    return msgspec.json.encode([2, "1", action, sample(version, action, "request")])


def mutate(seed: bytes, cuts: Sequence[int], junk: bytes) -> bytes:
    """``seed`` with a piece between two of its own places replaced by ``junk``."""
    low, high = sorted(cut % (len(seed) + 1) for cut in cuts[:2])
    return seed[:low] + junk + seed[high:]


def feed(data: bytes) -> None:
    """The target of a coverage-guided run."""
    _target().feed(data)


@cache
def _target() -> Target:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return Target()
