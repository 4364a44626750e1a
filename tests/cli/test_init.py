"""`v2g-edge init`: templates that can be used as they are, short enough to be read, and nothing
overwritten.
"""

from pathlib import Path

import pytest

from v2g_edge.cli.main import main
from v2g_edge.cli.site.init import TEMPLATES, template

LINES_MOST = 160
MARKS_LEAST = 8


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_has_neither_error_nor_warning(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says where it has to be mended."""
    path = tmp_path / "site.toml"
    assert main(["init", "--template", name, str(path)]) == 0
    assert f"v2g-edge check {path}" in " ".join(capsys.readouterr().out.split())
    assert main(["check", "--elsewhere", "--strict", str(path)]) == 0
    assert "no problem" in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    assert text == template(name)
    assert text.count("\n") <= LINES_MOST
    assert text.count("<<") >= MARKS_LEAST


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rule of every installer: never."""
    path = tmp_path / "site.toml"
    path.write_text("mine")
    assert main(["init", "--template", "vans", str(path)]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    assert main(["init", "--template", "vans", str(tmp_path / "none" / "site.toml")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_words_tell_days_and_hours_that_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a person to nod at or not."""
    path = tmp_path / "site.toml"
    path.write_text(template("buses"))
    assert main(["check", "--elsewhere", str(path)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "BUS-1 every day at 05:10 with 85 %, but Su -, PH - and may give" in words
    assert "no-export-at-night: main 0 kW out, Mo-Su 00:00-06:00" in words
