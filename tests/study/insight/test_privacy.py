"""What leaves the depot: pseudonyms by key, coarser times, and a vehicle that is forgotten with its totals
kept.
"""

import json
from pathlib import Path

import pytest

from tests.study.ledger.test_book import SITE, WALL_S, booked, hour, tick, whole
from v2g_edge.cli.main import main
from v2g_edge.study.insight.privacy import Pseudonyms, WeakKeyError, coarser, hidden
from v2g_edge.study.ledger.extend import extend
from v2g_edge.study.ledger.store import LedgerError, Store

KEY = b"0123456789abcdef0123456789abcdef"


def test_a_pseudonym_is_the_same_by_the_same_key_only() -> None:
    """And what names nobody stays."""
    mine, other = Pseudonyms(KEY), Pseudonyms(KEY[::-1])
    assert mine("bus-1") == Pseudonyms(KEY + b"\n")("bus-1") != other("bus-1")
    assert len({mine(f"bus-{n}") for n in range(5_000)}) == 5_000
    assert mine("not known") == "not known"
    with pytest.raises(WeakKeyError, match="the key has 5 octets; at least 16 are needed"):
        Pseudonyms(b"short")


def test_an_export_names_nobody(tmp_path: Path) -> None:
    """Neither in rows nor in remarks."""
    statement = whole(booked([*hour(), tick(61, 0.0, wh=30_000.0, session="s2")], tmp_path / "l.db"))
    shown = hidden(statement, Pseudonyms(KEY))
    assert "bus-1" not in str(shown)
    assert shown.vehicles[0].energy.in_wh == statement.vehicles[0].energy.in_wh


def test_coarser_times_keep_the_sums() -> None:
    """Quarter hours of two local days as hours, days and a month."""
    rows = [(WALL_S + 900.0 * n, 1.0, 2.0, 3.0, 4.0) for n in range(192)]
    for grain, count in (("interval", 192), ("hour", 48), ("day", 3), ("month", 1)):
        found = coarser(rows, grain, "Europe/Berlin")  # type: ignore[arg-type]
        assert len(found) == count
        assert [sum(row[n] for row in found) for n in range(1, 5)] == [192.0, 384.0, 576.0, 768.0]


def _gone(path: Path) -> Store:
    """bus-1 has left; another ledger's tick would find it again only if it came back."""
    end = tick(61, 0.0, wh=30_000.0)
    empty = end.snapshot.evses[1]
    left = end._replace(snapshot=type(end.snapshot)(**{
        name: getattr(end.snapshot, name) for name in end.snapshot.__struct_fields__ if name != "evses"
    }, evses=(empty, empty)))  # fmt: skip
    return booked([*hour(), left], path)


def test_a_vehicle_is_forgotten_and_no_total_moves(tmp_path: Path) -> None:
    """Not a byte of its name is left in the file; reading the journal again brings nothing back."""
    path = tmp_path / "l.db"
    store = _gone(path)
    before = whole(store)
    assert store.forget("bus-1") > 0
    after = whole(store)
    assert sum(each.in_wh for each in after.outlets) == sum(each.in_wh for each in before.outlets)
    assert after.balance.rest_wh == pytest.approx(before.balance.rest_wh)
    assert [row.energy.name for row in after.vehicles] == ["forgotten"]
    assert (store.turns(0.0, 1e12), store.accounts()) == ([], {})
    assert extend(store, lambda _start: hour(), lambda _run: SITE) == 0
    store.close()
    assert b"bus-1" not in b"".join(file.read_bytes() for file in tmp_path.glob("l.db*"))


def test_a_vehicle_that_is_plugged_in_is_not_forgotten_yet(tmp_path: Path) -> None:
    """In words."""
    with pytest.raises(LedgerError, match="bus-1 is plugged in now"):
        booked(list(hour()), tmp_path / "l.db").forget("bus-1")


def test_the_command_exports_without_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pseudonyms, days, and a key that is none."""
    path, key = tmp_path / "l.db", tmp_path / "key"
    _gone(path).close()
    key.write_bytes(KEY)
    words = ["ledger", "--ledger", str(path), "--granularity", "day", "--pseudonyms", str(key)]
    assert main([*words, "--format", "json"]) == 0
    out = capsys.readouterr().out
    assert "bus-1" not in out
    assert len(json.loads(out)["intervals"]) == 1
    assert main([*words, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    key.write_bytes(b"x")
    assert main(words) == 2
    assert "openssl rand -hex 32" in capsys.readouterr().err
    assert main(["ledger", "--ledger", str(path), "--forget", "bus-9"]) == 2
    assert "knows no vehicle 'bus-9'" in capsys.readouterr().err
