"""Each way in which a station misbehaves, in each version, against the whole daemon: what it must do, and
what it must not.

Two buses as the dearest hour begins, in virtual time: E01 stands at the odd station, E02 at a sound one of
another make. The sound one sells all the time, whatever the odd one does.
"""

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from sim.runners.report import events, read_bodies
from sim.runners.runner import run_scenario
from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Fault, FaultKind, Scenario, Version, Visit
from sim.stations.faults import NONSENSE, active, frames, late_s, turned, value
from sim.stations.outlet import Sample
from sim.virtual.clock import stamp
from tests.sim.stations.test_station import Bench, T, play
from v2g_edge.field.ocpp.vocabulary.compliance import PROBE_W
from v2g_edge.field.ocpp.vocabulary.facts import Session

SPAN_S: Final = 420.0
SOLD_WH: Final = 60.0
"""More than any probe: 2 kW for the 10 s between two reports make 6 Wh."""
PROBE_WH: Final = PROBE_W * 30.0 / 3_600.0
"""A probe and the report that ends it: 10 s each, and as much again for a station that answers late."""
MID: Final = (200.0, 60.0)
"""Begins while both sell, and lasts this long."""


class Case(NamedTuple):
    """``fault`` with its value, from ``begins_s`` for ``lasts_s``. ``sells``: E01 must have fed back more
    than a probe; None: it does not matter. ``most_wh`` bounds what it may have fed back in any case.
    ``told`` and ``untold``: events of E01.
    """

    fault: FaultKind
    value: float = 0.0
    begins_s: float = 0.0
    lasts_s: float = SPAN_S
    sells: bool | None = None
    most_wh: float = 1e9
    told: frozenset[str] = frozenset()
    untold: frozenset[str] = frozenset()
    sessions: int = 1


QUARANTINED: Final = frozenset({"disobedient"})

CASES: Final = {
    "accepts and ignores": Case("ignore", most_wh=0.0, sells=False, told=QUARANTINED),
    "begins to ignore": Case("ignore", begins_s=MID[0], lasts_s=SPAN_S, sells=True, told=QUARANTINED),
    "rejects": Case("reject", most_wh=0.0, sells=False, told=QUARANTINED),
    "replies after 60 s": Case("late", value=60.0, sells=False, most_wh=PROBE_WH, untold=QUARANTINED),
    "never replies": Case(
        "mute", begins_s=MID[0], lasts_s=SPAN_S, sells=True, told=frozenset({"charger_silent"})
    ),
    "reboots": Case(
        "reboot", begins_s=MID[0], lasts_s=30.0, sells=True, told=frozenset({"charger_silent"}), sessions=2
    ),
    "says everything twice": Case("duplicate", sells=True, untold=QUARANTINED),
    "clock an hour ahead": Case("wrong_clock", value=3_600.0, sells=True, untold=QUARANTINED),
    "clock an hour behind": Case("wrong_clock", value=-3_600.0, sells=True, untold=QUARANTINED),
    "clock jumps": Case("wrong_clock", value=-900.0, begins_s=MID[0], sells=True, untold=QUARANTINED),
    "charges where it should discharge": Case("wrong_sign", sells=False, most_wh=0.0),
    "meter the wrong way round": Case("turned_meter", sells=False, most_wh=PROBE_WH),
}

NEIGHBOUR: Final[dict[Version, Version]] = {"1.6": "2.0.1", "2.0.1": "1.6", "2.1": "2.0.1"}


def evening(version: Version, faults: tuple[Fault, ...] = (), visits: tuple[Visit, ...] = ()) -> Scenario:
    """Seven minutes of the dearest hour; feeders that take all. ``visits`` in place of the stay at E01."""
    base = night(3, chargers=2, quiet=True)
    start_wall_s = base.start_wall_s + 5_400.0
    versions = (version, NEIGHBOUR[version])
    evses = tuple(
        replace(
            evse,
            max_charge_w=50_000.0,
            max_discharge_w=50_000.0,
            discharge_by="setpoint" if speaks == "2.1" else "negative_limit",
        )
        for evse, speaks in zip(base.site.evses, versions, strict=True)
    )
    stays = tuple(replace(visit, arrives_wall_s=start_wall_s, soc_pct=85.0) for visit in base.visits)
    vehicles = tuple(
        replace(vehicle, departs=_local(visit.departs_wall_s), target_soc_pct=visit.target_soc_pct)
        for vehicle, visit in zip(base.site.vehicles, stays, strict=True)
    )
    feeders = tuple(replace(feeder, import_limit_w=1e6, export_limit_w=1e6) for feeder in base.site.feeders)
    return replace(
        base,
        start_wall_s=start_wall_s,
        duration_s=SPAN_S,
        site=replace(base.site, evses=evses, vehicles=vehicles, feeders=feeders),
        visits=(*visits, stays[1]) if visits else stays,
        speak=tuple(
            (station.identity, speaks) for station, speaks in zip(base.stations, versions, strict=True)
        ),
        faults=tuple(replace(fault, start_wall_s=start_wall_s + fault.start_wall_s) for fault in faults),
    )


def _local(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, ZONE).strftime("%H:%M")


def kinds_at(folder: Path, subject: str) -> set[str]:
    """The kinds of all events about a subject in a run's journal."""
    return {event.kind for event in events(read_bodies(folder / "journal.db")) if event.subject == subject}


def sessions_of(folder: Path, station: str) -> list[Session]:
    """The transactions of a station as they are kept, oldest first."""
    db = sqlite3.connect(folder / "ocpp.sqlite")
    try:
        bodies = [body for (body,) in db.execute("SELECT body FROM sessions WHERE station = ?", (station,))]
    finally:
        db.close()
    return sorted(
        (msgspec.json.decode(body, type=Session) for body in bodies),
        key=lambda session: session.started_wall_s,
    )


