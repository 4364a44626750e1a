"""A child process that answers, is late, dies or talks nonsense: an answer, or the reason in time; and
then a new process.
"""

import asyncio
import os
import signal
import sys

import pytest

from v2g_edge.host.child import Child, ChildFailedError

ECHO = """
import sys
def frame():
    head = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(head, "big")) if len(head) == 4 else None
first = frame()
while (body := frame()) is not None:
    answer = first + body
    sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
    sys.stdout.buffer.flush()
"""
LONG_S = 60.0
"""Longer than any of these takes: no test waits for it."""


def child(code: str) -> Child:
    return Child((sys.executable, "-c", code), b"hello ")


async def test_it_answers_again_and_again_from_one_process() -> None:
    echo = child(ECHO)
    assert await echo.ask(b"one", LONG_S) == b"hello one"
    pid = echo.pid
    assert await echo.ask(b"x" * 300_000, LONG_S) == b"hello " + b"x" * 300_000
    assert echo.pid == pid
    await echo.stop()
    assert echo.pid is None


async def test_one_that_hangs_is_stopped_in_time_and_replaced() -> None:
    hanging = child("import time; time.sleep(3600)")
    with pytest.raises(ChildFailedError, match="no answer within"):
        await hanging.ask(b"x", 0.2)
    assert hanging.pid is None


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.stdout.buffer.write(b'ab')"])
async def test_one_that_ends_says_so(code: str) -> None:
    with pytest.raises(ChildFailedError, match="ended"):
        await child(code).ask(b"x", LONG_S)


async def test_one_that_talks_nonsense_is_stopped() -> None:
    loud = child(
        "import sys, time; sys.stdout.buffer.write(b'\\xff' * 8); sys.stdout.buffer.flush(); time.sleep(3600)"
    )
    with pytest.raises(ChildFailedError, match="bytes"):
        await loud.ask(b"x", LONG_S)
    assert loud.pid is None


async def test_one_that_cannot_be_started_says_so() -> None:
    with pytest.raises(ChildFailedError):
        await Child(("/no/such/program",)).ask(b"x", LONG_S)


async def test_one_killed_while_it_works_is_replaced_by_the_next_question() -> None:
    echo = child(ECHO)
    await echo.ask(b"one", LONG_S)
    assert echo.pid is not None
    os.kill(echo.pid, signal.SIGSTOP)
    asking = asyncio.create_task(echo.ask(b"two", LONG_S))
    await asyncio.sleep(0)
    os.kill(echo.pid, signal.SIGKILL)
    with pytest.raises(ChildFailedError):
        await asking
    assert await echo.ask(b"three", LONG_S) == b"hello three"
    await echo.stop()


async def test_a_cancelled_question_leaves_no_answer_for_the_next_one() -> None:
    echo = child(ECHO)
    await echo.ask(b"one", LONG_S)
    assert echo.pid is not None
    os.kill(echo.pid, signal.SIGSTOP)
    asking = asyncio.create_task(echo.ask(b"two", LONG_S))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await echo.ask(b"three", LONG_S) == b"hello three"
    await echo.stop()
