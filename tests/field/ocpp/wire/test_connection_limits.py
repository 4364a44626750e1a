"""Case E3: who is not admitted yet takes few places, little memory and no file numbers that others need."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.peer import Peer, until
from v2g_edge import connection_limits
from v2g_edge.connection_limits import (
    ADDRESS_MAX,
    ADDRESSES_MAX,
    DIALS_BURST,
    DIALS_PER_S,
    FILES_KEPT,
    LEAST,
    PENDING_MAX,
    REQUEST_MAX,
    ConnectionLimiter,
)


class Guest:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.out = False

    def put_out(self) -> None:
        self.out = True


def enter(keeper: ConnectionLimiter, address: str, count: int, now_s: float = 0.0) -> list[Any]:
    guests: list[Any] = [Guest() for _ in range(count)]
    for guest in guests:
        assert keeper.enters(guest, address, now_s)
    return guests


@pytest.mark.parametrize("more", [1, ADDRESS_MAX])
def test_the_oldest_of_an_address_gives_way(more: int) -> None:
    keeper = ConnectionLimiter(0)
    guests = enter(keeper, "10.0.0.1", ADDRESS_MAX + more)
    assert [guest.out for guest in guests] == [True] * more + [False] * ADDRESS_MAX
    assert len(keeper) == ADDRESS_MAX


def test_when_all_places_are_taken_the_address_with_the_most_gives_way() -> None:
    keeper = ConnectionLimiter(0)
    honest = enter(keeper, "10.0.0.1", 1)
    for place in range(PENDING_MAX // ADDRESS_MAX + 1):
        enter(keeper, f"10.0.1.{place}", ADDRESS_MAX)
    assert len(keeper) == PENDING_MAX
    assert not honest[0].out
    keeper.leaves(honest[0])
    assert len(keeper) == PENDING_MAX - 1


def test_an_address_that_dials_without_end_is_not_heard_each_time_and_another_one_is() -> None:
    keeper = ConnectionLimiter(0)
    entered = sum(keeper.enters(Guest(), "10.0.0.1", 0.0) for _ in range(3 * int(DIALS_BURST)))  # type: ignore[arg-type]
    assert entered == DIALS_BURST
    assert keeper.enters(Guest(), "10.0.0.2", 0.0)  # type: ignore[arg-type]
    later = sum(keeper.enters(Guest(), "10.0.0.1", 2.0) for _ in range(3 * int(DIALS_BURST)))  # type: ignore[arg-type]
    assert later == 2.0 * DIALS_PER_S


def test_a_machine_with_all_addresses_of_its_network_is_one() -> None:
    """It dials from another address of its /64 each time; the depot's stations stand in another one."""
    keeper = ConnectionLimiter(0)
    honest = enter(keeper, "2001:db8:0:1::7", 2)
    thief: list[Any] = [Guest() for _ in range(3 * int(DIALS_BURST))]
    entered = [keeper.enters(guest, f"2001:db8:0:2::{n:x}", 0.0) for n, guest in enumerate(thief)]
    assert sum(entered) == DIALS_BURST
    assert len(keeper) == 2 + ADDRESS_MAX
    assert not any(guest.out for guest in honest)
    assert enter(keeper, "::ffff:10.0.0.1", 1)
    assert list(keeper._counts) == ["2001:db8:0:1::/64", "2001:db8:0:2::/64", "10.0.0.1"]


def test_addresses_without_number_do_not_make_it_grow() -> None:
    keeper = ConnectionLimiter(0)
    for number in range(2 * ADDRESSES_MAX):
        enter(keeper, f"2001:db8:{number:x}::1", 1)
    assert len(keeper._dials) == ADDRESSES_MAX
    assert len(keeper._left_out) <= ADDRESSES_MAX
    assert len(keeper._counts) == len(keeper) == PENDING_MAX


def test_a_flood_is_one_line_with_its_number() -> None:
    keeper = ConnectionLimiter(0)
    with structlog.testing.capture_logs() as logs:
        enter(keeper, "10.0.0.1", ADDRESS_MAX + 100)
        enter(keeper, "10.0.0.1", 1, now_s=60.0)
    assert [entry["count"] for entry in logs] == [1, 100]


def test_all_stations_of_a_depot_may_dial_at_once_from_one_address() -> None:
    keeper = ConnectionLimiter(500)
    guests = enter(keeper, "10.0.0.1", 500)
    assert not any(guest.out for guest in guests)


@pytest.mark.parametrize("soft", [1_024, 512, 300])
def test_e3_file_numbers_are_kept_back(soft: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For control, meters, journal: also where the limit is small."""
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, soft))
    assert ConnectionLimiter(4).most <= max(soft - FILES_KEPT - 4, LEAST)


@asynccontextmanager
async def idle_sockets(port: int, count: int, say: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """Opened one by one, and never heard of again."""
    loop, opened = asyncio.get_running_loop(), []
    try:
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            opened.append(one)
            await loop.sock_connect(one, ("127.0.0.1", port))
            if say:
                await _say(one, say)
        yield opened
    finally:
        for one in opened:
            one.close()


async def _say(one: socket.socket, say: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(one, say)
    except ConnectionError:
        return  # put out already


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("count", [150, 300])
async def test_e3_idle_sockets_keep_no_station_out(depot: Depot, count: int) -> None:
    """They lose their places to others, and hold no more file numbers than an address may."""
    before = open_files()
    async with idle_sockets(depot.port, count):
        most = depot.central._keeper.address_max
        await until(lambda: len(depot.central._keeper) == most)
        assert open_files() - before <= count + most + 8
        station = await Peer.dial(depot.port, "new", "2.0.1")
        assert "currentTime" in await station.call("Heartbeat", {})
        await station.close()
    await until(lambda: not len(depot.central._keeper))


@pytest.mark.parametrize("kilobytes", [800, 1_600])
async def test_e3_requests_with_endless_headers_are_dropped(depot: Depot, kilobytes: int) -> None:
    """After a request's worth of octets; nothing of it is kept."""
    head = b"GET /new HTTP/1.1\r\n" + (b"X-Filler: " + b"a" * 1_000 + b"\r\n") * kilobytes
    async with idle_sockets(depot.port, 3, head):
        await until(lambda: not len(depot.central._keeper))
    assert len(head) > 40 * REQUEST_MAX


async def test_e3_an_unfinished_request_is_given_up(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own time-out ends it; here it is put out by hand, as by a newcomer."""
    async with idle_sockets(depot.port, 1, b"GET /new HTTP/1.1\r\nHost: a") as (one,):
        await until(lambda: len(depot.central._keeper) == 1)
        next(iter(depot.central._keeper._pending)).put_out()
        assert await asyncio.get_running_loop().sock_recv(one, 10) == b""
    assert len(depot.central._keeper) == 0


async def test_what_is_admitted_counts_no_more_and_what_is_refused_is_gone(depot: Depot) -> None:
    stations = [await Peer.dial(depot.port, name, "1.6") for name in ("old",)]
    assert len(depot.central._keeper) == 0
    for _ in range(3):
        with pytest.raises(Exception, match="404"):
            await Peer.dial(depot.port, "stranger", "1.6")
    await until(lambda: not len(depot.central._keeper))
    for each in stations:
        await each.close()
    assert connection_limits.TLS_S <= 10.0
