"""``v2g-edge rehearse`` starts the simulator as a process of its own, and hands its exit code on."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from v2g_edge import config
from v2g_edge.cli.main import main

ROOT = Path(__file__).parents[2]
SITE = ROOT / "etc" / "site.example.toml"


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_simulator_is_started_with_the_site_file(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> "subprocess.CompletedProcess[bytes]":
        assert not check
        started.append(words)
        return subprocess.CompletedProcess(words, code)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["rehearse", "--site", str(SITE), "--out", "there", "--seed", "3"]) == code
    assert started == [
        [sys.executable, "-m", "sim", "rehearse", "--site", str(SITE), "--out", "there", "--seed", "3"]
    ]


def test_without_the_simulator_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["rehearse", "--site", str(SITE)]) == 1
    assert "the simulator is not installed" in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_2(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--site", "none.toml"]) == 2
    assert "none.toml" in capfd.readouterr().err


def test_the_pictures_of_the_manual_show_the_example_site() -> None:
    """They are made by `v2g-edge rehearse --site etc/site.example.toml`."""
    site = config.load(SITE).site
    soc = ElementTree.parse(ROOT / "docs" / "rehearsal-soc.svg").getroot()  # noqa: S314 - our own
    power = ElementTree.parse(ROOT / "docs" / "rehearsal-power.svg").getroot()  # noqa: S314
    shown = {title.text for title in soc.iter("{http://www.w3.org/2000/svg}title")}
    plugged = list(zip(site.evses, site.vehicles, strict=False))
    assert shown == {vehicle.id for _, vehicle in plugged}
    shown = {title.text for title in power.iter("{http://www.w3.org/2000/svg}title")}
    assert shown == {"power", "import limit", "export limit"}
    text = (ROOT / "docs" / "energy-manager.md").read_text(encoding="utf-8")
    assert "rehearsal-power.svg" in text
    assert "rehearsal-soc.svg" in text
