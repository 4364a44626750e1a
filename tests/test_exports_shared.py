"""D16 refuted-yet-sold: an outlet that cannot export has no share in what the site is to export."""

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import NOW_S, WALL_S, Scene, next_tick, ready, with_evse, with_vehicle
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.departure.capacity import Ledger, Request, Taken, offer_of
from v2g_edge.departure.depot import depot_of
from v2g_edge.envelope.permits import Decision
from v2g_edge.model.frame import frame_of
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading

SITE_W = -20_000.0


def plan() -> Plan:
    """The site is to export 20 kW, no outlet is named."""
    until_s = WALL_S + 3_600.0
    return Plan(1, "cloud", WALL_S, WALL_S, until_s, (Slot(WALL_S, until_s, (), SITE_W),))


def ticks(scene: Scene, count: int = 3) -> Outcome:
    """Some ticks in which every charger follows."""
    cycle, memory = Cycle(scene.site), Memory(scene.memory)
    for _ in range(count):
        outcome = cycle.tick(scene.snapshot, plan(), memory)
        memory = outcome.memory
        given = Decision(outcome.permits, outcome.bounds, outcome.contactor, (), (), memory.envelope)
        scene = next_tick(scene, given)
    return outcome


def needing() -> Scene:
    """Two buses at 80 % that want 80 % in ten hours."""
    scene = ready(2, 0.0)
    for index in (0, 1):
        scene = with_vehicle(scene, index, target_soc_pct=Reading(80.0, NOW_S))
    return scene


def shares(scene: Scene) -> list[float]:
    return [round(wish.power_w) for wish in ticks(scene).wishes]


def test_all_that_can_export_share_alike() -> None:
    assert shares(needing()) == [-10_000, -10_000]


@pytest.mark.parametrize(
    "why",
    [
        {"no_discharge": "refused every limit below zero"},
        {"dead_man_ok": False},
        {"grid_code_ok": False},
        {"fault": "Inverter_Fault_0x04"},
    ],
    ids=lambda why: next(iter(why)),
)
def test_d16_an_outlet_that_cannot_export_has_no_share(why: dict[str, object]) -> None:
    outcome = ticks(with_evse(needing(), 0, **why))
    assert [round(wish.power_w) for wish in outcome.wishes] == [0, -20_000]
    assert [round(given.power_w) for given in outcome.permits] == [0, -20_000]


def test_d16_a_vehicle_that_may_not_discharge_has_no_share() -> None:
    scene = needing()
    vehicles = (replace(scene.site.vehicles[0], may_discharge=False), scene.site.vehicles[1])
    assert shares(scene._replace(site=replace(scene.site, vehicles=vehicles))) == [0, -20_000]


def test_a_cut_by_the_departures_or_the_feeders_takes_no_share_away() -> None:
    """They hang on the wish itself: without a share there would be none, and with none a share again."""
    scene = needing()
    hall = replace(scene.site.feeders[0], export_limit_w=10_000.0)
    narrow = scene._replace(site=replace(scene.site, feeders=(hall, scene.site.feeders[1])))
    outcome = ticks(narrow)
    assert outcome.memory.envelope.outs_w == (50_000.0, 50_000.0)


def test_d16_nothing_of_it_is_sold() -> None:
    scene = with_evse(needing(), 0, no_discharge="refuted")
    outcome = ticks(scene)
    room_w = tuple(max(-given.min_w, 0.0) for given in outcome.permits)
    offer, _ = offer_of(
        depot_of(frame_of(scene.site)),
        scene.snapshot,
        room_w,
        (Taken(), Taken()),
        Request("r", "peak", 30_000.0, 3_600.0),
        Ledger(),
    )
    assert "b1" not in dict(offer.evse_w)
