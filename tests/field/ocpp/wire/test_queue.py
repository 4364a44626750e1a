"""The queue against a plain model of it: bounded, most urgent first, oldest first among equals, one call
of a key.
"""

from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.ocpp.wire.queue import BULK, QUEUE_MAX, ROUTINE, SAFETY, SETPOINT, Outgoing, Queue

PRIORITIES = (SAFETY, SETPOINT, ROUTINE, BULK)


def call(name: str, priority: int = ROUTINE, key: str = "") -> Outgoing:
    return Outgoing(name, "Reset", {}, priority, key, 30.0)


def names(queue: Queue) -> list[str]:
    return [out.id for out in queue.drain()]


def test_a_stop_goes_before_everything_and_everything_else_keeps_its_turn() -> None:
    queue = Queue()
    for name, priority in (
        ("bulk", BULK),
        ("first", ROUTINE),
        ("second", ROUTINE),
        ("lease", SETPOINT),
        ("stop", SAFETY),
    ):
        queue.put(call(name, priority))
    assert queue.holds_safety()
    taken = [queue.take() for _ in range(5)]
    assert [out.id for out in taken if out] == ["stop", "lease", "first", "second", "bulk"]
    assert queue.take() is None
    assert not queue.holds_safety()


def test_a_newer_call_of_a_key_takes_the_place_of_the_older_one() -> None:
    queue = Queue()
    for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a")):
        gone = queue.put(call(name, SETPOINT, key))
    assert [(out.id, why) for out, why in gone] == [("a1", "replaced")]
    assert names(queue) == ["a2", "b1"]


def test_a_stop_replaces_a_lease_of_its_key_and_goes_first_though_it_is_newer() -> None:
    queue = Queue()
    queue.put(call("other", SETPOINT))
    queue.put(call("lease", SETPOINT, "evse 1"))
    queue.put(call("stop", SAFETY, "evse 1"))
    assert names(queue) == ["stop", "other"]


def test_calls_without_a_key_replace_nothing() -> None:
    queue = Queue()
    assert [queue.put(call(name)) for name in "abc"] == [[], [], []]
    assert names(queue) == ["a", "b", "c"]


def test_a_stop_finds_room_in_a_full_queue_and_a_bulk_call_does_not() -> None:
    queue = Queue()
    for n in range(QUEUE_MAX):
        queue.put(call(f"r{n}"))
    assert [(out.id, why) for out, why in queue.put(call("bulk", BULK))] == [("bulk", "queue_full")]
    assert [(out.id, why) for out, why in queue.put(call("stop", SAFETY))] == [
        (f"r{QUEUE_MAX - 1}", "queue_full")
    ]
    assert names(queue)[:2] == ["stop", "r0"]


@given(
    st.lists(
        st.none() | st.tuples(st.sampled_from(PRIORITIES), st.sampled_from(["", "", "a", "b"])), max_size=120
    )
)
def test_every_call_ends_once_and_whoever_is_taken_is_the_most_urgent(
    steps: list[tuple[int, str] | None],
) -> None:
    queue, waiting, ended = Queue(), dict[str, Outgoing](), list[str]()
    for number, step in enumerate(steps):
        if step is None:
            out = queue.take()
            assert (out is None) == (not waiting)
            if out is not None:
                assert out.priority == min(each.priority for each in waiting.values())
                ended.append(waiting.pop(out.id).id)
        else:
            new = waiting[str(number)] = call(str(number), *step)
            for gone, _ in queue.put(new):
                ended.append(waiting.pop(gone.id).id)
        keys = [out.key for out in waiting.values() if out.key]
        assert len(keys) == len(set(keys))
        assert len(queue) == len(waiting) <= QUEUE_MAX
        assert queue.holds_safety() == any(out.priority == SAFETY for out in waiting.values())
    ended += [out.id for out in queue.drain()]
    assert sorted(ended) == sorted(str(n) for n, step in enumerate(steps) if step is not None)
