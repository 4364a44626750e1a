"""The last day of an outlet: a point a step, bounded, without a future after a clock was set back."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.api.history import KEPT, STEP_S, HistoryApi
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.reading import NO_SAMPLE, Reading

SITE = small_site(2)
MIDNIGHT_S = 1_000_000.0 // STEP_S * STEP_S


class Depot:
    """A depot whose first outlet takes ``power_w``."""

    def __init__(self) -> None:
        self.state = DepotState(SITE)
        self.api = HistoryApi(self.state)

    def tick(self, wall_s: float, power_w: float | None = 5_000.0) -> None:
        """One tick, which the history sees."""
        snapshot = healthy(SITE, 100.0, wall_s)
        power = NO_SAMPLE if power_w is None else Reading(power_w, 100.0)
        first = replace(snapshot.evses[0], power_w=power)
        snapshot = replace(snapshot, evses=(first, *snapshot.evses[1:]))
        self.state.tick = Tick(snapshot, None, Cycle(SITE).tick(snapshot, None, Memory()))
        self.api.observe(self.state.tick)


async def test_a_point_a_step_by_outlet_by_vehicle_and_for_the_grid() -> None:
    depot = Depot()
    for second in range(0, int(3 * STEP_S), 60):
        depot.tick(MIDNIGHT_S + second, power_w=None if second == STEP_S else 5_000.0)
    by_outlet = await depot.api.history({"subject": "B1"})  # case does not matter
    assert by_outlet["wall_s"] == [MIDNIGHT_S + STEP_S * n for n in range(3)]
    assert by_outlet["power_w"] == [5_000.0, None, 5_000.0]  # a hole stays a hole
    vehicle = by_outlet["vehicle"][0]
    assert await depot.api.history({"subject": vehicle}) == by_outlet
    assert len((await depot.api.history({"subject": "grid"}))["power_w"]) == 3
    with pytest.raises(BadRequestError, match="'VAN-99' is no outlet"):
        await depot.api.history({"subject": "VAN-99"})


async def test_a_vehicle_that_has_left_has_an_empty_course() -> None:
    """Its page stays open when it leaves; an unknown name is refused all the same."""
    depot = Depot()
    depot.tick(MIDNIGHT_S)
    away = SITE.vehicles[0].id
    tick = depot.state.last_tick()
    left = tuple(replace(state, vehicle=None) for state in tick.snapshot.evses)
    depot.state.tick = tick._replace(snapshot=replace(tick.snapshot, evses=left))
    course = await depot.api.history({"subject": away.lower()})
    assert (course["subject"], course["wall_s"], course["soc_pct"]) == (away, [], [])
    with pytest.raises(BadRequestError, match="'VAN-99' is no outlet"):
        await depot.api.history({"subject": "VAN-99"})


async def test_a_day_is_kept_and_no_more() -> None:
    depot = Depot()
    for step in range(KEPT + 50):
        depot.tick(MIDNIGHT_S + STEP_S * step)
    course = await depot.api.history({"subject": "b1"})
    assert len(course["wall_s"]) == KEPT
    assert course["wall_s"][-1] == MIDNIGHT_S + STEP_S * (KEPT + 49)


async def test_a_clock_that_was_set_back_leaves_no_future() -> None:
    depot = Depot()
    for step in range(10):
        depot.tick(MIDNIGHT_S + STEP_S * step)
    depot.tick(MIDNIGHT_S + 2.5 * STEP_S)
    times = (await depot.api.history({"subject": "b1"}))["wall_s"]
    assert times == [MIDNIGHT_S, MIDNIGHT_S + STEP_S, MIDNIGHT_S + 2 * STEP_S, MIDNIGHT_S + 2.5 * STEP_S]
