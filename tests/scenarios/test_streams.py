"""Fast telemetry of 2.1: an outlet's power every second, through a lost link and back. Daemon and depot in
virtual time.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.runner import play
from sim.scenarios.scenario import Fault, Scenario, speaking
from sim.virtual.loop import run_virtual
from tests.sim.runners.test_runner import peak
from v2g_edge.field.board import Board
from v2g_edge.model.reading import Reading

LOST_S = 150.0
AWAY_S = 20.0


def every_second() -> Scenario:
    """Four 2.1 stations asked for their power every second; the first loses its link for a while."""
    scenario = speaking(peak(), "2.1")
    return replace(
        scenario,
        duration_s=300.0,
        stations=tuple(replace(station, meter_interval_s=1.0) for station in scenario.stations),
        faults=(Fault("offline", scenario.stations[0].identity, scenario.start_wall_s + LOST_S, AWAY_S),),
    )


@pytest.mark.slow
def test_power_comes_every_second_and_again_after_a_lost_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = every_second()
    times_s: dict[str, list[float]] = {evse.id: [] for evse in scenario.site.evses}
    update = Board.update_evse

    def seen(board: Board, evse: str, **changes: Any) -> None:
        power = changes.get("power_w")
        if isinstance(power, Reading):
            times_s[evse].append(power.at_s)
        update(board, evse, **changes)

    monkeypatch.setattr(Board, "update_evse", seen)
    world = run_virtual(play(scenario, tmp_path))
    start_s = min(times[0] for times in times_s.values())
    for number, (evse, times) in enumerate(times_s.items()):
        late = [at_s for at_s in times if at_s >= start_s + 60.0]
        gaps = sorted((after - before for before, after in pairwise(late)), reverse=True)
        if number == 0:
            assert AWAY_S <= gaps.pop(0) <= AWAY_S + 10.0, "the lost link, and the way back"
        assert gaps[0] <= 2.0, (evse, gaps[:5])
        assert len(late) > 180
    assert [len(station.bidi.streams) for station in world.stations.values()] == [1, 1, 1, 1], (
        "one monitor each"
    )
    allowed = {
        mode
        for station in world.stations.values()
        for modes in station.bidi.allowed.values()
        for mode in modes
    }
    assert allowed == {"DC", "DC_BPT"}
