"""The console's side of the control socket: no connection outlives its question."""

import asyncio
import gc
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from v2g_edge.console.daemon import Daemon, DaemonDown
from v2g_edge.console.live import Hub
from v2g_edge.host.control import ControlSocket


def open_sockets(path: Path) -> list[str]:
    """What is still open at this socket file, on either side."""
    found = (
        each for each in gc.get_objects() if issubclass(type(each), socket.socket) and each.fileno() != -1
    )
    return [repr(each) for each in found if each.family is socket.AF_UNIX and str(path) in repr(each)]


async def _given_up(path: Path, turns: int, *, stops_first: bool) -> None:
    """A question that is cancelled after so many turns of the loop, and a daemon that stops with it."""

    async def answer(_params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {}

    control = ControlSocket(str(path), {"status": answer})
    await control.start()
    asking = asyncio.ensure_future(Daemon(str(path)).ask("status"))
    for _ in range(turns):
        await asyncio.sleep(0)
    if stops_first:
        await control.stop()
    asking.cancel()
    with suppress(asyncio.CancelledError, DaemonDown):
        await asking
    if not stops_first:
        await control.stop()


@pytest.mark.parametrize("stops_first", [False, True])
def test_a_question_that_is_given_up_at_any_moment_leaves_no_socket_open(
    tmp_path: Path, stops_first: bool
) -> None:
    path = tmp_path / "control.sock"
    for turns in range(14):
        asyncio.run(_given_up(path, turns, stops_first=stops_first))
        assert open_sockets(path) == [], turns


@pytest.mark.parametrize(
    ("age_s", "pause_s"),
    [(0.0, 1.0), (0.05, 1.0), (0.4, 0.65), (0.9, 0.5), (7.0, 0.5), (None, 1.0), ("x", 1.0)],
)
async def test_the_next_picture_is_asked_shortly_after_the_next_tick(age_s: Any, pause_s: float) -> None:
    """So that it is fresh when it reaches the browsers; a daemon that stands is asked twice a second."""

    class Answers(Daemon):
        async def ask(
            self, method: str, params: dict[str, Any] | None = None, within_s: float = 0.0
        ) -> dict[str, Any]:
            return {"tick_age_s": age_s}

    assert await Hub(Answers("nowhere"))._pause_s() == pytest.approx(pause_s)


async def test_a_daemon_that_is_away_is_asked_again_each_second(tmp_path: Path) -> None:
    assert await Hub(Daemon(str(tmp_path / "none.sock")))._pause_s() == 1.0
