"""Takes what a journal has and the ledger has not, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from v2g_edge.model.permit import Permit
from v2g_edge.model.plan import Plan
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.ledger.backfill import Quarters, backfill
from v2g_edge.study.ledger.book import Book, Position
from v2g_edge.study.ledger.lines import Place
from v2g_edge.study.ledger.store import Store

BATCH: Final = 5_000
"""Ticks of one transaction: over an hour of one-second ticks."""


class RecordedTick(Protocol):
    """What the ledger reads of a tick in the journal."""

    @property
    def run(self) -> int:
        """The run that recorded it."""

    @property
    def snapshot(self) -> Snapshot:
        """The picture."""

    @property
    def plan(self) -> Plan | None:
        """The plan that stood."""

    @property
    def permits(self) -> tuple[Permit, ...]:
        """What was permitted until the next."""


Ticks = Callable[[float | None], Iterable[RecordedTick]]
"""The ticks of a journal, all of them (None) or from the last key record before a wall time on."""


def extend(
    store: Store,
    ticks: Ticks,
    site_of: Callable[[int], Site],
    *,
    quarters: Quarters | None = None,
    batch: int = BATCH,
) -> int:
    """Take all ticks after the last that is known. Gives how many were new. What is known already changes
    nothing. A ledger without any tick begins with the ``quarters`` from before the first.
    """
    book = Book(store.state())
    taken, known, place = 0, None, Place()
    for tick in _after(ticks, book.state.at):
        site = site_of(tick.run)
        if quarters is not None and book.state.at is None:
            backfill(store, quarters, tick.snapshot.wall_s, place_of(site), book.state)
        book.add(site, tick.snapshot, tick.plan, tick.permits)
        if site is not known:
            known, place = site, place_of(site)
        taken += 1
        if taken % batch == 0:
            store.keep(book.take(), book.state, place)
    if known is not None:
        store.keep(book.take(), book.state, place)
    return taken


def place_of(site: Site) -> Place:
    """What a ledger remembers of a site."""
    root = next(feeder for feeder in site.feeders if not feeder.parent)
    return Place(
        site.name,
        site.timezone,
        root.meter,
        tuple(evse.id for evse in site.evses),
        sum(feeder.base_load_min_w for feeder in site.feeders),
        sum(feeder.base_load_max_w for feeder in site.feeders),
        tuple((evse.id, evse.max_charge_w, evse.max_discharge_w, evse.efficiency) for evse in site.evses),
        root.import_limit_w,
        root.export_limit_w,
    )


def _after(ticks: Ticks, at: Position | None) -> Iterator[RecordedTick]:
    """The ticks after ``at``. It is searched near its time, then in the whole journal, whose clock may have
    been set; where it is nowhere, all later ones follow.
    """
    if at is None:
        yield from ticks(None)
        return
    for start in (at.wall_s, None):
        found = iter(ticks(start))
        if any(_is(tick, at) for tick in found):
            yield from found
            return
    yield from (tick for tick in ticks(None) if tick.snapshot.wall_s > at.wall_s)


def _is(tick: RecordedTick, at: Position) -> bool:
    snapshot = tick.snapshot
    return (snapshot.seq, snapshot.now_s, snapshot.wall_s) == (at.seq, at.now_s, at.wall_s)
