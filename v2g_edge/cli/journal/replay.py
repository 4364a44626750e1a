"""``v2g-edge replay JOURNAL``: does every recorded decision come out again, bit for bit?"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from v2g_edge import __version__
from v2g_edge.cli.journal.past import replayed
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.screen import local_time
from v2g_edge.cycle import Outcome
from v2g_edge.host.records import JournalReader, Tick

SHOWN_MAX: Final = 50
"""Differences printed in full; the first ones tell the story, all are counted."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay", help="decide every tick of a journal again and compare bit for bit"
    )
    parser.add_argument("journal", type=Path, metavar="JOURNAL")
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help="begin at the key record before this time (ISO 8601)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences and their number; 1 if there is any."""
    from v2g_edge.cli.live.why import wall_of  # noqa: PLC0415 - only for --from

    start = wall_of(arguments.start) if arguments.start else None
    ticks = found = 0
    runs: set[int] = set()
    for _site, tick, outcome, same_memory in replayed(arguments.journal, start):
        ticks += 1
        runs.add(tick.run)
        texts = list(differences(tick, outcome))
        if not same_memory:
            texts.insert(0, "memory: what this replay carried is not what the daemon had")
        for text in texts:
            found += 1
            if found <= SHOWN_MAX:
                when = local_time(tick.snapshot.wall_s, "%Y-%m-%d %H:%M:%S")
                print(f"run {tick.run} tick {tick.snapshot.seq} ({when}) {text}")
    if not ticks:
        raise CommandError(f"{arguments.journal}: no tick in it", BAD_INPUT)
    print(
        f"{ticks} ticks of {len(runs)} run{'s' if len(runs) > 1 else ''} decided again: {found} differences"
    )
    for text in _versions(arguments.journal, runs) if found else ():
        print(text)
    return FAILED if found else DONE


def _versions(path: Path, runs: set[int]) -> Iterator[str]:
    """Another version may well decide otherwise; then the difference is no fault of the journal."""
    reader = JournalReader(path)
    for run_id in sorted(runs):
        if reader.version(run_id) != __version__:
            yield f"run {run_id} was written by version {reader.version(run_id)}, this is {__version__}"
    reader.close()


def differences(tick: Tick, outcome: Outcome) -> Iterator[str]:
    """Each field of a permit or an event that came out otherwise, as "permit b1.power_w: recorded 0.0, now
    1.0".
    """
    yield from _compare("permit", tick.permits, outcome.permits)
    yield from _compare("event", tick.events, outcome.events)


def _compare(what: str, recorded: tuple[Struct, ...], now: tuple[Struct, ...]) -> Iterator[str]:
    if len(recorded) != len(now):
        yield f"{what}s: recorded {len(recorded)}, now {len(now)}"
    for place, (old, new) in enumerate(zip(recorded, now, strict=False)):
        if old == new:
            continue
        name = getattr(old, "evse", None) or getattr(old, "kind", place)
        for field in fields(old):
            before, after = getattr(old, field.name), getattr(new, field.name)
            if before != after:
                yield f"{what} {name}.{field.name}: recorded {before!r}, now {after!r}"