def fed_back_wh(report: dict[str, Any], evse: str) -> float:
    """What a charger gave, by the physics."""
    wh: float = report["end"]["charger_wh"][evse][1]
    return wh


@pytest.mark.slow
@pytest.mark.parametrize("version", NEIGHBOUR)
@pytest.mark.parametrize("name", CASES)
def test_a_misbehaving_station_is_held_and_its_neighbour_sells(
    name: str, version: Version, tmp_path: Path
) -> None:
    case = CASES[name]
    report = run_scenario(
        evening(version, (Fault(case.fault, "CS01", case.begins_s, case.lasts_s, case.value),)), tmp_path
    )
    gave_wh, seen = fed_back_wh(report, "E01"), kinds_at(tmp_path, "E01")
    assert gave_wh <= case.most_wh
    assert case.sells is None or (gave_wh > SOLD_WH) == case.sells, gave_wh
    assert case.told <= seen
    assert not case.untold & seen
    sessions = sessions_of(tmp_path, "CS01")
    assert len(sessions) == case.sessions
    assert [session.ended_wall_s is None for session in sessions] == [False] * (case.sessions - 1) + [True]
    assert fed_back_wh(report, "E02") > SOLD_WH, "a sound station of another make is not touched by it"
    assert "disobedient" not in kinds_at(tmp_path, "E02")
    assert [v for v in report["violations"] if v["place"] != "E01" or v["rule"] not in {"lease"}] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", NEIGHBOUR)
def test_vehicles_that_come_and_go_while_the_link_is_down_are_counted_once_each(
    version: Version, tmp_path: Path
) -> None:
    start_wall_s = evening(version).start_wall_s
    first = evening(version).visits[0]

    def stay(from_s: float, to_s: float) -> Visit:
        arrives_wall_s, departs_wall_s = start_wall_s + from_s, start_wall_s + to_s
        return replace(
            first,
            arrives_wall_s=arrives_wall_s,
            departs_wall_s=departs_wall_s,
            soc_pct=85.0,
            target_soc_pct=80.0,
        )

    visits = (stay(0.0, 170.0), stay(180.0, 200.0), stay(210.0, 30_000.0))
    faults = (Fault("offline", "CS01", 150.0, 90.0), Fault("duplicate", "CS01", 230.0, 60.0))
    report = run_scenario(evening(version, faults, visits), tmp_path)
    sessions = sessions_of(tmp_path, "CS01")
    assert [session.vehicle for session in sessions] == [first.vehicle] * 3
    for session, visit in zip(sessions, visits, strict=True):
        assert session.started_wall_s == pytest.approx(visit.arrives_wall_s, abs=2.0)
        over = visit.departs_wall_s < start_wall_s + SPAN_S
        assert session.ended_wall_s == (pytest.approx(visit.departs_wall_s, abs=2.0) if over else None)
    assert [v for v in report["violations"] if v["rule"] != "lease"] == []
    assert fed_back_wh(report, "E02") > SOLD_WH


def test_a_fault_is_active_from_its_beginning_to_its_end_and_has_a_value_only_then() -> None:
    told = (Fault("late", "CS01", 100.0, 10.0, 60.0), Fault("ignore", "CS01", 105.0, 1.0))
    assert [sorted(active(told, second)) for second in (99.9, 100.0, 105.5, 109.9, 110.0)] == [
        [], ["late"], ["ignore", "late"], ["late"], [],
    ]  # fmt: skip
    assert value(told, "late", active(told, 100.0)) == 60.0
    assert value(told, "late", active(told, 110.0)) == 0.0
    late = frozenset[FaultKind]({"late"})
    assert [late_s(told, late, frame) for frame in (b'[3,"a",{}]', b'[4,"a"]', b'[2,"a"]')] == [
        60.0,
        60.0,
        0.0,
    ]


def test_a_flood_has_so_many_frames_a_second_and_nonsense_is_no_ocpp() -> None:
    told = (Fault("flood", "CS01", 0.0, 10.0, 7.0),)
    flood, nonsense = frozenset[FaultKind]({"flood"}), frozenset[FaultKind]({"nonsense"})
    assert len(set(frames(told, flood, 1) + frames(told, flood, 2))) == 14, "every call has an id of its own"
    assert frames(told, nonsense, 1) == [text.encode() for text in NONSENSE]
    assert frames(told, frozenset(), 1) == []


def test_a_turned_meter_shows_everything_the_other_way_round() -> None:
    sample = Sample(5_000.0, 100.0, 20.0, 50.0, 15.0, (5_000.0, 0.0, 0.0))
    assert turned(sample) == Sample(-5_000.0, 20.0, 100.0, 50.0, 15.0, (-5_000.0, -0.0, -0.0))
    assert turned(turned(sample)) == sample


def test_duplicates_and_a_wrong_clock_are_seen_on_the_wire() -> None:
    async def story(bench: Bench) -> None:
        bench.fault("duplicate", 30)
        await bench.pass_s(1)
        bench.plug()
        await bench.pass_s(3)
        events = bench.central.said("TransactionEvent")
        assert [event["seqNo"] for event in events] == [0, 0, 1, 1]
        bench.fault("wrong_clock", 100, -3_600)
        await bench.pass_s(12)
        late = bench.central.said("TransactionEvent")[-1]
        assert late["timestamp"] < stamp(T - 3_500)
        assert await bench.set_profile("TxProfile", -40_000, duration_s=30) == "Accepted"
        await bench.pass_s(3)
        assert bench.charger.power_w > 0, "by its own clock that begins in an hour"

    play(story)
