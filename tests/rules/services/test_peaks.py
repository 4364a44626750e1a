"""Peak shaving in whole ticks: the mean import of the metering window that runs stays below its target."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from tests.rules.services.test_dispatch import WALL_S, sold
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.model.plan import PeakTarget, Plan, Slot
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.rules.services.peaks import may_draw

_HALL, _MAIN = small_site().feeders
SITE = small_site(feeders=(_HALL, replace(_MAIN, base_load_max_w=80e3)))
WINDOW_S = 900.0
BEGINS_S = WALL_S - WALL_S % WINDOW_S + WINDOW_S


def plan(target_w: float, *powers_w: float) -> Plan:
    slot = Slot(WALL_S - 1e4, WALL_S + 1e5, tuple(zip(("b1", "b2"), powers_w, strict=True)))
    peaks = (PeakTarget("month", WINDOW_S, target_w),)
    return Plan(1, "local", WALL_S, WALL_S - 1e4, WALL_S + 1e5, (slot,), peaks)


def picture(building_w: float, *charged_w: float, after_s: float = 0.0, site: Site = SITE) -> Snapshot:
    """Meter and chargers, ``after_s`` into a metering window."""
    now_s = 100.0 + after_s
    seen = healthy(site, now_s, BEGINS_S + after_s)
    charged = charged_w or (0.0, 0.0)
    meter = replace(seen.meters[0], power_w=Reading(building_w + sum(charged), now_s))
    evses = tuple(
        replace(state, power_w=Reading(w, now_s)) for state, w in zip(seen.evses, charged, strict=True)
    )
    return replace(seen, meters=(meter,), evses=evses)


def wished(outcome: Outcome) -> list[float]:
    return [wish.power_w for wish in outcome.wishes]


def test_what_can_wait_waits_while_the_building_draws_more_than_was_foretold() -> None:
    tick = Cycle(SITE).tick(picture(30e3), plan(50e3, 20e3, 20e3), Memory())
    assert sum(wished(tick)) == pytest.approx(20e3)
    assert {wish.reason for wish in tick.wishes} == {"service_peak_shaving"}
    calm = Cycle(SITE).tick(picture(9e3), plan(50e3, 20e3, 20e3), Memory())
    assert wished(calm) == [20e3, 20e3]


def test_where_the_building_alone_is_above_the_target_vehicles_give() -> None:
    tick = Cycle(SITE).tick(picture(70e3), plan(50e3, 20e3, 0.0), Memory())
    assert sum(wished(tick)) == pytest.approx(-20e3)
    bound = replace(SITE, vehicles=tuple(replace(each, may_discharge=False) for each in SITE.vehicles))
    assert wished(Cycle(bound).tick(picture(70e3, site=bound), plan(50e3, 20e3, 0.0), Memory())) == [0.0, 0.0]


def test_a_departure_and_a_doubt_are_not_moved() -> None:
    seen = picture(60e3)
    first, second = (state.vehicle for state in seen.evses)
    assert first is not None
    assert second is not None
    soon = replace(first, departure_wall_s=Reading(seen.wall_s + 1_500.0, seen.now_s))
    doubtful = replace(second, departure_wall_s=Unknown("not told"))
    evses = (replace(seen.evses[0], vehicle=soon), replace(seen.evses[1], vehicle=doubtful))
    outcome = Cycle(SITE).tick(replace(seen, evses=evses), plan(50e3, 20e3, 20e3), Memory())
    assert [wish.reason for wish in outcome.wishes] == ["departure", "unknown_departure"]
    assert min(wished(outcome)) > 0.0


def test_a_service_with_a_target_of_its_own_needs_no_plan() -> None:
    site = replace(SITE, services=(sold("peak_shaving", 50e3, meter_w=100.0),))
    outcome = Cycle(site).tick(picture(30e3, site=site), replace(plan(1e6, 20e3, 20e3), peaks=()), Memory())
    assert sum(wished(outcome)) == pytest.approx(20e3)
    unarmed = replace(site, services=(replace(site.services[0], contract=False),))
    free = Cycle(unarmed).tick(
        picture(30e3, site=unarmed), replace(plan(1e6, 20e3, 20e3), peaks=()), Memory()
    )
    assert wished(free) == [20e3, 20e3]


def test_what_a_window_drew_too_much_is_made_up_for_within_it_and_the_mean_stays_at_the_target() -> None:
    """The building jumps for two minutes, and the chargers follow half a minute late."""
    cycle, memory, wh = Cycle(SITE), Memory(), 0.0
    charged, asked = [15e3, 15e3], [15e3, 15e3]
    for second in range(0, int(WINDOW_S), 5):
        building_w = 75e3 if 300 <= second < 420 else 20e3
        outcome = cycle.tick(
            picture(building_w, *charged, after_s=float(second)), plan(50e3, 15e3, 15e3), memory
        )
        memory = outcome.memory
        wh += (building_w + sum(charged)) * 5.0 / 3_600.0
        if second % 30 == 25:
            charged, asked = asked, wished(outcome)
    assert wh / (WINDOW_S / 3_600.0) <= 50e3 * 1.002
    assert memory.rules.windows[0].seconds == pytest.approx(WINDOW_S - 5.0)
    later = cycle.tick(picture(20e3, 0.0, 0.0, after_s=WINDOW_S), plan(50e3, 15e3, 15e3), memory)
    assert later.memory.rules.windows[0].wh == 0.0
    assert {wish.reason for wish in later.wishes} == {"plan"}, "the next window begins anew"


def test_a_silent_meter_is_no_room() -> None:
    seen = picture(5e3)
    mute = replace(seen, meters=(replace(seen.meters[0], power_w=Unknown("silent")),))
    outcome = Cycle(SITE).tick(mute, plan(50e3, 20e3, 20e3), Memory())
    assert sum(wished(outcome)) == pytest.approx(50e3 - SITE.feeders[-1].base_load_max_w)


def test_a_window_that_runs_says_what_may_still_be_drawn() -> None:
    assert may_draw(100.0, 130.0, 600.0, 900.0) == pytest.approx(40.0)
    assert may_draw(100.0, 160.0, 600.0, 900.0) < 0.0, "only export can still hold it"
    assert may_draw(100.0, 101.0, 899.0, 900.0) == pytest.approx((90_000.0 - 101.0 * 899.0) / 60.0)
