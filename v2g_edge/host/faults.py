"""Faults of the event loop: whatever a task or a callback raised and no caller caught becomes one line in the
log and one alarm; a loop that stands still says where.
"""

import asyncio
import contextlib
import sys
import threading
import traceback
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


LOOK_S: Final = 0.5
STALLED_LOOKS: Final = 4
"""So many looks without a turn of the loop are a stall: two seconds, two ticks. The watchdog waits for
ten.
"""
FRAMES: Final = 25
"""Of the stack that is written down, the innermost."""


class StallWatch:
    """A thread that notices when the event loop stands still, and writes down where: the watchdog ends a
    daemon that hangs, and nobody would know what it hung on. ``stalls`` counts them.
    """

    def __init__(self) -> None:
        self._turns = 0
        self._ended = threading.Event()
        self._loop_thread = threading.get_ident()
        self._handle: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self.stalls = 0

    def start(self) -> None:
        """Watch the running loop until ``stop``."""
        self._turn(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._watch, name="stall watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._ended.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join(2.0 * LOOK_S)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        self._handle = loop.call_later(LOOK_S / 2.0, self._turn, loop)

    def _watch(self) -> None:
        seen, still = self._turns, 0
        while not self._ended.wait(LOOK_S):
            still = still + 1 if self._turns == seen else 0
            seen = self._turns
            if still == STALLED_LOOKS:
                with contextlib.suppress(Exception):  # a watch that fails must not end the watch
                    log.error("loop_stalled", stalled_s=still * LOOK_S, stack=self._stack())
                self.stalls += 1

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        return "".join(traceback.format_stack(frame)[-FRAMES:]) if frame is not None else "not known"
