"""Clocks: monotonic time never goes back, a scaled clock runs as many times faster as it says."""

import asyncio

from v2g_edge.host.clock import LoopClock, SystemClock


async def test_a_scaled_clock_runs_faster_in_every_respect() -> None:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, start_wall_s=1_000.0, scale=100.0)
    began_s = loop.time()
    await clock.sleep_s(2.0)
    took_s = loop.time() - began_s
    assert 0.02 <= took_s < 2.0
    assert 2.0 <= clock.now_s() <= 100.0 * (loop.time() - began_s) + 1.0
    assert clock.wall_s() >= 1_002.0


async def test_two_clocks_with_one_origin_agree() -> None:
    loop = asyncio.get_running_loop()
    origin_s = loop.time() - 5.0
    one, other = (LoopClock(loop, 1_000.0, 10.0, origin_s) for _ in range(2))
    assert abs(one.wall_s() - other.wall_s()) < 1.0
    assert one.now_s() >= 50.0


async def test_the_system_clock_moves_forward_and_knows_whether_it_is_synchronised() -> None:
    clock = SystemClock()
    before_s = clock.now_s()
    await clock.sleep_s(0.01)
    assert clock.now_s() >= before_s + 0.01
    assert clock.wall_s() > 1.7e9
    assert clock.synced() in {True, False}
