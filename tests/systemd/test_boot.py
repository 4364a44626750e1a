"""``make test`` ends with a line about the package under a real systemd, which it does not run by itself."""

import json
from pathlib import Path

import pytest

from tests.systemd import boot
from tests.systemd.artifacts import state_of_sources


def test_what_was_not_seen_with_these_sources_is_said_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot, "SEEN", tmp_path / "seen.json")
    monkeypatch.setattr(boot, "missing", lambda: "")
    monkeypatch.setattr("sys.argv", ["boot", "--told"])
    assert boot.main() == 0
    assert "*** NOT SEEN WITH THESE SOURCES" in capsys.readouterr().err
    boot.SEEN.write_text(json.dumps({"at": "2026-11-28T04:00+00:00", "sources": state_of_sources()}))
    assert boot.main() == 0
    assert "was seen under a real systemd at 2026-11-28T04:00" in capsys.readouterr().err
    boot.SEEN.write_text(json.dumps({"at": "2026-11-28T04:00+00:00", "sources": {"v2g_edge/app.py": 1.0}}))
    monkeypatch.setattr(boot, "missing", lambda: "it needs root")
    assert "here it cannot: it needs root" in boot.told()


def test_a_machine_that_cannot_says_so_and_is_no_failure_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot, "missing", lambda: "it needs root")
    for words, code in ((["boot"], boot.CANNOT), (["boot", "--where-possible"], 0)):
        monkeypatch.setattr("sys.argv", words)
        assert boot.main() == code
        assert "NOT TESTED UNDER A REAL SYSTEMD: it needs root" in capsys.readouterr().err
