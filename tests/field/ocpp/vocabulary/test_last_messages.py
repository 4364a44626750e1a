"""What a station said last is kept short: people read its beginning and how much there was, and no station
fills the memory.
"""

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from v2g_edge.field.ocpp.vocabulary.last_messages import (
    ALL_MAX,
    MARK,
    MESSAGE_MAX,
    TOLD_MAX,
    LastMessages,
    shortened,
)

REPORT = {
    "requestId": 7,
    "generatedAt": "2026-03-01T12:00:00Z",
    "seqNo": 0,
    "tbc": True,
    "reportData": [
        {
            "component": {"name": "EVSE", "evse": {"id": 1}},
            "variable": {"name": f"Variable{n}"},
            "variableAttribute": [{"type": "Actual", "value": "x" * 60, "mutability": "ReadOnly"}],
        }
        for n in range(2_000)
    ],
}


def octets(value: Any) -> int:
    return len(msgspec.json.encode(value))


def test_what_is_short_is_kept_whole_the_newest_last() -> None:
    told = LastMessages()
    for n in range(TOLD_MAX + 5):
        told.add(1_000.0 + n, "NotifyEvent", {"seqNo": n})
    kept = told.describe()
    assert [each["payload"]["seqNo"] for each in kept] == list(range(5, TOLD_MAX + 5))
    assert kept[0] == {"wall_s": 1_005.0, "action": "NotifyEvent", "payload": {"seqNo": 5}}


def test_a_long_one_shows_its_beginning_and_how_much_there_was() -> None:
    told = LastMessages()
    told.add(1.0, "NotifyReport", REPORT)
    (kept,) = told.describe()
    assert octets(kept) <= MESSAGE_MAX
    assert kept["shortened_from_octets"] > 300_000
    rows = kept["payload"]["reportData"]
    assert rows[:10] == REPORT["reportData"][:10], "people can read it"  # type: ignore[index]
    assert rows[-1] == f"{MARK} {2_001 - len(rows)} more"
    assert {name: kept["payload"][name] for name in ("requestId", "seqNo", "tbc")} == {
        "requestId": 7,
        "seqNo": 0,
        "tbc": True,
    }


def test_the_parts_of_a_report_are_there_as_long_as_all_of_them_have_room() -> None:
    told = LastMessages()
    rows: list[object] = REPORT["reportData"]  # type: ignore[assignment]
    parts = [{**REPORT, "seqNo": n, "tbc": n < 5, "reportData": rows[n * 20 : n * 20 + 20]} for n in range(6)]
    for part in parts:
        told.add(1.0, "NotifyReport", part)
    assert [each["payload"] for each in told.describe()] == parts
    assert not any("shortened_from_octets" in each for each in told.describe())


@pytest.mark.parametrize(
    ("payload", "seen"),
    [
        ({"data": "x" * 1_000_000}, "(1000000 signs in all)"),
        ({"data": "\x00" * 1_000_000}, "(1000000 signs in all)"),
        ({"k" * 1_000_000: 1}, "k" * 200),
        ({str(n): n for n in range(100_000)}, f'"{MARK}":"'),
        ({"data": [[[[[["x" * 90] * 40] * 40] * 40]]]}, "more"),
    ],
    ids=["text", "escapes", "name", "table", "nested"],
)
def test_whatever_is_long_in_it(payload: dict[str, Any], seen: str) -> None:
    told = LastMessages()
    told.add(1.0, "DataTransfer", payload)
    (kept,) = told.describe()
    assert octets(kept) <= MESSAGE_MAX
    assert seen in msgspec.json.encode(kept).decode()


@pytest.mark.parametrize("deep", [20, 500])
def test_what_is_nested_deeply_is_cut_where_nobody_reads_on(deep: int) -> None:
    nested: Any = "x" * 10_000
    for _ in range(deep):
        nested = [nested]
    told = LastMessages()
    told.add(1.0, "DataTransfer", {"data": nested})
    assert octets(told.describe()) < 1_000
    assert MARK in msgspec.json.encode(told.describe()).decode()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.integers(0, 300))
def test_any_value_gets_short_and_stays_json(value: Any, room: int) -> None:
    assert octets(shortened(value, room)) <= room + 1_024


def test_all_messages_of_a_station_together_stay_within_their_octets() -> None:
    told = LastMessages()
    for n in range(3 * TOLD_MAX):
        told.add(float(n), "NotifyReport", REPORT)
        told.add(float(n), "NotifyEvent", {"seqNo": n})
    assert 1 < len(told.describe()) <= TOLD_MAX
    assert told.describe()[-1]["payload"] == {"seqNo": 3 * TOLD_MAX - 1}
    assert sum(map(sys.getsizeof, told._kept)) <= ALL_MAX + TOLD_MAX * 64


async def test_a_station_that_says_long_things_again_and_again_does_not_fill_the_memory(depot: Depot) -> None:
    """Each message is several times what is kept of one, and small enough that the link's budget of octets
    delays none.
    """
    station = await Peer.dial(depot.port, "new", "2.0.1")
    long = {**REPORT, "reportData": REPORT["reportData"][:200]}  # type: ignore[index]
    for n in range(TOLD_MAX + 1):
        await station.call("NotifyReport", {**long, "seqNo": n})
    link = depot.central.links["new"]
    await until(lambda: link.describe()["told"][-1]["payload"]["seqNo"] == TOLD_MAX)
    assert octets(link.describe()) <= ALL_MAX + 4_096
    assert all(each["shortened_from_octets"] > 3 * MESSAGE_MAX for each in link.describe()["told"])
    await station.close()
