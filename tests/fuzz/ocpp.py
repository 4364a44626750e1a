"""Frames of all three versions into the message machine and the handlers behind it: no crash, no
unanswered call, no growth.
"""

import logging
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any, Final

import msgspec
import structlog

from tests.depot import small_site
from tests.field.ocpp.peer import Clock
from tests.field.ocpp.samples import sample
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.link.station_link import VERSION_ADAPTERS
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.ocpp.versions.v21 import V21
from v2g_edge.field.ocpp.wire.events import CallIn, SendIn
from v2g_edge.field.ocpp.wire.machine import OPEN_MAX, Machine
from v2g_edge.field.ocpp.wire.messages import FROM_STATION, SENDS, VERSIONS, Version
from v2g_edge.model.settings import StationEvse, StationSettings

UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a handler may raise on a payload that a lenient link let pass; the link answers FormatViolation
then.
"""


ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**53, 2**63, 2**64 - 1, 1.5, -0.0, 1e308, 1e-320, "", "x", "1",
    "-1", "nan", "inf",
    "1e999", "2026-01-01T00:00:00Z", "2026-01-01", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00",
    "\0", "\U0001f600",
    "a" * 300, [], {}, [[]], [None], {"id": 1}, "Started", "Ended", "Updated", "SoC", "Power.Active.Export",
    "kW", "bus-1",
)  # fmt: skip
"""Values that ask a handler something: wrong kinds, edges, and right words in the wrong place."""


class Target:
    """One station of each version, strict and lenient, in memory."""

    def __init__(self) -> None:
        self._sides: list[tuple[Machine, Any]] = []
        clock = Clock()
        for version in VERSIONS:
            for strict in (True, False):
                site = small_site(1)
                central = CentralSystem(
                    [],
                    [StationSettings("cp", (StationEvse("b1"),))],
                    site,
                    Board(site, lambda: None),
                    clock,
                    state_dir=None,
                )
                station = central.links["cp"].station
                station.link_up(version)
                dialect = VERSION_ADAPTERS[version](station, clock.wall_s)
                self._sides.append(
                    (Machine(version, "central", strict=strict, handles=dialect.handles), dialect)
                )

    def feed(self, frame: bytes) -> None:
        """One frame to every side. AssertionError when a promise does not hold; any other exception is a
        crash.
        """
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
            machine.answer(call.id, dialect.answer(call.action, call.payload))
        except UNREADABLE:
            machine.refuse(call.id, "FormatViolation")


def _is_call(frame: bytes) -> bool:
    try:
        parts = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return type(parts) is list and len(parts) == 4 and parts[0] == 2 and type(parts[0]) is int


def seeds() -> list[bytes]:
    """A full message of every action that stations send, and the shapes around them."""
    found = [
        b"",
        b"[]",
        b"[2]",
        b'[2,"1","Heartbeat",{}]',
        b'[3,"1",{}]',
        b'[4,"1","GenericError","",{}]',
        b'[5,"1","x","",{}]',
    ]
    found.append(b"[2" + b" " * 40 + b',"' + b"x" * 40 + b'","Heartbeat",{}]')
    ac = {"energyAmount": 1, "evMinCurrent": 1, "evMaxCurrent": "xx", "evMaxVoltage": 2**63}
    needs = {
        "evseId": 1,
        "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase", "acChargingParameters": ac},
    }
    found.append(msgspec.json.encode([2, "1", "NotifyEVChargingNeeds", needs]))
    for version in VERSIONS:
        found += [_call(version, action) for action in sorted(FROM_STATION[version])]
        found += [
            msgspec.json.encode([6, "1", action, sample(version, action, "request")])
            for action in SENDS[version]
        ]
    return found


def _call(version: Version, action: str) -> bytes:
    return msgspec.json.encode([2, "1", action, sample(version, action, "request")])


def mutate(seed: bytes, cuts: Sequence[int], junk: bytes) -> bytes:
    """``seed`` with a piece between two of its own places replaced by ``junk``."""
    low, high = sorted(cut % (len(seed) + 1) for cut in cuts[:2])
    return seed[:low] + junk + seed[high:]


def vary(frame: bytes, seed: int) -> bytes:
    """``frame`` with up to four of its values replaced, or left out: it stays JSON, and so it comes
    further than torn octets.
    """
    parts, dice = msgspec.json.decode(frame), Random(seed)
    for _ in range(dice.choice((1, 1, 2, 4))):
        spots = list(_spots(parts))
        if spots:
            holder, key = dice.choice(spots)
            holder[key] = deepcopy(dice.choice(ODD))
            if dice.random() < 0.1:
                del holder[key]
    return msgspec.json.encode(parts)


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place below ``value``: the table or list, and the key or index in it."""
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _spots(value[key])


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """What a coverage-guided run does to an input: torn octets and odd values in turn."""
    import atheris  # noqa: PLC0415 - only there where it is run

    if seed % 2:
        try:
            return vary(data, seed)[:max_size]
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    mutated: bytes = atheris.Mutate(data, max_size)
    return mutated


def feed(data: bytes) -> None:
    """The target of a coverage-guided run."""
    _target().feed(data)


@cache
def _target() -> Target:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return Target()
