"""What a new process takes over from the one that died, outlet by outlet, and what it asks anew."""

from msgspec.structs import replace

from tests.depot import small_evse
from tests.envelope.strategies import (
    NOW_S,
    Scene,
    permit,
    ready,
    remembered,
    with_evse,
    with_site,
    with_snapshot,
)
from v2g_edge.cycle import Memory, careful
from v2g_edge.cycle import restarted as restarted_cycle
from v2g_edge.departure.admit_exports import DepartureMemory
from v2g_edge.departure.charging_power import LearnedPower, Window
from v2g_edge.envelope.enter_service import ServiceMemory
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.memory import NEW, EnvelopeMemory, restarted
from v2g_edge.envelope.table import Latch
from v2g_edge.model.evidence import BaseMemory, EvseMemory, MeterMemory, Told
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Site

LATER_S = 5.0
"""The monotonic clock of the new process: the machine has started anew."""


def latched(row: str, subject: str, **changes: object) -> Latch:
    return replace(Latch(row, subject, True, 0.0, "why", "s-1", present=False, times=2), **changes)


def lived(site: Site) -> EnvelopeMemory:
    """A memory in which everything is told."""
    ids = tuple(evse.id for evse in site.evses)
    evses = tuple(
        replace(
            remembered(f"s-{evse}", 7_000.0 + place),
            heat_pct=40.0 + place,
            event_pct=11.0 + place,
            counted_pct=3.0,
            back_wh=120.0,
            in_wh=500.0,
            out_wh=700.0,
            shown_w=9_000.0,
            loose_w=100.0,
            told=(Told(900.0, 0.0, 7_000.0),),
        )
        for place, evse in enumerate(ids)
    )
    draws = tuple(
        LearnedPower(
            f"s-{evse}",
            22_000.0,
            11_000.0 + place,
            15_000.0,
            900.0,
            950.0,
            5_000.0,
            window=Window(1.0, 2.0, 3.0),
        )
        for place, evse in enumerate(ids)
    )
    return EnvelopeMemory(
        now_s=NOW_S,
        started=True,
        evses=evses,
        meters=(MeterMemory(NOW_S, 1.0, 2.0, 3),),
        bases=(BaseMemory(1.0, 2.0, 3.0, 4.0),),
        live_w=(5_000.0,),
        latches=(
            latched("disobedient", "b1"),
            latched("grid_fault", "site"),
            latched("meter_reversed", "grid"),
            latched("ev_connection_lost", "b2"),
            latched("battery_throughput_exceeded", "b2", active=False, left_s=3.0),
        ),
        service=ServiceMemory("in_service", "", 0.0, 1.0, 2.0, 3.0, 4.0),
        departures=DepartureMemory(short=(("b1", 5.0),), draws=draws, held=("b1",), held_until_s=1e9),
        day=20_000,
        taken_pct={"bus-1": 12.5, "bus-9": 3.0},
        caps_w=(1.0,) * len(ids),
        rates_w=(2.0,) * len(ids),
        ids=ids,
    )


def test_latches_and_ledgers_stand() -> None:
    """The whole of it: a restart clears nothing that a person, a proof or a day has to end."""
    site = ready(2).site
    before = lived(site)
    after = restarted(before, site, LATER_S)
    assert after.latches == before.latches
    assert after.taken_pct == {"bus-1": 12.5, "bus-9": 3.0}
    assert after.day == 20_000
    assert after.ids == ("b1", "b2")
    for old, new in zip(before.evses, after.evses, strict=True):
        for field in (
            "power_w", "droop_w", "most_w", "least_w", "session", "heat_pct", "shown_w", "loose_w", "soc_pct",
            "in_wh", "out_wh", "counted_pct", "event_pct", "back_wh", "top_pct",
        ):  # fmt: skip
            assert getattr(new, field) == getattr(old, field), field


