"""What one tick leaves reaches the rooms of the next, and orders and limits from outside reach all of
them.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from tests.rules.services.test_dispatch import at_hz, site_with, sold
from v2g_edge import cycle as cycle_module
from v2g_edge.cycle import Cycle, Memory, careful
from v2g_edge.departure.admit_exports import DepartureMemory
from v2g_edge.departure.charging_power import LearnedPower
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.evidence import EvseMemory
from v2g_edge.model.reading import NO_SAMPLE
from v2g_edge.model.service import CapacityLimit
from v2g_edge.model.site import Feeder, Site
from v2g_edge.model.snapshot import Operator, Order, Snapshot
from v2g_edge.rules.sharing import RulesMemory, Turn

WALL_S = 1_000_000.0
NOW_S = 100.0
SITE = small_site(2)


class Heard:
    """Records what a room is given, and lets it work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.positional: list[tuple[Any, ...]] = []
        self.named: list[dict[str, Any]] = []
        real = getattr(cycle_module, name)

        def heard(*args: Any, **named: Any) -> Any:
            self.positional.append(args)
            self.named.append(named)
            return real(*args, **named)

        monkeypatch.setattr(cycle_module, name, heard)


def lived() -> Memory:
    """A memory in which every number that is handed on is another one."""
    draws = (
        LearnedPower("s-bus-1", reported_w=21_000.0, learned_w=9_000.0),
        LearnedPower("s-bus-2", reported_w=22_000.0, idle=True),
    )
    envelope = EnvelopeMemory(
        NOW_S - 1.0,
        started=True,
        evses=(EvseMemory(), EvseMemory()),
        live_w=(1_000.0, 12_000.0),
        departures=DepartureMemory(
            short=(("b2", 700.0),), held=("b1",), held_until_s=WALL_S + 100.0, draws=draws, looked_s=WALL_S
        ),
        caps_w=(31_000.0, 32_000.0),
        rates_w=(11_000.0, 12_000.0),
        outs_w=(5_000.0, 6_000.0),
        ids=("b1", "b2"),
    )
    turns = {"b1": Turn(NOW_S - 500.0, True)}
    return Memory(envelope, RulesMemory(turns, {"b2": "s-bus-2: said"}, ("service",)))


def picture(site: Site = SITE, **changes: Any) -> Snapshot:
    """Two buses; what they take at most they say no more."""
    snapshot = healthy(site, NOW_S, WALL_S)
    evses = []
    for index, state in enumerate(snapshot.evses, 1):
        assert state.vehicle is not None
        vehicle = replace(state.vehicle, session=f"s-bus-{index}", max_charge_w=NO_SAMPLE)
        evses.append(replace(state, vehicle=vehicle))
    return replace(snapshot, evses=tuple(evses), **changes)


def test_the_rules_are_given_what_the_ticks_before_have_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, memory = Heard(monkeypatch, "propose_all"), lived()
    monkeypatch.setattr(cycle_module, "sure_powers", lambda *_: {"b2": 8_000.0})
    Cycle(SITE).tick(picture(), None, memory)
    (args,), (named,) = heard.positional, heard.named
    assert args[3] == {"b2": 700.0}
    assert args[4] == ("b1",)
    assert named["memory"] == memory.rules
    assert named["bases_w"] == (1_000.0, 12_000.0)
    assert named["drawn_w"] == {"b1": 9_000.0, "b2": 8_000.0}, "the least that is known"
    assert named["enough_w"].keys() == {"b1", "b2"}
    assert named["said_w"] == {"b1": 21_000.0, "b2": 22_000.0}
    assert named["caps_w"] == {"b1": 31_000.0, "b2": 32_000.0}
    assert named["outs_w"] == {"b1": 5_000.0, "b2": 6_000.0}


