"""Clocks: monotonic time never goes back, a scaled clock runs as many times faster as it says."""

import asyncio
from pathlib import Path

import pytest

from v2g_edge.host import clockstate
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


def test_a_daemon_that_may_not_ask_the_kernel_reads_what_another_unit_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clockstate.Kernel, "read", lambda _kernel: None)
    state = tmp_path / "state"
    clock = SystemClock(state)
    assert not clock.synced()
    clockstate.write(state, True, clock.now_s())
    assert clock.synced()
    clockstate.write(state, False, clock.now_s())
    assert not clock.synced()
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize(
    "text", ["", "1", "1 x", "1 nan", "1 95.0", "1 101.0", "yes 100.0", "1 100.0 1", "\N{DEGREE SIGN} 1"]
)
def test_an_old_or_odd_line_says_that_the_clock_is_not_synchronised(tmp_path: Path, text: str) -> None:
    state = tmp_path / "state"
    state.write_text("1 100.0\n", encoding="utf-8")
    assert clockstate.read(state, 100.4)
    state.write_text(text, encoding="utf-8")
    assert not clockstate.read(state, 100.4)
