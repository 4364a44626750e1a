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
from typing import Any, Final

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
READ_BYTES: Final = 512 << 10
"""From the end of the file: the samples of some hundred trips."""
TRIPS_MAX: Final = 20


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


def read_trips(path: Path) -> list[dict[str, Any]]:
    """The latest trips of the file, newest first: ``wall_s``, ``row``, ``subject``, ``text``, and the samples
    around each as lists ``wall_s``, ``hz`` and ``v`` (one list a phase), None where a value was unknown. No
    file is no trip; a line that cannot be read is left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - READ_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    trips, samples = list[tuple[float, list[str]]](), list[tuple[float, list[float | None]]]()
    for line in lines:
        words = line.split(",", 4)
        try:
            wall_s = datetime.fromisoformat(words[0]).timestamp()
            if words[1] == "trip":
                trips.append((wall_s, [words[2], words[3], words[4]]))
            else:
                samples.append((wall_s, [float(each) if each else None for each in line.split(",")[2:6]]))
        except (ValueError, IndexError):
            continue  # the first line may be half of one
    return [_trip(wall_s, words, samples) for wall_s, words in reversed(trips[-TRIPS_MAX:])]


def _trip(wall_s: float, words: list[str], samples: list[tuple[float, list[float | None]]]) -> dict[str, Any]:
    near = [each for each in samples if -BEFORE_S <= each[0] - wall_s <= AFTER_S and len(each[1]) == 4]
    return {
        "wall_s": wall_s,
        **dict(zip(("row", "subject", "text"), words, strict=False)),
        "samples": {
            "wall_s": [at_s for at_s, _ in near],
            "hz": [values[3] for _, values in near],
            "v": [[values[phase] for _, values in near] for phase in range(3)],
        },
    }
