"""``grid_events.log``: each trip with the grid meter's raw samples around it, for people and for the network
operator.

The journal holds the same samples tick by tick; this file is for readers without a journal reader. A line is
``UTC time,trip,row,subject,text`` or ``UTC time,sample,V L1,V L2,V L3,Hz``; an unknown value is empty.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from v2g_edge.model.event import Event
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import GridSample, Snapshot

log = structlog.get_logger()

BEFORE_S: Final = 2.0
AFTER_S: Final = 5.0
"""Around each trip: long enough for every ride-through band's shortest time and for what the grid did
next.
"""
KEPT_BYTES: Final = 10_000_000
"""Then the file becomes ``grid_events.log.1`` and a new one begins: some ten thousand trips at ten samples
a second.
"""


class GridLog:
    """Fed once a tick. Writing is a thread's affair: a slow disk delays no tick, and a full one loses
    lines, not control.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: deque[GridSample] = deque()
        self._until_s = float("-inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gridlog")

    def record(self, snapshot: Snapshot, events: Sequence[Event]) -> None:
        """Take a tick's samples, and write what belongs to a trip: the samples before it, its line, the
        samples after it.
        """
        offset_s = snapshot.wall_s - snapshot.now_s
        samples = list(snapshot.grid_samples)
        after = samples if snapshot.now_s <= self._until_s else []
        trips = [event for event in events if event.severity == "trip"]
        lines = [_sample(each, offset_s) for each in after]
        if trips:
            if not after:
                lines = [_sample(each, offset_s) for each in (*self._before, *samples)]
            lines += [
                f"{_time(each.wall_s)},trip,{each.kind},{each.subject},{' '.join(each.text.split())}"
                for each in trips
            ]
            self._until_s = snapshot.now_s + AFTER_S
        self._before.extend(samples)
        while self._before and self._before[0].at_s < snapshot.now_s - BEFORE_S:
            self._before.popleft()
        if lines:
            self._thread.submit(self._write, "".join(f"{line}\n" for line in lines))

    def close(self) -> None:
        """Wait until everything is in the file."""
        self._thread.shutdown()

    def _write(self, text: str) -> None:
        try:
            if self._path.exists() and self._path.stat().st_size > KEPT_BYTES:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            log.error("grid_log_not_written", file=str(self._path), error=str(error))


def _sample(sample: GridSample, offset_s: float) -> str:
    return ",".join(
        (_time(sample.at_s + offset_s), "sample", *(_number(each) for each in (*sample.v, sample.hz)))
    )


def _number(value: Measured) -> str:
    return f"{value.value:g}" if isinstance(value, Reading) else ""


def _time(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