def test_what_was_by_the_old_clock_is_asked_anew() -> None:
    site = ready(2).site
    after = restarted(lived(site), site, LATER_S)
    assert after.now_s == LATER_S
    assert not after.started
    assert (after.meters, after.bases, after.live_w, after.caps_w, after.rates_w) == ((), (), (), (), ())
    assert after.trip == TripMemory()
    assert after.service == ServiceMemory(), "the grid proves itself anew"
    for new in after.evses:
        assert new.soc_at_s == -ANY_W, "any sample of the new clock is newer"
        assert new.told == ()
        assert new.warm_at_s == LATER_S, "a pack that was told hot is not untold at once"
    untold = replace(lived(site), evses=(EvseMemory(dark_since_s=-900.0), EvseMemory()))
    after = restarted(untold, site, LATER_S)
    assert [(new.warm_at_s, new.dark_since_s) for new in after.evses] == [(-ANY_W, ANY_W)] * 2


def test_every_last_permit_counts_for_one_more_lease() -> None:
    site = ready(2).site
    after = restarted(lived(site), site, LATER_S)
    assert [new.lease_until_s for new in after.evses] == [LATER_S + site.safety.lease_s] * 2


def test_of_the_departures_only_what_was_learnt_stands() -> None:
    site = ready(2).site
    before = lived(site)
    departures = restarted(before, site, LATER_S).departures
    assert departures == DepartureMemory(draws=departures.draws)
    for old, new in zip(before.departures.draws, departures.draws, strict=True):
        assert old is not None
        assert new is not None
        assert (new.session, new.reported_w, new.learned_w) == (old.session, old.reported_w, old.learned_w)
        assert (new.under_w, new.window, new.asked_w) == (old.under_w, None, 0.0)
        assert new.told_s == new.seen_s == -ANY_W


def swapped(site: Site) -> Site:
    """The first outlet is gone, a new one stands in front."""
    return replace(site, evses=(small_evse("a9"), site.evses[1]))


def test_d7_another_site_file_finds_its_outlets_by_their_ids() -> None:
    site = ready(2).site
    before = lived(site)
    after = restarted(before, swapped(site), LATER_S)
    assert after.ids == ("a9", "b2")
    until_s = LATER_S + site.safety.lease_s
    old_b2 = replace(before.evses[1], lease_until_s=until_s, soc_at_s=-ANY_W, warm_at_s=LATER_S, told=())
    assert after.evses[1] == old_b2
    kept, old = after.departures.draws, before.departures.draws[1]
    assert kept[0] is None
    assert kept[1] is not None
    assert old is not None
    assert kept[1].learned_w == old.learned_w


def test_d7_a_new_outlet_counts_at_its_rating_and_has_to_show_that_it_follows() -> None:
    site = ready(2).site
    after = restarted(lived(site), swapped(site), LATER_S)
    assert after.evses[0] == EvseMemory(
        lease_until_s=LATER_S + site.safety.lease_s, most_w=50_000.0, least_w=-50_000.0
    )
    assert Latch("disobedient", "a9", True, 0.0, NEW, present=False, times=1) in after.latches


def test_d7_a_new_outlet_that_cannot_discharge_counts_one_way() -> None:
    site = ready(2).site
    one_way = replace(site, evses=(small_evse("a9", discharge_by="none"), site.evses[1]))
    assert restarted(lived(site), one_way, LATER_S).evses[0].least_w == 0.0


def test_d7_the_latches_of_an_outlet_that_is_gone_are_gone_and_no_others() -> None:
    site = ready(2).site
    after = restarted(lived(site), swapped(site), LATER_S)
    assert [(latch.row, latch.subject) for latch in after.latches] == [
        ("grid_fault", "site"),
        ("meter_reversed", "grid"),
        ("ev_connection_lost", "b2"),
        ("battery_throughput_exceeded", "b2"),
        ("disobedient", "a9"),
    ]


def test_a_memory_without_ids_stands_in_the_order_of_the_site() -> None:
    """As the first versions wrote it."""
    site = ready(2).site
    before = replace(lived(site), ids=())
    assert [new.heat_pct for new in restarted(before, site, LATER_S).evses] == [40.0, 41.0]


