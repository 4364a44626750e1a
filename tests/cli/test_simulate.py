"""``v2g-edge simulate`` asks which stations are there, and becomes the simulator."""

import os
import sys
from typing import Any

import pytest

from v2g_edge.cli.main import main
from v2g_edge.cli.site import simulate


class _BecameError(Exception):
    """What ``exec`` never returns from."""


def test_it_becomes_the_simulator_and_tells_it_what_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []
    asked: list[tuple[str, str]] = []

    def ask(path: str, method: str) -> dict[str, Any]:
        asked.append((path, method))
        connected = {"CP01": True, "CP02": False, "CP03": True}
        return {"stations": [{"station": name, "connected": there} for name, there in connected.items()]}

    def become(program: str, arguments: list[str]) -> None:
        assert program == arguments[0] == sys.executable
        words.extend(arguments[1:])
        raise _BecameError

    monkeypatch.setattr(simulate, "ask", ask)
    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(_BecameError):
        main(["simulate", "--site", "x.toml", "--soc", "55", "--socket", "there"])
    assert asked == [("there", "ocpp")]
    rest = [
        "--site",
        "x.toml",
        "--soc",
        "55",
        "--ocpp",
        "2.0.1",
        "--connected",
        "CP01",
        "--connected",
        "CP03",
    ]
    assert words == ["-m", "sim", "stand-in", *rest]


def test_a_charge_beyond_the_battery_and_a_daemon_that_is_not_there_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "--soc", "140"]) == 2
    assert "--soc 140: allowed are 0 to 100" in capsys.readouterr().err
    assert main(["simulate", "--socket", "/nowhere/sock"]) == 1
    assert "no daemon answers" in capsys.readouterr().err
