"""Ticks as octets: what comes back is what was packed, whatever moved; what is missing or damaged is noticed;
journals of before are read.
"""

import sqlite3
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.kept.packing import GOES_ON, KEY, WHOLE, Packer, Record, Unpacker, turned, turned_back
from v2g_edge.host.records import NEW_RUN, SCHEMA, JournalReader, Tick, record_of
from v2g_edge.model.event import Event
from v2g_edge.model.reading import Reading
from v2g_edge.model.snapshot import Operator

SITE = small_site()
OCTETS = st.binary(min_size=1, max_size=40).filter(lambda each: each[0] != 0)


def ticks(count: int, key_every: int = 7) -> list[Tick]:
    """A depot in which power, a vehicle, an order and an event come and go."""
    cycle, memory, snapshot, made = Cycle(SITE), Memory(), healthy(SITE), []
    for n in range(count):
        state = plugged("bus-1", 100.0 + n, 1e6) if n % 5 else snapshot.evses[0]
        state = replace(state, power_w=Reading(1_000.0 * n, 100.0 + n))
        operator = Operator(export_hold=n % 4 == 1, by="ü" * (n % 3))
        snapshot = replace(
            snapshot, seq=n + 1, now_s=100.0 + n, wall_s=1e6 + n, evses=(state, snapshot.evses[1]),
            operator=operator,
        )  # fmt: skip
        outcome = cycle.tick(snapshot, None, memory)
        before = msgspec.msgpack.encode(memory) if n % key_every == 0 else None
        events = (Event("x", "info", "b1", f"event {n}", 1e6 + n),) if n % 6 == 0 else ()
        made.append(Tick(0, snapshot, None, outcome.permits, events, before, events))
        memory = outcome.memory
    return made


def records(count: int, key_every: int = 7) -> list[Record]:
    """As the journal makes them."""
    made = ticks(count, key_every)
    return [record_of(tick, None if tick.memory else made[n - 1]) for n, tick in enumerate(made)]


def test_what_was_packed_comes_back() -> None:
    packer, unpacker = Packer(), Unpacker()
    for record in records(40):
        assert unpacker.unpack(packer.pack(record)) == record


@given(OCTETS, OCTETS)
def test_octets_are_turned_and_turned_back(octets: bytes, before: bytes) -> None:
    """Whatever was there before, nothing included."""
    assert turned_back(turned(octets, before), before) == octets
    assert turned_back(turned(octets, b""), b"") == octets
    assert not any(turned(octets, octets))


def test_most_of_a_second_costs_a_third_of_what_a_tick_by_itself_did() -> None:
    packer, made = Packer(), records(60, key_every=100)
    now = sum(len(packer.pack(record)) for record in made)
    before = sum(len(zlib.compress(msgspec.msgpack.encode(record), 1)) for record in made)
    assert now < before / 3


def test_a_tick_that_is_missing_leaves_out_the_rest_up_to_the_next_key_record() -> None:
    """Retention goes by the wall clock, which may have been set back: a hole can be anywhere."""
    packer, unpacker, made = Packer(), Unpacker(), records(21)
    bodies = [packer.pack(record) for record in made]
    read = [unpacker.unpack(body) for body in (*bodies[2:9], *bodies[11:])]
    assert read == [*[None] * 5, *made[7:9], *[None] * 3, *made[14:]]


@pytest.mark.parametrize("at", [1, 4, 8, 30])
def test_a_damaged_octet_is_noticed(at: int) -> None:
    packer, unpacker, made = Packer(), Unpacker(), records(9)
    bodies = [packer.pack(record) for record in made]
    for body in bodies[:3]:
        unpacker.unpack(body)
    torn = bodies[3][:at] + bytes([bodies[3][at] ^ 0x10]) + bodies[3][at + 1 :]
    try:
        assert unpacker.unpack(torn) is None, "a place that does not follow"
    except (zlib.error, msgspec.MsgspecError):
        return
    assert unpacker.unpack(bodies[4]) is None


def test_a_record_of_a_later_version_is_refused_in_words() -> None:
    with pytest.raises(zlib.error, match="begins with 03: of a later version"):
        Unpacker().unpack(b"\x03" + bytes(20))


def test_a_journal_of_before_reads_on_into_one_of_now(tmp_path: Path) -> None:
    """An upgrade goes on in the same file; each tick by itself until then."""
    made, packer = ticks(14), Packer()
    with sqlite3.connect(tmp_path / "j.db") as db:
        db.executescript(SCHEMA)
        for run, part in enumerate((made[:7], made[7:]), 1):
            db.execute(NEW_RUN, ("0.3.0", msgspec.msgpack.encode(SITE)))
            for n, tick in enumerate(part):
                record = record_of(tick, part[n - 1] if n else None)
                old = zlib.compress(msgspec.msgpack.encode(record), 1)
                row = (run, tick.snapshot.wall_s, n == 0, old if run == 1 else packer.pack(record))
                db.execute("INSERT INTO ticks (run, wall_s, key, body) VALUES (?, ?, ?, ?)", row)
    db.close()
    reader = JournalReader(tmp_path / "j.db")
    assert [tick._replace(run=0) for tick in reader.ticks()] == made
    reader.close()
    assert {WHOLE, KEY, GOES_ON} == {zlib.compress(b"x", 1)[:1], *(packer.pack(r)[:1] for r in records(2))}
