"""The end of a run that was asked for (case B11): zero first, then the contactors; nothing is waited for
without end.
"""

import asyncio
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from tests.depot import small_site
from v2g_edge.field.board import Board
from v2g_edge.model.snapshot import CommandState, Link
from v2g_edge.wiring import shutdown
from v2g_edge.wiring.shutdown import wind_down

SITE = small_site(3)
NAMES = tuple(evse.id for evse in SITE.evses)


class Clock:
    def now_s(self) -> float:
        return 100.0


class Contactors:
    """Notes what the chargers had been told when it was asked to open."""

    def __init__(self, board: Board, *, hangs: bool = False) -> None:
        self.board = board
        self.hangs = hangs
        self.contactors = {"k": None}
        self.told: list[CommandState] = []

    async def open_contactors(self) -> list[str]:
        self.told = [self.board.evse(name).command for name in NAMES]
        if self.hangs:
            await asyncio.Event().wait()
        return []


def made(*, hangs: bool = False) -> tuple[Board, Contactors]:
    """Two chargers that export 24 kW, and one that is not connected."""
    board = Board(SITE, lambda: None)
    for name in NAMES[:2]:
        command = CommandState(-24_000.0, "accepted", 90.0, 130.0)
        board.update_evse(name, link=Link(connected=True, ever_seen=True, last_seen_s=100.0), command=command)
    return board, Contactors(board, hangs=hangs)


async def ended(board: Board, contactors: Contactors, answers_at: dict[str, int]) -> int:
    """Each charger answers to its zero at the tick with its number; how many ticks there were."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        for name in NAMES[:2]:
            ack: Any = "accepted" if ticks >= answers_at[name] else "pending"
            board.update_evse(name, command=CommandState(0.0, ack, 100.0, 130.0))

    await wind_down(board, cast(Any, contactors), NAMES, cast(Any, Clock()), tick)
    return ticks


async def test_outside_case_b11_the_contactors_open_when_every_charger_has_answered_to_its_zero() -> None:
    board, contactors = made()
    with capture_logs() as logs:
        assert await ended(board, contactors, {"b1": 1, "b2": 4}) == 4
    assert [(command.power_w, command.ack) for command in contactors.told[:2]] == [(0.0, "accepted")] * 2
    assert logs == []


async def test_a_charger_that_does_not_answer_is_named_with_the_end_of_its_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown, "ZERO_WAIT_S", 0.2)
    board, contactors = made()
    with capture_logs() as logs:
        await ended(board, contactors, {"b1": 1, "b2": 10_000})
    assert contactors.told, "the contactors open all the same"
    assert [(each["evse"], each["effect"]) for each in logs] == [
        ("b2", "its lease ends by itself within 30 s")
    ]


async def test_a_contactor_that_hangs_ends_the_wait_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "OPEN_WAIT_S", 0.05)
    board, contactors = made(hangs=True)
    with capture_logs() as logs:
        await ended(board, contactors, {"b1": 1, "b2": 1})
    assert [each["device"] for each in logs if each["event"] == "contactor_not_opened"] == ["k"]


async def test_chargers_that_were_never_told_anything_are_not_waited_for() -> None:
    board = Board(SITE, lambda: None)
    board.update_evse("b1", link=Link(connected=True, ever_seen=True, last_seen_s=100.0))
    contactors = Contactors(board)
    await wind_down(board, cast(Any, contactors), NAMES, cast(Any, Clock()), lambda: None)
    assert contactors.told