def test_a_latch_holds_after_the_restart_as_it_held_before() -> None:
    """Seen from outside: an outlet that was quarantined does not export in the first ticks of the new
    process.
    """
    scene = ready(2)
    quarantined = replace(
        scene.memory,
        latches=(Latch("disobedient", "b1", True, 0.0, "it did not follow", times=1, present=False),),
    )
    for memory, exports in ((scene.memory, True), (quarantined, False)):
        new = restarted(memory, scene.site, NOW_S - 1.0)
        up = replace(new, service=scene.memory.service, started=True)
        first = permit(scene._replace(memory=up)).permits[0]
        assert (first.min_w < 0.0) == exports


def test_the_ledger_of_the_day_holds_after_the_restart() -> None:
    scene = ready(2)
    for taken_pct, exports in ((10.0, True), (60.0, False)):
        memory = restarted(replace(scene.memory, taken_pct={"bus-1": taken_pct}), scene.site, NOW_S - 1.0)
        up = replace(memory, service=scene.memory.service, started=True)
        assert (permit(scene._replace(memory=up)).permits[0].min_w < 0.0) == exports


def test_the_cycle_hands_the_envelopes_memory_on_and_forgets_the_turns() -> None:
    site = ready(2).site
    before = Memory(lived(site))
    assert restarted_cycle(before, site, LATER_S) == Memory(restarted(before.envelope, site, LATER_S))


def test_d13_a_lost_memory_is_the_most_careful_one() -> None:
    site = ready(2).site
    memory = careful(site, LATER_S).envelope
    until_s = LATER_S + site.safety.lease_s
    assert memory.evses == (EvseMemory(lease_until_s=until_s, most_w=50_000.0, least_w=-50_000.0),) * 2
    assert memory.taken_pct == {"bus-1": 100.0, "bus-2": 100.0}
    assert (memory.day, memory.now_s, memory.started) == (0, LATER_S, False)


def spent(scene: Scene, memory: EnvelopeMemory) -> list[bool]:
    """Where the cap of the day says that nothing may be taken."""
    up = replace(memory, service=scene.memory.service, started=True)
    return [
        any(bound.rule == "depth_of_day" for bound in bounds)
        for bounds in permit(scene._replace(memory=up)).bounds
    ]


def test_d13_after_a_lost_memory_nothing_is_exported_until_the_next_day_and_charging_goes_on() -> None:
    scene = ready(2)
    memory = careful(scene.site, NOW_S - 1.0).envelope
    assert spent(scene, memory) == [True, True]
    for guess_s in (-9_000 * 86_400.0, 9_000 * 86_400.0):
        guessed = with_snapshot(scene, wall_s=scene.snapshot.wall_s + guess_s, clock_synced=False)
        after = permit(guessed._replace(memory=memory)).memory
        assert spent(scene, after) == [True, True], "the clock is right now: it is still the same day"
    today = permit(scene._replace(memory=memory)).memory
    tomorrow = with_snapshot(scene, wall_s=scene.snapshot.wall_s + 86_400.0)
    memory = replace(today, now_s=NOW_S - 1.0)
    assert spent(tomorrow, memory) == [False, False]
    assert spent(with_snapshot(tomorrow, clock_synced=False), memory) == [True, True], (
        "a guess empties no ledger"
    )
    charging = {evse: replace(wish, power_w=10_000.0) for evse, wish in scene.wishes.items()}
    wide = with_site(scene, feeders=tuple(replace(f, import_limit_w=1e6) for f in scene.site.feeders))
    up = replace(memory, service=scene.memory.service, started=True)
    assert all(given.power_w > 0.0 for given in permit(wide._replace(memory=up, wishes=charging)).permits)


def test_an_outlet_that_was_never_seen_is_no_wider_after_a_restart() -> None:
    scene = with_evse(
        ready(1), link=replace(ready(1).snapshot.evses[0].link, ever_seen=False, connected=False)
    )
    scene = with_site(scene, evses=scene.site.evses[:1])
    memory = restarted(scene.memory, scene.site, NOW_S - 1.0)
    assert permit(scene._replace(memory=memory)).permits[0].min_w == 0.0