def test_before_the_first_tick_the_commissioned_base_loads_count(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard(monkeypatch, "propose_all")
    Cycle(SITE).tick(picture(), None, Memory())
    assert heard.named[0]["bases_w"] == (0.0, 30_000.0)
    assert heard.named[0]["drawn_w"] == {"b1": 50_000.0, "b2": 50_000.0}


def test_services_and_envelope_are_given_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    served, permitted, memory = Heard(monkeypatch, "serve"), Heard(monkeypatch, "permit_all"), lived()
    outcome = Cycle(SITE).tick(picture(), None, memory)
    (args,) = served.positional
    assert args[3:] == ((1_000.0, 12_000.0), ("service",), {"b1": 5_000.0, "b2": 6_000.0})
    assert permitted.positional[0][3] == memory.envelope
    assert tuple(permitted.positional[0][2].values()) == outcome.wishes


def test_a_tick_leaves_the_turns_what_was_said_and_the_envelopes_memory() -> None:
    outcome = Cycle(SITE).tick(picture(), None, lived())
    assert outcome.memory.rules.turns["b1"].since_s <= NOW_S
    assert outcome.memory.rules.silent == (), "no service is configured: none is silent"
    assert outcome.memory.rules.doubts == {}, "all is known of both"
    assert outcome.memory.envelope.now_s == NOW_S
    assert [event.kind for event in outcome.events].count("service_signal_back") == 1


def deep(import_w: float = 200_000.0) -> Site:
    """Three feeders, so that the root is neither the first nor the second."""
    feeders = (
        Feeder("aisle", "hall", 100_000.0, 100_000.0, 0.0, 0.0, ""),
        Feeder("hall", "main", 100_000.0, 100_000.0, 0.0, 0.0, ""),
        Feeder("main", "", import_w, 100_000.0, 30_000.0, 5_000.0, "grid"),
    )
    return replace(SITE, feeders=feeders, evses=(small_evse("b1", "aisle"), small_evse("b2", "hall")))


def charged_w(cycle: Cycle, operator: Operator) -> float:
    """All that is wished once the ramp is over."""
    memory, total_w = Memory(), 0.0
    for second in range(6):
        snapshot = replace(healthy(deep(), NOW_S + second, WALL_S + second, seq=second), operator=operator)
        outcome = cycle.tick(snapshot, None, memory)
        memory, total_w = outcome.memory, sum(permit.power_w for permit in outcome.permits)
    return total_w


def limit(until_wall_s: float) -> CapacityLimit:
    return CapacityLimit("import", 60_000.0, WALL_S - 10.0, until_wall_s, "dso")


def test_a_limit_from_outside_binds_at_the_root_for_as_long_as_it_holds_by_the_wall_clock() -> None:
    cycle = Cycle(deep())
    free_w = charged_w(cycle, Operator())
    bound_w = charged_w(cycle, Operator(limits=(limit(WALL_S + 3_600.0),)))
    assert free_w > 60_000.0
    assert bound_w <= 60_000.0 - 30_000.0, "less the base load"
    assert charged_w(cycle, Operator(limits=(limit(WALL_S - 1.0),))) == free_w, "it is over"
    assert charged_w(cycle, Operator()) == free_w


def test_an_order_for_a_feeder_binds_and_ends_with_it() -> None:
    cycle = Cycle(deep())
    order = Order(1, "limit", "hall", WALL_S + 3_600.0, WALL_S, limit_w=40_000.0)
    free_w = charged_w(cycle, Operator())
    assert charged_w(cycle, Operator(orders=(order,))) <= 40_000.0 < free_w
    assert charged_w(cycle, Operator()) == free_w


def test_the_depot_is_laid_out_once_for_each_set_of_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, cycle = Heard(monkeypatch, "depot_of"), Cycle(deep())
    order = Order(1, "limit", "hall", WALL_S + 3_600.0, WALL_S, limit_w=40_000.0)
    charged_w(cycle, Operator())
    assert len(heard.positional) == 1, "with the cycle itself"
    charged_w(cycle, Operator(orders=(order,)))
    assert len(heard.positional) == 2
    charged_w(cycle, Operator())
    assert len(heard.positional) == 2, "without orders it is there already"


def test_d13_each_direction_of_a_lost_outlet_counts_at_its_own_rating() -> None:
    site = replace(SITE, evses=tuple(replace(evse, max_discharge_w=11_000.0) for evse in SITE.evses))
    assert (
        careful(site, NOW_S).envelope.evses
        == (EvseMemory(lease_until_s=NOW_S + site.safety.lease_s, most_w=50_000.0, least_w=-11_000.0),) * 2
    )


def test_the_envelope_is_given_the_depot_as_the_limit_from_outside_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard, cycle = Heard(monkeypatch, "permit_all"), Cycle(deep())
    for until_s in (WALL_S + 3_600.0, WALL_S - 1.0):
        operator = Operator(limits=(limit(until_s),))
        cycle.tick(replace(healthy(deep(), NOW_S, WALL_S), operator=operator), None, Memory())
    bound, free = ([f.import_limit_w for f in args[0].frame.tree.feeders] for args in heard.positional)
    assert bound == [100_000.0, 100_000.0, 60_000.0], "the root, which comes last"
    assert free == [100_000.0, 100_000.0, 200_000.0]


def test_a_service_without_its_signal_is_remembered_so_that_it_is_said_once() -> None:
    site = site_with(sold("fcr"))
    silent = at_hz(site, 50.0)
    meter = replace(silent.meters[0], frequency_hz=NO_SAMPLE)
    silent = replace(silent, meters=(meter,))
    cycle = Cycle(site)
    first = cycle.tick(silent, None, Memory())
    assert first.memory.rules.silent == ("fcr",)
    second = cycle.tick(silent, None, first.memory)
    lost = [
        [event.kind for event in outcome.events].count("service_signal_lost") for outcome in (first, second)
    ]
    assert lost == [1, 0]


def test_the_contactors_to_open_come_out_of_the_tick() -> None:
    evses = (replace(SITE.evses[0], dead_man="contactor", contactor="k1"), SITE.evses[1])
    site = replace(SITE, evses=evses)
    snapshot = picture(site)
    state = snapshot.evses[0]
    silent = replace(state, link=replace(state.link, connected=False))
    assert Cycle(site).tick(snapshot, None, lived()).dropped == ()
    gone = replace(snapshot, evses=(silent, snapshot.evses[1]))
    assert Cycle(site).tick(gone, None, lived()).dropped == ("k1",)
