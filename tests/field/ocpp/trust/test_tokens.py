"""The token file: what it says, and that what it does not say clearly lets nobody in."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.field.ocpp.peer import AT_S
from v2g_edge.field.ocpp.trust.tokens import Token, Tokens
from v2g_edge.field.ocpp.wire.timestamps import format_wall


def tokens(folder: Path, file: Any) -> Tokens:
    path = folder / "tokens.json"
    path.write_text(file if isinstance(file, str) else json.dumps(file), encoding="utf-8")
    return Tokens(path)


def test_a_token_is_valid_until_its_time_and_then_expired(tmp_path: Path) -> None:
    until = format_wall(AT_S)
    known = tokens(
        tmp_path, {"known": {"a": {"until": until, "group": "g"}, "b": {"until": until, "status": "Blocked"}}}
    )
    assert known.find("a", AT_S - 1.0) == Token("Accepted", until, "g")
    assert [known.find(name, AT_S).status for name in ("a", "b")] == ["Expired", "Expired"]
    assert known.find("b", AT_S - 1.0).status == "Blocked"


def test_identifiers_have_no_case(tmp_path: Path) -> None:
    known = tokens(tmp_path, {"others": "Invalid", "known": {"04A2b3": {}}})
    assert [known.find(name, AT_S).status for name in ("04a2B3", "04a2b4", "")] == [
        "Accepted",
        "Invalid",
        "Invalid",
    ]


@pytest.mark.parametrize(
    "file",
    [
        "{broken",
        "[]",
        {"known": {"a": {"until": "next year"}}},
        {"known": {"a": {"until": "2026-13-01T00:00:00Z"}}},
        {"known": {"a": {"group": "more than twenty characters"}}},
        {"known": {"a": {"state": "Blocked"}}},
        {"others": "Nobody"},
    ],
)
def test_a_file_that_cannot_be_read_lets_nobody_in(tmp_path: Path, file: Any) -> None:
    assert tokens(tmp_path, file).find("a", AT_S).status == "Invalid"


def test_without_a_file_everybody_may_charge_and_a_new_file_counts_at_once(tmp_path: Path) -> None:
    known = Tokens(tmp_path / "tokens.json")
    assert known.find("anybody", AT_S).status == "Accepted"
    (tmp_path / "tokens.json").write_text('{"others": "Unknown"}', encoding="ascii")
    assert known.find("anybody", AT_S).status == "Unknown"
    (tmp_path / "tokens.json").unlink()
    assert known.find("anybody", AT_S).status == "Accepted"
