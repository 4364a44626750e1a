"""systemd hears READY once the daemon says so, and WATCHDOG only when it is fed."""

import socket
from pathlib import Path

import pytest

from v2g_edge.host.systemd_notify import Watchdog


def test_the_service_manager_hears_what_is_said_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    watchdog = Watchdog()
    watchdog.ready()
    watchdog.feed("12 of 12 outlets connected")
    watchdog.stopping()
    heard = [manager.recv(4_096) for _ in range(3)]
    manager.close()
    assert heard == [b"READY=1", b"WATCHDOG=1\nSTATUS=12 of 12 outlets connected", b"STOPPING=1"]
    assert watchdog.fed == 1


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    watchdog = Watchdog()
    watchdog.feed("alone")
    assert watchdog.fed == 1
