"""Limits from outside in a whole tick: rules and envelope both keep them, and `why` names who set them."""

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.envelope.permits import depot_of, permit_all
from v2g_edge.model.frame import frame_of
from v2g_edge.model.orders import as_orders, narrowed, narrower
from v2g_edge.model.permit import Wish
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.site import Site
from v2g_edge.study.answer import answer_of
from v2g_edge.study.answer_context import NOTHING
from v2g_edge.study.explain import describe_why
from v2g_edge.study.outlook import UNKNOWN

WALL_S = 1_000_000.0
SITE = small_site()


def settled(site: Site, *limits: CapacityLimit, plan_w: float = 22e3) -> Outcome:
    """Some ticks, until ramps are over."""
    memory, cycle, flows_w = Memory(), Cycle(site), [0.0] * len(site.evses)
    slot = Slot(WALL_S - 1e4, WALL_S + 1e5, tuple((evse.id, plan_w) for evse in site.evses))
    plan = Plan(1, "local", WALL_S, WALL_S - 1e4, WALL_S + 1e5, (slot,))
    for step in range(8):
        seen = healthy(site, 100.0 + 2.0 * step, WALL_S + 2.0 * step)
        evses = tuple(
            replace(state, power_w=Reading(flow_w, seen.now_s))
            for state, flow_w in zip(seen.evses, flows_w, strict=True)
        )
        seen = replace(seen, evses=evses, operator=replace(seen.operator, limits=limits))
        outcome = cycle.tick(seen, plan, memory)
        memory, flows_w = outcome.memory, [permit.power_w for permit in outcome.permits]
    return outcome


def limit(direction: str, power_w: float, **changes: object) -> CapacityLimit:
    return replace(CapacityLimit(direction, power_w, 0.0, 0.0, "upstream csms"), **changes)  # type: ignore[arg-type]


def test_a_limit_of_one_outlet_binds_that_outlet_and_names_its_source() -> None:
    outcome = settled(SITE, limit("import", 7e3, evse="b1"))
    permits = {permit.evse: permit for permit in outcome.permits}
    assert permits["b1"].power_w == pytest.approx(7e3)
    assert permits["b2"].power_w > 7e3
    bound = next(b for b in outcome.bounds[0] if b.rule == "outside_limit")
    assert (bound.max_w, bound.source) == (7e3, "upstream csms")
    why = describe_why(SITE, healthy(SITE), outcome, "b1")
    assert "upstream csms" in str(why)


def test_the_answer_for_people_names_who_set_a_limit_that_the_wish_keeps_already() -> None:
    outcome = settled(SITE, limit("import", 7e3, evse="b1"))
    assert outcome.permits[0].bound_by.rule == "wish"
    first, second = (
        answer_of(SITE, healthy(SITE), None, outcome, index, UNKNOWN, NOTHING) for index in (0, 1)
    )
    assert any("upstream csms" in line for line in first)
    assert not any("upstream csms" in line for line in second)


def test_a_limit_of_the_connection_binds_the_envelope_too() -> None:
    """A wish that ignored it would still not be permitted: the feeder is narrower, and names by whom."""
    outcome = settled(SITE, limit("import", 60e3))
    free = 1.0 - SITE.safety.feeder_margin_pct / 100.0
    most_w = 60e3 * free - SITE.feeders[-1].base_load_max_w
    assert 0.0 < sum(permit.power_w for permit in outcome.permits) <= most_w + 1.0


def test_the_feeder_of_the_connection_names_who_made_it_narrow() -> None:
    seen = healthy(SITE)
    seen = replace(seen, operator=replace(seen.operator, limits=(limit("import", 60e3),)))
    frame = frame_of(narrower(SITE, narrowed(as_orders(seen.operator.limits, "main", WALL_S))))
    wishes = {evse.id: Wish(evse.id, 50e3, 0.0, "charge") for evse in SITE.evses}
    decision = permit_all(depot_of(frame), seen, wishes, EnvelopeMemory())
    sources = {b.source for bounds in decision.bounds for b in bounds if b.rule == "feeder_import"}
    assert any("(upstream csms)" in source for source in sources)


def test_a_limit_that_is_no_number_counts_as_zero() -> None:
    outcome = settled(SITE, limit("import", float("nan"), evse="b1"))
    assert outcome.permits[0].power_w == 0.0


def test_a_limit_never_widens_anything() -> None:
    free = settled(SITE)
    limited = settled(SITE, limit("import", 1e9), limit("export", 1e9), limit("import", 1e9, evse="b1"))
    assert [p.power_w for p in limited.permits] == [p.power_w for p in free.permits]
