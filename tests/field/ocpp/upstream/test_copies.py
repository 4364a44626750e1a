"""A station that goes to two upstreams: both see all of it, and one of them decides."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.field.ocpp.peer import Peer, until
from tests.field.ocpp.upstream.conftest import ForwardedDepot, Upstream
from tests.field.ocpp.upstream.test_forwarding import BOOT_16, metered, started, stopped
from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.upstream.queue import UpstreamQueue, message_of
from v2g_edge.field.ocpp.upstream.rows import UpstreamRows


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Upstream]:
    process = Upstream(tmp_path, first=501)
    yield process
    process.kill()


@pytest.fixture
async def depot(tmp_path: Path, upstream: Upstream, copy: Upstream) -> AsyncIterator[ForwardedDepot]:
    depot = ForwardedDepot(tmp_path, upstream.url, copy.url)
    await depot.central.start()
    yield depot
    await depot.central.stop()


async def test_both_have_all_in_order_with_numbers_of_their_own_and_neither_waits_for_the_other(
    depot: ForwardedDepot, upstream: Upstream, copy: Upstream
) -> None:
    upstream.begin()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    number = await started(depot, station)
    await metered(depot, station, number, 200)
    primary, other = depot.central.upstreams.taps["old"].forwarders
    await until(lambda: not len(primary.queue))
    assert len(other.queue) == 3
    upstream.kill()
    copy.begin()
    await metered(depot, station, number, 300)
    await until(lambda: not len(other.queue))
    await depot.restart()
    station = await Peer.dial(depot.port, "old", "1.6")
    await stopped(depot, station, number, 400)
    upstream.begin()
    await depot.settled("old")
    calls = {id(each): each.calls("old") for each in (upstream, copy)}
    expected = ["BootNotification", "StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
    for process, first in ((upstream, 9_001), (copy, 501)):
        assert [action for action, _ in calls[id(process)]] == expected
        assert {call["transactionId"] for _, call in calls[id(process)] if "transactionId" in call} == {first}


async def test_the_word_of_a_copy_counts_for_nothing(
    depot: ForwardedDepot, upstream: Upstream, copy: Upstream
) -> None:
    copy.begin()
    station = await Peer.dial(depot.port, "old", "1.6")
    await station.call("BootNotification", BOOT_16)
    answer = await station.call("Authorize", {"idTag": "thief"})
    assert answer["idTagInfo"]["status"] == "Accepted"  # the primary is away, and the site knows no thief
    await started(depot, station, "thief")
    other = depot.central.upstreams.taps["old"].forwarders[1]
    await until(lambda: not len(other.queue) and other.connection)
    copy.call("old", "RemoteStopTransaction", transaction_id=501)
    await until(lambda: copy.answers("old") == [{"status": "Rejected"}])
    assert station.got("RemoteStopTransaction") == []
    assert not [line for line in depot.news() if "refuses the card" in line]
    assert [action for action, _ in copy.calls("old")] == ["BootNotification", "StartTransaction"]


async def test_what_an_older_version_kept_goes_to_the_primary(
    tmp_path: Path, upstream: Upstream, copy: Upstream
) -> None:
    (tmp_path / "state").mkdir()
    store = SqliteStore(tmp_path / "state" / "ocpp.sqlite", lambda: 1_800_000_000.0)
    queue = UpstreamQueue(UpstreamRows(store), "old", 100)
    queue.map_transaction("1", "9001")
    queue.put(message_of("StopTransaction", {"transactionId": 1, "meterStop": 5, "timestamp": "t"}, "1"))
    store.remember("upstream/version/old", "1.6")
    store.flush()
    depot = ForwardedDepot(tmp_path, upstream.url, copy.url)
    primary, other = depot.central.upstreams.taps["old"].forwarders
    assert (len(primary.queue), len(other.queue)) == (1, 0)
    assert primary.queue.theirs("1") == "9001"
    assert primary._version == "1.6"
