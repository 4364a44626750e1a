"""Rule 14: what lives as long as the daemon cannot end untold."""

import asyncio
import struct
import termios
from collections.abc import Callable
from typing import Any

import pytest

from v2g_edge import tasks
from v2g_edge.host.faults import AGAIN_S, LoopFaults
from v2g_edge.tasks import begin, end, guarded, keep


class OddError(Exception):
    """A class that nobody lists."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    monkeypatch.setattr(tasks, "PAUSES_S", (0.0,))
    return []


def installed(told: list[tuple[str, str]]) -> None:
    LoopFaults(lambda name, text: told.append((name, text))).install()


async def until(promise: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not promise():  # noqa: ASYNC110 - the promise is a count
            await asyncio.sleep(0)


FAULTS = [
    OddError("x"),
    struct.error("x"),
    termios.error(22, "x"),
    AssertionError(),
    ExceptionGroup("x", [OddError()]),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_outside_case_a13_a_kept_task_is_told_and_started_again(
    fault: BaseException, told: list[tuple[str, str]]
) -> None:
    installed(told)
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise fault
        await asyncio.Event().wait()

    task = keep("modbus grid", run)
    await until(lambda: runs == 2)
    assert [name for name, _ in told] == ["modbus grid"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (task.cancelled(), runs, len(told)) == (True, 2, 1)


async def test_an_end_that_nothing_asked_for_is_a_failure_too(told: list[tuple[str, str]]) -> None:
    installed(told)
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            await asyncio.Event().wait()

    task = keep("chores", run)
    await until(lambda: runs == 2)
    assert "nothing asked" in told[0][1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cancellation_that_a_library_loses_still_ends_the_task(told: list[tuple[str, str]]) -> None:
    """Python 3.11's ``wait_for`` may swallow one."""
    installed(told)
    waiting = asyncio.Event()

    async def run() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = keep("modbus grid", run)
    await waiting.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (task.done(), told) == (True, [])


async def test_the_pauses_grow_and_begin_anew_after_a_steady_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked in a busy loop, and nothing waits longer than 4 s."""
    texts: list[str] = []
    LoopFaults(lambda _name, _text: None).install()
    monkeypatch.setattr(tasks, "report", lambda _name, text, _error: texts.append(text))
    now_s, loop = [0.0], asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: now_s[0], raising=False)
    real_sleep = asyncio.sleep
    slept: list[float] = []

    async def sleep(pause_s: float) -> None:
        slept.append(pause_s)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def run() -> None:
        if len(slept) == 7:
            now_s[0] += tasks.STEADY_S
        raise OddError

    task = keep("x", run)
    while len(slept) < 9:
        await real_sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slept[:9] == [0.2, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 0.2, 0.5]


async def test_a_short_task_and_a_library_callback_that_fail_are_told(told: list[tuple[str, str]]) -> None:
    installed(told)

    async def work() -> None:
        raise OddError("once")

    def call() -> None:
        raise OddError("back")

    held = begin("write b1", work())
    asyncio.get_running_loop().call_soon(call)
    guarded("pings", call)
    await until(lambda: len(told) == 3)
    assert held.done()
    assert {name for name, _ in told} == {"write b1", "event loop", "pings"}
    assert all("Odd" in text for _, text in told)


async def test_what_fails_again_and_again_is_told_once_a_minute_with_its_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, str]] = []
    faults = LoopFaults(lambda name, text: told.append((name, text)))

    class Loop:
        now_s = 0.0

        def time(self) -> float:
            return self.now_s

    loop: Any = Loop()
    for loop.now_s in (0.0, 1.0, 2.0, AGAIN_S):
        faults._take(loop, {"message": "pings: failed", "task_name": "pings"})
    assert [text for _, text in told] == [
        "pings: failed",
        "pings: failed (and 2 times before, since this was last told)",
    ]


async def test_a_task_that_loses_its_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """``wait_for`` of Python 3.11 returns the answer in place of the cancellation that meets it."""
    monkeypatch.setattr(tasks, "END_AGAIN_S", 0.01)
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    answers: list[int] = []

    async def serve() -> None:
        try:
            answers.append(await asyncio.wait_for(answer, 60.0))
        except asyncio.CancelledError:  # what a newer Python does; a library that loses it does this
            answers.append(0)
        await asyncio.Event().wait()

    serving = asyncio.create_task(serve())
    await asyncio.sleep(0)
    answer.set_result(1)
    async with asyncio.timeout(20):
        await end(serving)
    assert (len(answers), serving.cancelled()) == (1, True)
