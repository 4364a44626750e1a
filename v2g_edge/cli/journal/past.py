"""Reads a journal and runs its ticks again. The cycle is pure, so the past can be looked at from every
side.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.host.records import JournalError, JournalReader, Tick
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot


@contextmanager
def opened(path: Path) -> Iterator[JournalReader]:
    """A journal to read. CommandError for a file that is none, or that is damaged further on."""
    try:
        reader = JournalReader(path)
    except JournalError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    try:
        yield reader
    except (sqlite3.Error, zlib.error, msgspec.MsgspecError) as error:
        raise CommandError(f"{path}: damaged, or written by another version ({error})", BAD_INPUT) from error
    finally:
        reader.close()


def replayed(path: Path, from_wall_s: float | None = None) -> Iterator[tuple[Site, Tick, Outcome, bool]]:
    """Each tick as it was recorded, and as the cycle decides it now.

    The last value says whether the memory that this replay carried is, byte for byte, the one that a key
    record holds (true between key records); the replay then goes on from the recorded one, so that one
    difference is reported once.
    """
    run, cycle, memory = -1, None, Memory()
    encode = msgspec.msgpack.Encoder().encode
    with opened(path) as reader:
        for tick in reader.ticks(from_wall_s):
            same = True
            if cycle is None or tick.run != run:
                run, cycle = tick.run, Cycle(reader.site(tick.run))
                memory = msgspec.msgpack.decode(tick.memory or b"", type=Memory)
            elif tick.memory is not None and encode(memory) != tick.memory:
                same, memory = False, msgspec.msgpack.decode(tick.memory, type=Memory)
            outcome = cycle.tick(tick.snapshot, tick.plan, memory)
            memory = outcome.memory
            yield reader.site(tick.run), tick, outcome, same


def last_before(path: Path, at_wall_s: float | None) -> tuple[Site, Snapshot, Plan | None, Outcome]:
    """The last tick at or before a time (None: the last of all)."""
    start = at_wall_s if at_wall_s is not None else float("inf")
    found: tuple[Site, Snapshot, Plan | None, Outcome] | None = None
    for site, tick, outcome, _same in replayed(path, start):
        if tick.snapshot.wall_s > start:
            break
        found = (site, tick.snapshot, tick.plan, outcome)
    if found is None:
        raise CommandError(f"{path}: no tick at or before that time", BAD_INPUT)
    return found
