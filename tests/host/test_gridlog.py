"""The file of trips: what the grid did before and after, and nothing when nothing trips."""

from pathlib import Path

import pytest

from v2g_edge.host import gridlog
from v2g_edge.host.gridlog import GridLog
from v2g_edge.model.event import Event
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import GridSample, Operator, Snapshot

START_WALL_S = 1_800_000_000.0
TRIP = Event("grid_fault", "trip", "site", "L1 below\n0.45 pu", START_WALL_S + 10.0)


def picture(now_s: float, *, hz: float | None = 50.0) -> Snapshot:
    """One tick's picture with the ten samples of the second before it, 230 V plus the time in hundredths."""
    samples = []
    for tenth in range(10):
        at_s = now_s - 1.0 + tenth / 10
        volts = Reading(230.0 + at_s / 100, at_s)
        samples.append(
            GridSample(at_s, (volts, volts, volts), Unknown("gone") if hz is None else Reading(hz, at_s))
        )
    return Snapshot(
        1, now_s, START_WALL_S + now_s, True, (), (), (), (), Operator(), grid_samples=tuple(samples)
    )


def play(path: Path, trips_at_s: tuple[float, ...], until_s: int = 30) -> list[list[str]]:
    """The file's fields after a run with trips at these ticks."""
    log = GridLog(path)
    for now_s in range(1, until_s):
        log.record(picture(float(now_s)), [TRIP] if now_s in trips_at_s else [])
    log.close()
    return (
        [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def seconds(rows: list[list[str]]) -> list[float]:
    return [round((float(row[2]) - 230.0) * 100, 1) for row in rows if row[1] == "sample"]


def test_a_trip_is_written_with_two_seconds_before_and_five_after(tmp_path: Path) -> None:
    rows = play(tmp_path / "grid_events.log", (10.0,))
    at = next(index for index, row in enumerate(rows) if row[1] == "trip")
    assert rows[at][2:] == ["grid_fault", "site", "L1 below 0.45 pu"]
    before, after = seconds(rows[:at]), seconds(rows[at:])
    assert before[0] <= 8.0
    assert before[-1] == 9.9
    assert after[0] == 10.0
    assert after[-1] >= 14.9
    assert len(before + after) == len(set(before + after))
    assert rows[at][0] == "2027-01-15T08:00:10.000+00:00"


def test_a_second_trip_within_the_first_ones_samples_repeats_none(tmp_path: Path) -> None:
    rows = play(tmp_path / "grid_events.log", (10.0, 13.0))
    assert [row[1] for row in rows].count("trip") == 2
    found = seconds(rows)
    assert found == sorted(set(found))
    assert found[-1] >= 17.9


def test_nothing_is_written_without_a_trip(tmp_path: Path) -> None:
    assert play(tmp_path / "grid_events.log", ()) == []


def test_what_is_unknown_is_empty(tmp_path: Path) -> None:
    log = GridLog(tmp_path / "grid_events.log")
    log.record(picture(1.0, hz=None), [TRIP])
    log.close()
    assert (
        (tmp_path / "grid_events.log").read_text(encoding="utf-8").splitlines()[0].endswith(",230,230,230,")
    )


def test_a_long_file_makes_room_and_one_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gridlog, "KEPT_BYTES", 100)
    path = tmp_path / "grid_events.log"
    play(path, (10.0,))
    assert path.with_name("grid_events.log.1").exists()
    GridLog(tmp_path / "missing" / "grid_events.log").record(picture(1.0), [TRIP])
    assert play(tmp_path / "missing" / "grid_events.log", (10.0,)) == []


def test_trips_are_read_back_newest_first_with_the_samples_around_each(tmp_path: Path) -> None:
    path = tmp_path / "grid_events.log"
    play(path, (10.0, 20.0))
    with path.open("a", encoding="utf-8") as file:
        file.write("half a li\n2027-01-15T08:00:40.000+00:00,trip\n,,,\n")
    found = gridlog.read_trips(path)
    assert [trip["row"] for trip in found] == ["grid_fault"] * 2
    assert found[1]["text"] == "L1 below 0.45 pu"
    samples = found[1]["samples"]
    assert samples["wall_s"][0] == START_WALL_S + 8.0
    assert samples["wall_s"][-1] == pytest.approx(START_WALL_S + 14.9)
    assert samples["hz"] == [50.0] * 70
    assert samples["v"][2][0] == pytest.approx(230.08)
    assert gridlog.read_trips(tmp_path / "none.log") == []


def test_of_a_long_file_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gridlog, "READ_BYTES", 400)
    path = tmp_path / "grid_events.log"
    play(path, (10.0, 20.0))
    assert len(gridlog.read_trips(path)) <= 1
