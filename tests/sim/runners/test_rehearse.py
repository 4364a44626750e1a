"""A site file rehearsed: its vehicles, its limits, a report in words and pictures; what cannot be
rehearsed is told.
"""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from sim.__main__ import main
from sim.runners import rehearse
from sim.runners.svg_curves import lines
from v2g_edge import config

EXAMPLE = Path(__file__).parents[3] / "etc" / "site.example.toml"


def test_the_world_is_that_of_the_site_file() -> None:
    settings = config.load(EXAMPLE)
    scenario = rehearse.world_of(settings, 7)
    assert scenario.site is settings.site
    assert {visit.vehicle for visit in scenario.visits} <= {vehicle.id for vehicle in settings.site.vehicles}
    assert rehearse.world_of(settings, 7) == scenario
    assert rehearse.world_of(settings, 8) != scenario


def test_a_site_without_vehicles_cannot_be_rehearsed() -> None:
    settings = config.load(EXAMPLE)
    with pytest.raises(ValueError, match="no vehicles"):
        rehearse.world_of(replace(settings, site=replace(settings.site, vehicles=())), 7)


def test_a_picture_is_whole_svg_with_its_words_escaped() -> None:
    picture = lines("a < b", [0.0, 1.0, 2.0], {"x": [1.0, float("nan"), 3.0]}, {"limit": 4.0})
    root = ElementTree.fromstring(picture)  # noqa: S314 - our own
    assert next(child.text for child in root if child.tag.endswith("text")) == "a < b"


@pytest.mark.slow
def test_the_command_writes_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rehearse, "TOUR", rehearse.TOUR[:1])
    assert main(["rehearse", "--site", str(EXAMPLE), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "a calm night" in text
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count("<svg") == 4
    assert main(["rehearse", "--site", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
