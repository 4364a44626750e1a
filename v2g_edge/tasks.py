"""Watched tasks (rule 14): what lives as long as the daemon is started with ``keep``, what ends by itself
with ``begin``.

A failure goes to the event loop's exception handler, which also gets what a library's own tasks and callbacks
raise. The daemon makes an alarm of each (``host.faults``); without a daemon asyncio logs it. This module
knows no room.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

ACCEPT_TURNS: Final = 4
"""Turns of the loop from a connection that asyncio has accepted to the task that serves it (three in Python
3.11). Until then only asyncio knows it.
"""

PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits before a task is started again. At most 4 s: a device is back in the picture within 5 s of its
repair.
"""

STEADY_S: Final = 60.0
"""A task that ran this long before it failed is started again after the first pause."""


END_AGAIN_S: Final = 2.0
"""Between two cancellations of a task that is to end: a clean-up may take as long."""


def keep(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Run ``run`` until the returned task is cancelled. Any other end is reported, and ``run`` is started
    again.
    """
    return asyncio.get_running_loop().create_task(_keep(name, run), name=name)


def begin(name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run ``work`` once. A failure is reported. The caller holds the task, as asyncio asks for."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_report_failure)
    return task


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until each has ended, so that what they hold (connections, files) is closed.

    A task may lose a cancellation: ``wait_for`` of Python 3.11 drops the one that meets an answer. So each is
    cancelled again until it has ended.
    """
    open_tasks = {task for task in tasks if not task.done()}
    while open_tasks:
        for task in open_tasks:
            task.cancel()
        _, open_tasks = await asyncio.wait(open_tasks, timeout=END_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_door(server: asyncio.AbstractServer) -> None:
    """Take no further connection, and wait until each that was accepted has the task that will close it.

    Python 3.11 drops a connection, with its socket open, whose server is closed in the turn in which it was
    accepted: so the server stops to listen first.
    """
    if isinstance(server, asyncio.Server):  # uvloop's is none, and drops nothing
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    server.close()


def guarded(name: str, call: Callable[..., object], *arguments: object) -> None:
    """Call one of several: a failure is reported under ``name``, and the others get their turn."""
    try:
        call(*arguments)
    except Exception as fault:  # noqa: BLE001 - whatever class: see above
        report(name, f"failed with {described(fault)}", fault)


def is_cancelled() -> bool:
    """Whether the end of the running task was asked for. A ``CancelledError`` without that is a library's
    fault.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def report(name: str, what: str, error: BaseException | None = None) -> None:
    """Tell the loop's exception handler that the task ``name`` failed."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{name}: {what}", "task_name": name, "exception": error}
    )


async def _keep(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop, failures = asyncio.get_running_loop(), 0
    while True:
        begun_s = loop.time()
        error: BaseException | None = None
        try:
            await run()
            what = "ended, though nothing asked it to"
        except asyncio.CancelledError as cancelled:
            if is_cancelled():
                raise
            error, what = cancelled, "was cancelled, though nothing asked for that"
        except Exception as fault:  # noqa: BLE001 - whatever class: the task is started again
            error, what = fault, f"ended with {described(fault)}"
        if (
            is_cancelled()
        ):  # Python 3.11's wait_for may lose the cancellation that meets an answer; the request stands
            return
        failures = 0 if loop.time() - begun_s >= STEADY_S else failures
        pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
        failures += 1
        report(name, f"{what}; started again after {pause_s:g} s", error)
        await asyncio.sleep(pause_s)


def described(error: BaseException) -> str:
    """A failure in one line: its class and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _report_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        report(task.get_name(), f"ended with {described(error)}", error)
