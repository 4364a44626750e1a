"""Faults of the event loop: whatever a task or a callback raised and no caller caught becomes one line in the
log and one alarm.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

log = structlog.get_logger()

AGAIN_S: Final = 60.0
"""A task that fails again and again is reported once a minute (loop time), with the count of what was left
out.
"""
NAMES_MAX: Final = 256
"""Names that are counted apart; the daemon has one a device and station, and a library may invent more."""


class LoopFaults:
    """The exception handler of the daemon's loop. ``tell`` gets the task's name and what happened."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._last_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def install(self) -> None:
        """Take over from asyncio's own handler, which only logs."""
        asyncio.get_running_loop().set_exception_handler(self._take)

    def remove(self) -> None:
        """Give the loop its own handler back."""
        asyncio.get_running_loop().set_exception_handler(None)

    def _take(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        name = context.get("task_name") or (
            task.get_name() if isinstance(task, asyncio.Task) else "event loop"
        )
        error, now_s = context.get("exception"), loop.time()
        if name not in self._last_s and len(self._last_s) >= NAMES_MAX:
            name = "event loop"
        if now_s - self._last_s.get(name, -AGAIN_S) < AGAIN_S:
            self._left_out[name] = self._left_out.get(name, 0) + 1
            return
        self._last_s[name] = now_s
        left_out = self._left_out.pop(name, 0)
        text = str(context.get("message", "")) or "a task failed"
        if error is not None and "task_name" not in context:
            text = f"{text}: {type(error).__name__}: {error}"
        if left_out:
            text = f"{text} (and {left_out} times before, since this was last told)"
        trace = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
        log.error("task_failed", task=name, text=text, exc_info=trace)
        self._tell(name, text)
