"""Older site files: what is changed, what stays, and that the file before is kept."""

import tomllib
from pathlib import Path

import pytest

from tests.config.small import TEXT
from v2g_edge.cli.main import main
from v2g_edge.config.migrate import Step, migrated

OLDER = TEXT.replace('map = "relay"', 'map   = "contact"   # the relay of the operator')


def test_only_the_old_word_changes_and_comments_stay() -> None:
    text, changes = migrated(OLDER)
    assert 'map   = "relay"   # the relay of the operator' in text
    assert [(each.after, each.since) for each in changes] == [
        ('map   = "relay"   # the relay of the operator', "0.2.0")
    ]
    assert tomllib.loads(text) == tomllib.loads(TEXT)


def test_the_present_form_is_left_alone() -> None:
    assert migrated(TEXT) == (TEXT, [])
    assert migrated(text := Path("etc/site.example.toml").read_text(encoding="utf-8")) == (text, [])


def test_a_key_is_renamed_in_its_table_alone() -> None:
    step = Step("9.0", "grid", "nominal_v", new_key="voltage_v")
    text, changes = migrated(TEXT + '\n[other]\nnominal_v = 1 # "nominal_v = 2"\n', (step,))
    assert len(changes) == 1
    assert "[other]\nnominal_v = 1" in text
    assert tomllib.loads(text)["grid"]["voltage_v"] == 230.0


def test_a_step_that_would_break_the_file_is_left_out() -> None:
    text = "[grid]\na = 1\nb = 2\n"
    assert migrated(text, (Step("9.0", "grid", "a", new_key="b"),)) == (text, [])


def test_the_file_before_is_kept_and_the_new_one_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.toml"
    site.write_text(OLDER, encoding="utf-8")
    site.chmod(0o640)
    assert main(["migrate", "--dry-run", str(site)]) == 0
    assert site.read_text(encoding="utf-8") == OLDER
    assert main(["migrate", str(site)]) == 0
    (kept,) = tmp_path.glob("site.toml.before-*")
    assert kept.read_text(encoding="utf-8") == OLDER
    assert site.stat().st_mode & 0o777 == 0o640
    assert main(["check", "--elsewhere", str(site)]) == 0
    capsys.readouterr()
    assert main(["migrate", str(site)]) == 0
    assert "nothing to change" in capsys.readouterr().out


def test_drop_ins_are_migrated_too(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(TEXT, encoding="utf-8")
    (tmp_path / "site.d").mkdir()
    dropin = tmp_path / "site.d" / "a.toml"
    dropin.write_text('[[devices]]\nid = "relay"\nmap = "contact"\n')
    assert main(["migrate", str(site)]) == 0
    assert 'map = "relay"' in dropin.read_text()


def test_what_is_left_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.toml"
    site.write_text(OLDER.replace("nominal_v = 230.0", "nominal_v = -1.0"), encoding="utf-8")
    assert main(["migrate", str(site)]) == 1
    assert f"1 problems are left: v2g-edge check {site}" in capsys.readouterr().out
    assert main(["migrate", str(tmp_path / "none.toml")]) == 2
