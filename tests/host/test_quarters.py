"""Quarter hours: what is left of the ticks is the same energy, and the journal keeps it for years."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.depot import healthy, plugged, small_site
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.journal import SWEEP_EVERY, Journal
from v2g_edge.host.kept.quarters import GAP_S, QUARTER_S, Quarter, Quarters
from v2g_edge.host.records import JournalReader
from v2g_edge.model.event import Event
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import EvseState, Snapshot

SITE = small_site()
BASE = healthy(SITE)
START_S = QUARTER_S * 2_000_000.0
EVENT = Event("grid_fault", "trip", "grid", "", 0.0)


def at(second: float, power_w: float | None, soc_pct: float = 50.0) -> Snapshot:
    """The depot at a second after a whole quarter hour; None: the power of the first outlet is not known."""
    power = Unknown("no sample yet") if power_w is None else Reading(power_w, second)
    vehicle = plugged("bus-1", 0.0, START_S).vehicle
    assert vehicle is not None
    evse = replace(BASE.evses[0], power_w=power, vehicle=replace(vehicle, soc_pct=Reading(soc_pct, second)))
    return replace(BASE, now_s=second, wall_s=START_S + second, evses=(evse, *BASE.evses[1:]))


def summed(*ticks: Snapshot) -> list[Quarter]:
    quarters = Quarters(SITE)
    rows = [row for tick in ticks if (row := quarters.take(tick, ())) is not None]
    last = quarters.end()
    return [*rows, *([last] if last else [])]


def test_a_quarter_hour_holds_energy_power_and_state_of_charge() -> None:
    first, second = summed(*(at(s, 9_000.0 if s < 600 else -3_600.0, 50.0 + s / 100.0) for s in range(901)))
    outlet = first.outlets[0]
    assert (outlet.id, outlet.vehicle, outlet.soc_pct) == (SITE.evses[0].id, "bus-1", 59.0)
    assert outlet.in_wh == pytest.approx(1_500.0, abs=0.1)
    assert outlet.out_wh == pytest.approx(300.0, abs=2.0)
    assert (outlet.least_w, outlet.greatest_w) == (-3_600.0, 9_000.0)
    assert (first.start_wall_s, first.seconds) == (START_S, 899.0)
    assert second.start_wall_s == START_S + QUARTER_S


def test_what_is_not_known_is_not_counted() -> None:
    (row,) = summed(*(at(s, None if s >= 300 else 3_600.0) for s in range(601)))
    assert row.outlets[0].known_s == pytest.approx(300.0)
    assert row.outlets[0].in_wh == pytest.approx(300.0)


def test_a_power_does_not_last_over_a_gap() -> None:
    """The controller stood still: nobody knows what flowed."""
    (row,) = summed(at(0, 3_600.0), at(1, 3_600.0), at(GAP_S + 100.0, 3_600.0))
    assert row.outlets[0].in_wh <= 3_600.0 * (GAP_S + 1.0) / 3_600.0


def test_a_clock_that_steps_back_begins_another_row() -> None:
    steps = [at(500, 0.0), at(501, 0.0), replace(at(502, 0.0), wall_s=START_S + 400.0)]
    assert [row.start_wall_s for row in summed(*steps)] == [START_S + 500.0, START_S + 400.0]


def test_events_are_counted_by_kind() -> None:
    quarters = Quarters(SITE)
    quarters.take(at(0, 0.0), (EVENT, EVENT))
    quarters.take(at(1, 0.0), (replace(EVENT, kind="grid_back"),))
    row = quarters.end()
    assert row is not None
    assert dict(row.events) == {"grid_fault": 2, "grid_back": 1}


@given(
    st.lists(
        st.tuples(st.sampled_from([1.0, 2.0, 20.0]), st.integers(-20_000, 20_000)), min_size=1, max_size=60
    )
)
def test_no_energy_is_lost_or_doubled_between_rows(steps: list[tuple[float, int]]) -> None:
    """The sum over all rows is the sum over all ticks, whatever a state that stays the same object."""
    ticks, second, expected_wh = [at(0, 0.0)], 0.0, 0.0
    for seconds, power_w in steps:
        expected_wh += seconds * _power(ticks[-1].evses[0]) / 3_600.0
        second += seconds
        ticks.append(at(second, power_w))
    rows = summed(*ticks)
    found_wh = sum(row.outlets[0].in_wh - row.outlets[0].out_wh for row in rows)
    assert found_wh == pytest.approx(expected_wh, abs=0.2 * len(rows))


def _power(state: EvseState) -> float:
    assert isinstance(state.power_w, Reading)
    return state.power_w.value


async def test_quarter_hours_outlive_the_ticks(tmp_path: Path) -> None:
    """After ``keep_days`` the ticks are gone, and their quarter hours read back."""
    journal = Journal.open(tmp_path / "j.db", SITE, "test", sync="normal", keep_days=1.0)
    cycle, memory = Cycle(SITE), Memory()
    for second in (*range(0, 1_800, 30), *range(200_000, 200_000 + SWEEP_EVERY + 40)):
        if second == 200_000:
            journal._since_sweep = SWEEP_EVERY
        snapshot = at(float(second), 3_600.0)
        if second < 1_800 or second % 600 == 0:
            outcome = cycle.tick(snapshot, None, memory)
        journal.record(snapshot, None, outcome.permits, (), memory_before=memory, memory_after=memory)
    await journal.close()
    reader = JournalReader(tmp_path / "j.db")
    assert min(tick.snapshot.now_s for tick in reader.ticks()) >= 200_000.0
    kept = list(reader.quarters())
    assert [row.start_wall_s for row in kept[:2]] == [START_S, START_S + QUARTER_S]
    assert kept[0].outlets[0].in_wh == pytest.approx(870.0, abs=35.0)
    assert next(reader.quarters(START_S + 1.0)).start_wall_s == START_S + QUARTER_S
