"""Power cuts of a depot that discharges and trips: its state folder is copied while it is written, the newest
file is torn, and what a successor finds there is compared with what the depot knew.

No ledger entry is lost or doubled: the successor's ledger is one that the depot had, and none older than the
last that was on the disk. No trip is forgotten, and no export is permitted that the trip forbade.
"""

import random
import shutil
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.journal import Journal
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.wiring.restore import restored

SITE: Final = small_site()
START_S: Final = 100.0
WALL_S: Final = 1_000_000.0
POWER_W: Final = -40_000.0
PAGE: Final = 4_096
TICKS_PER_CUT: Final = 40
TRIP_TICKS: Final = 8


def picture(tick: int, *, tripped: bool) -> Snapshot:
    """A second of the depot: the first bus gives 40 kW, unless the grid relay is open."""
    now_s = START_S + tick
    base = healthy(SITE, now_s, WALL_S + tick)
    first = base.evses[0]
    assert first.vehicle is not None
    vehicle = replace(first.vehicle, soc_pct=Reading(80.0 - tick / 200.0, now_s))
    given_wh = Reading(-POWER_W * tick / 3_600.0, now_s)
    power = Reading(0.0 if tripped else POWER_W, now_s)
    giving = replace(first, power_w=power, energy_export_wh=given_wh, vehicle=vehicle)
    relay = replace(base.contacts[0], closed=Reading(0.0 if tripped else 1.0, now_s))
    return replace(base, seq=tick + 1, evses=(giving, *base.evses[1:]), contacts=(relay,))


class Life:
    """One depot, its journal, and every memory that it had; ``durable`` counts those known to be on the
    disk.
    """

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.journal = Journal.open(self.state / "journal.db", SITE, "test", sync="full", keep_days=30.0)
        self.cycle = Cycle(SITE)
        self.memories = [Memory()]
        self.durable = 0
        self._watch_saves()

    def _watch_saves(self) -> None:
        file = self.journal._memory_file
        save = file.save

        def watched(value: tuple[float, bytes]) -> None:
            save(value)
            self.durable = self.index_of(value[1])

        file.save = watched  # type: ignore[method-assign]

    def index_of(self, body: bytes) -> int:
        """Which of its memories that is; -1 for one that it never had."""
        found = msgspec.msgpack.decode(body, type=Memory)
        return next((i for i in range(len(self.memories) - 1, -1, -1) if self.memories[i] == found), -1)

    def tick(self, *, tripped: bool) -> None:
        """One second."""
        snapshot, before = picture(len(self.memories), tripped=tripped), self.memories[-1]
        outcome = self.cycle.tick(snapshot, None, before)
        self.memories.append(outcome.memory)
        self.journal.record(
            snapshot, None, outcome.permits, outcome.events, memory_before=before, memory_after=outcome.memory
        )


def torn(state: Path, drawn: random.Random) -> None:
    """The newest file of the journal loses its end, or some of its pages are of no use."""
    newest = max(state.glob("journal.db*"), key=lambda path: path.stat().st_mtime_ns)
    size = newest.stat().st_size
    with newest.open("r+b") as file:
        if drawn.random() < 0.5:
            file.truncate(max(size - drawn.randrange(1, 3 * PAGE), 0))
            return
        for _ in range(drawn.randrange(1, 4)):
            file.seek(drawn.randrange(max(size // PAGE, 1)) * PAGE)
            file.write(drawn.choice((bytes(PAGE), drawn.randbytes(PAGE))))


async def judge(copy: Path, life: Life, durable: int) -> None:
    """What a successor on the copy knows. ``durable``: the memory that was surely on the disk."""
    journal = Journal.open(copy / "journal.db", SITE, "test", sync="full", keep_days=30.0)
    bodies = journal.last_memories()
    told: list[str] = []
    memory = restored(journal, SITE, SystemClock(), lambda subject, text: told.append(f"{subject}: {text}"))
    await journal.close()
    index = life.index_of(bodies[0]) if bodies else 0
    assert index >= durable, f"memory {index} came back, {durable} was on the disk ({told})"
    ledger = memory.envelope.taken_pct
    assert ledger == life.memories[index].envelope.taken_pct, "the ledger is none that the depot had"
    known = {(each.row, each.subject) for each in life.memories[durable].envelope.latches if each.active}
    acting = {(each.row, each.subject) for each in memory.envelope.latches if each.active}
    ended = {(each.row, each.subject) for each in life.memories[index].envelope.latches if not each.active}
    assert known - ended <= acting, f"forgotten: {known - ended - acting}"
    trips = {row for row, _ in known - ended} & {"grid_relay_open", "grid_fault"}
    outcome = life.cycle.tick(picture(len(life.memories), tripped=False), None, memory)
    if trips:
        assert all(permit.min_w >= 0.0 for permit in outcome.permits), f"export is permitted after {trips}"


async def power_cuts(folder: Path, count: int, drawn: random.Random) -> str:
    """``count`` cuts of one life; an AssertionError names the first after which something was lost."""
    life, trip = Life(folder), 0
    for cut in range(count):
        for _ in range(drawn.randrange(1, TICKS_PER_CUT)):
            trip = TRIP_TICKS if not trip and drawn.random() < 0.02 else max(trip - 1, 0)
            life.tick(tripped=trip > 0)
            if life.journal._writing is not None and drawn.random() < 0.3:
                await life.journal._writing
        durable, copy = life.durable, folder / f"cut{cut}"
        shutil.copytree(life.state, copy)
        torn(copy, drawn)
        try:
            await judge(copy, life, durable)
        except AssertionError as error:
            raise AssertionError(f"cut {cut}: {error}") from error
        shutil.rmtree(copy)
    await life.journal.close()
    taken_pct = life.memories[-1].envelope.taken_pct
    assert sum(taken_pct.values()) > 0.0, "nothing was discharged"
    assert any(each.row == "grid_relay_open" for m in life.memories for each in m.envelope.latches)
    return f"{count} cuts in {len(life.memories)} ticks, {sum(taken_pct.values()):.1f} % discharged"
