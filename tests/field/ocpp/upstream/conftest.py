"""A depot whose stations are forwarded, and a central system of the ``ocpp`` package as a second process."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import small_site
from tests.field.ocpp.peer import Clock, until
from tests.processes import end, start
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.model.settings import Listener, StationEvse, StationSettings, UpstreamSettings


class Upstream:
    """The second process. ``begin`` and ``kill`` as often as a test likes; it keeps its port and its log."""

    def __init__(self, folder: Path, first: int = 9_001, spoken: str = "ocpp1.6,ocpp2.0.1,ocpp2.1") -> None:
        self._first, self._spoken = first, spoken
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.log = folder / f"upstream-{first}.jsonl"
        self.log.touch()
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp"

    def begin(self) -> None:
        self._process = start(
            [
                sys.executable,
                "-m",
                "tests.field.ocpp.upstream.central",
                str(self.port),
                str(self.log),
                str(self._first),
                self._spoken,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n"

    def kill(self) -> None:
        """By SIGKILL: it says goodbye to nobody."""
        if self._process is not None:
            end(self._process)
        self._process = None

    def call(self, station: str, action: str, **payload: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({"station": station, "action": action, "payload": payload}) + "\n"
        )
        self._process.stdin.flush()

    def frames(self, station: str) -> list[list[Any]]:
        """Every frame that it got of a station, oldest first, as it came."""
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line["frame"] for line in lines if line["station"] == station]

    def calls(self, station: str) -> list[tuple[str, dict[str, Any]]]:
        """What it knows: (action, payload) of each call, one that came again under its id once."""
        seen: dict[str, tuple[str, dict[str, Any]]] = {}
        for frame in self.frames(station):
            if frame[0] == 2 and frame[2] != "Heartbeat":
                seen.setdefault(frame[1], (frame[2], frame[3]))
        return list(seen.values())

    def answers(self, station: str) -> list[Any]:
        """What its own calls were answered."""
        return [frame[2] for frame in self.frames(station) if frame[0] == 3 and frame[1] == ""]


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    process = Upstream(tmp_path)
    yield process
    process.kill()


class ForwardedDepot:
    """Stations old (1.6), new (2.0.1) and newest (2.1), all forwarded; its state survives ``restart``."""

    def __init__(self, folder: Path, url: str, copy_url: str = "", **settings: Any) -> None:
        self.site = small_site(3)
        self.clock = Clock()
        self.settings = [replace(UpstreamSettings("csms", url), **settings)]
        if copy_url:
            self.settings.append(UpstreamSettings("billing", copy_url, role="copy", allow=()))
        self._folder = folder
        self.board = Board(self.site, lambda: None)
        self.central = self._made()

    def _made(self) -> CentralSystem:
        stations = tuple(
            StationSettings(identity, (StationEvse(evse),))
            for identity, evse in (("old", "b1"), ("new", "b2"), ("newest", "b3"))
        )
        return CentralSystem(
            (Listener("127.0.0.1", 0, 0),), stations, self.site, self.board, self.clock,
            state_dir=self._folder / "state", upstreams=self.settings,
        )  # fmt: skip

    @property
    def port(self) -> int:
        return self.central.bound_port()

    async def restart(self) -> None:
        """A new process with the same state folder."""
        await self.central.stop()
        self.board = Board(self.site, lambda: None)
        self.central = self._made()
        await self.central.start()

    async def settled(self, station: str) -> None:
        """Until the upstream has everything."""
        forwarders = self.central.upstreams.taps[station].forwarders
        await until(lambda: all(not len(each.queue) and each.connection is not None for each in forwarders))

    def news(self) -> list[str]:
        return [f"{event.kind} {event.text}" for event in self.board.take_news(0.0)]
