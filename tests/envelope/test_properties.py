"""What holds for every depot, every state and every wish: above all that less knowledge never allows more."""

import os
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Dice,
    Scene,
    frame,
    permit,
    ready,
    scene_of,
    scenes,
    with_evse,
    with_vehicle,
)
from tests.envelope.test_feeders import at_rest, context
from v2g_edge.departure.admit_exports import DepartureMemory
from v2g_edge.departure.depot import depot_of
from v2g_edge.envelope.exposure import exposure_of
from v2g_edge.envelope.gridtrip import TripMemory
from v2g_edge.envelope.permits import Decision, permit_all
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import GridSample
from v2g_edge.model.tree import PHASES, spreads_evenly

EXAMPLES = int(os.environ.get("ENVELOPE_EXAMPLES", "150"))
"""Mutation testing asks for fewer: there are a thousand mutants."""
MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NOISE_W = 1e-6


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a snapshot readings stand, as paths of field names and indices."""
    if isinstance(value, Reading):
        return [path]
    if isinstance(value, tuple):
        return [place for i, item in enumerate(value) for place in places(item, (*path, i))]
    if hasattr(value, "__struct_fields__"):
        return [place for f in value.__struct_fields__ for place in places(getattr(value, f), (*path, f))]
    return []


def changed(value: Any, path: tuple[Any, ...], turn: Callable[[Reading], Any]) -> Any:
    """The value with the reading at ``path`` turned into something else."""
    if not path:
        return turn(value)
    if isinstance(value, tuple):
        return tuple(changed(item, path[1:], turn) if i == path[0] else item for i, item in enumerate(value))
    return replace(value, **{path[0]: changed(getattr(value, path[0]), path[1:], turn)})


def widened(before: Decision, after: Decision) -> list[str]:
    """Outlets whose permit allows anything that it did not allow before."""
    found = []
    for was, now in zip(before.permits, after.permits, strict=True):
        if (
            max(now.most_w, 0.0) > max(was.most_w, 0.0) + NOISE_W
            or min(now.least_w, 0.0) < min(was.least_w, 0.0) - NOISE_W
        ):
            spans = f"{was.power_w} ± {was.droop_w} W became {now.power_w} ± {now.droop_w} W"
            found.append(f"{now.evse}: {spans} ({was.bound_by} -> {now.bound_by})")
        if now.max_w > was.max_w + NOISE_W or now.min_w < was.min_w - NOISE_W:
            found.append(f"{now.evse}: [{was.min_w}, {was.max_w}] became [{now.min_w}, {now.max_w}]")
    return found


def beside_unmetered(seed: int, count: int) -> Scene:
    """A depot without trouble in which all wish to charge, and the first ``count`` tell no power."""
    dice = Dice(seed)
    dice.trouble = 0.0
    scene = scene_of(dice)
    wishes = {
        evse: replace(wish, power_w=abs(wish.power_w), droop_w=0.0) for evse, wish in scene.wishes.items()
    }
    return at_rest(scene._replace(wishes=wishes), *range(min(count, len(scene.site.evses))))


UNMETERED = st.builds(beside_unmetered, st.integers(0, 2**32 - 1), st.integers(1, 3))


@given(scene=scenes() | UNMETERED, data=st.data())
@MANY
def test_taking_readings_away_or_ageing_them_never_widens_any_permit(
    scene: Scene, data: st.DataObject
) -> None:
    before = permit(scene)
    found = places(scene.snapshot)
    chosen = data.draw(st.lists(st.sampled_from(found), min_size=1, max_size=4, unique=True))
    age_s = data.draw(st.sampled_from([None, 0.5, 3.0, 50.0, 500.0]))
    snapshot = scene.snapshot
    for path in chosen:
        snapshot = changed(
            snapshot, path, lambda r: GONE if age_s is None else Reading(r.value, r.at_s - age_s)
        )
    after = permit(scene._replace(snapshot=snapshot))
    note(f"{chosen} {age_s}")
    assert widened(before, after) == []


def test_taking_any_one_reading_of_a_healthy_depot_away_never_widens_any_permit() -> None:
    for wish_w in (-20_000.0, 20_000.0):
        scene = ready(3, wish_w)
        before = permit(scene)
        for path in places(scene.snapshot):
            for turn in (lambda _r: GONE, lambda r: Reading(r.value, r.at_s - 1e4)):
                after = permit(scene._replace(snapshot=changed(scene.snapshot, path, turn)))
                assert widened(before, after) == [], path


@given(scene=scenes() | UNMETERED, index=st.integers(0, 4))
@MANY
def test_losing_a_charger_never_widens_the_permits_of_the_others(scene: Scene, index: int) -> None:
    index %= len(scene.site.evses)
    link, fallback_w = scene.snapshot.evses[index].link, scene.site.evses[index].fallback_w
    before, after = permit(scene), permit(with_evse(scene, index, link=replace(link, connected=False)))
    mine = after.permits[index]
    if mine.most_w <= fallback_w:  # it is at its fallback, whatever it is permitted
        after = after._replace(
            permits=(*after.permits[:index], before.permits[index], *after.permits[index + 1 :])
        )
    assert widened(before, after) == []


@given(scene=scenes(), data=st.data())
@MANY
def test_the_order_of_outlets_in_the_site_does_not_matter(scene: Scene, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(scene.site.evses))))
    assume(list(order) != sorted(order))
    alike = replace(
        scene.memory, departures=DepartureMemory(), rates_w=()
    )  # their records stand in the site's order
    scene = scene._replace(memory=alike)
    there = permit(scene)
    mixed = scene._replace(
        site=replace(scene.site, evses=tuple(scene.site.evses[i] for i in order)),
        snapshot=replace(scene.snapshot, evses=tuple(scene.snapshot.evses[i] for i in order)),
        memory=replace(scene.memory, evses=tuple(scene.memory.evses[i] for i in order)),
    )
    back = {given.evse: given for given in permit(mixed).permits}
    for given_there in there.permits:
        assert abs(given_there.power_w - back[given_there.evse].power_w) < 1e-3


@given(scene=scenes())
@MANY
def test_the_same_picture_twice_gives_the_same_decision(scene: Scene) -> None:
    assert permit(scene) == permit(scene)


Allocation = dict[str, tuple[int, ...]]
"""By outlet: the grid phases on which its vehicle draws."""


def allocated(scene: Scene, choice: Random) -> Allocation:
    """On some phases that each outlet has; where a vehicle has shown its phases, on those."""
    found = {}
    for evse, state in zip(scene.site.evses, scene.snapshot.evses, strict=True):
        own = PHASES[evse.phases]
        used = tuple(choice.sample(own, choice.randint(1, len(own))))
        if spreads_evenly(evse):
            used = own
        elif state.vehicle is not None and state.vehicle.phases:
            used = tuple(own[int(number) - 1] for number in state.vehicle.phases[1::2])
        found[evse.id] = used
    return found


def _sum(
    site: Site,
    decision: Decision,
    scene: Scene,
    node: str,
    sign: float,
    phase: int | None = None,
    allocation: Allocation | None = None,
) -> float:
    """All that the chargers under a feeder may do in one direction: permits, the worst case of those that
    do not listen, and the rating of those that were told to discharge and never seen to. On a phase: as the
    vehicles are allocated, and never more than one phase of an outlet is rated.
    """
    parent = {feeder.id: feeder.parent for feeder in site.feeders}
    total_w = 0.0
    for evse, state, given_, old in zip(
        site.evses, scene.snapshot.evses, decision.permits, scene.memory.evses, strict=True
    ):
        at = evse.feeder
        while at and at != node:
            at = parent[at]
        if at != node:
            continue
        silent = (
            not state.link.connected
            or scene.snapshot.now_s - state.link.last_seen_s > site.safety.charger_max_age_s
        )
        power_w = max(sign * given_.power_w + given_.droop_w, 0.0)
        if silent:
            last_w = max(sign * old.power_w + old.droop_w, 0.0) if old.lease_until_s >= NOW_S else 0.0
            power_w = max(last_w, evse.fallback_w if sign > 0.0 else 0.0)
        told_w = min(given_.power_w, old.least_w if state.vehicle is not None or silent else 0.0)
        if sign > 0.0 and told_w < 0.0 and not state.proven_discharge:
            power_w = evse.max_charge_w  # it takes the negative limit and charges
        if phase is not None and allocation is not None:
            used = allocation[evse.id]
            rated_w = max(evse.max_charge_w, evse.max_discharge_w) / len(PHASES[evse.phases])
            power_w = min(power_w / len(used), rated_w) if phase in used else 0.0
        total_w += power_w
    return total_w


@given(scene=scenes())
@MANY
def test_no_sum_exceeds_a_feeder_in_either_direction_with_the_silent_at_their_worst(scene: Scene) -> None:
    _sums_fit(scene)


@given(
    scene=scenes(),
    room=st.sampled_from([3.0, 10.0]),
    wish_w=st.sampled_from([-20_000.0, -2_000.0]),
    seed=st.integers(0, 2**32 - 1),
)
@MANY
def test_a_first_discharge_leaves_room_for_charging_at_the_rating_instead(
    scene: Scene, room: float, wish_w: float, seed: int
) -> None:
    """Everybody wishes to export and has wide feeders, so that many a first discharge is permitted."""
    wide = [
        replace(f, import_limit_w=room * f.import_limit_w, export_limit_w=300_000.0)
        for f in scene.site.feeders
    ]
    wishes = {evse: replace(wish, power_w=min(wish.power_w, wish_w)) for evse, wish in scene.wishes.items()}
    scene = scene._replace(site=replace(scene.site, feeders=tuple(wide)), wishes=wishes)
    _sums_fit(scene)
    _phases_fit(scene, seed)


def _sums_fit(scene: Scene) -> None:
    site, decision = scene.site, permit(scene)
    laid = frame(site)
    for place, feeder in enumerate(laid.tree.feeders):
        silent_w = _silent(scene, feeder.id)
        import_w = max(feeder.import_limit_w - laid.tree.base_max_w[place], 0.0)
        export_w = max(feeder.export_limit_w + laid.tree.base_min_w[place], 0.0)
        # Where the silent alone exceed a limit, nobody else may add to it.
        assert _sum(site, decision, scene, feeder.id, 1.0) <= max(import_w, silent_w[0]) + 1e-3
        assert _sum(site, decision, scene, feeder.id, -1.0) <= max(export_w, silent_w[1]) + 1e-3


def _silent(scene: Scene, node: str) -> tuple[float, float]:
    """What the silent chargers under a feeder may do by themselves."""
    nothing = permit(scene)._replace(
        permits=tuple(replace(p, power_w=0.0, droop_w=0.0) for p in permit(scene).permits)
    )
    return _sum(scene.site, nothing, scene, node, 1.0), _sum(scene.site, nothing, scene, node, -1.0)


@given(scene=scenes(), seed=st.integers(0, 2**32 - 1))
@MANY
def test_no_phase_of_a_feeder_carries_more_than_its_current(scene: Scene, seed: int) -> None:
    _phases_fit(scene, seed)


@given(scene=scenes())
@MANY
def test_d23_a_vehicle_that_has_shown_no_phases_is_never_permitted_more(scene: Scene) -> None:
    before = permit(scene)
    for index, state in enumerate(scene.snapshot.evses):
        if state.vehicle is not None:
            scene = with_vehicle(scene, index, phases="")
    assert widened(before, permit(scene)) == []


def _phases_fit(scene: Scene, seed: int) -> None:
    """For any allocation of the vehicles to phases."""
    site, decision, allocation = scene.site, permit(scene), allocated(scene, Random(seed))
    still = tuple(
        p
        for p, s in zip(decision.permits, scene.snapshot.evses, strict=True)
        if (p.power_w or p.droop_w) and s.link.connected
    )
    for feeder in site.feeders:
        if feeder.current is None or not still:
            continue
        alone = decision._replace(
            permits=tuple(replace(p, power_w=0.0, droop_w=0.0) for p in decision.permits)
        )
        for phase in range(3):
            for sign, limit_a in ((1.0, feeder.current.import_a), (-1.0, feeder.current.export_a)):
                silent_w = _sum(site, alone, scene, feeder.id, sign, phase, allocation)
                phase_w = _sum(site, decision, scene, feeder.id, sign, phase, allocation)
                assert phase_w <= max(limit_a * site.grid.nominal_v, silent_w) + 1e-3


@given(scene=scenes())
@MANY
def test_single_phase_chargers_never_unbalance_a_feeder_beyond_its_limit(scene: Scene) -> None:
    site, decision = scene.site, permit(scene)
    laid = frame(site)
    for place, feeder in enumerate(laid.tree.feeders):
        if feeder.current is None:
            continue
        sums = [[0.0, 0.0] for _ in range(3)]
        for i in laid.tree.below[place]:
            if len(site.evses[i].phases) == 2:
                phase = int(site.evses[i].phases[1]) - 1
                sums[phase][0] += max(decision.permits[i].most_w, 0.0)
                sums[phase][1] += max(-decision.permits[i].least_w, 0.0)
        worst_w = max(max(s[0] for s in sums) + max(s[1] for s in sums), 0.0)
        assert worst_w <= feeder.current.imbalance_a * site.grid.nominal_v + 1e-3


@given(scene=UNMETERED)
@MANY
def test_one_that_tells_no_power_begins_only_where_its_rating_fits_beside_all_that_may_flow(
    scene: Scene,
) -> None:
    """Whatever it draws once it may draw at all."""
    decision, seen = permit(scene), context(scene)
    exposures = [exposure_of(seen, o) for o in seen.outlets]
    begins = {i for i, e in enumerate(exposures) if e.rests and decision.permits[i].power_w > e.rest_w}
    free = 1.0 - scene.site.safety.feeder_margin_pct / 100.0
    for place, members in enumerate(seen.frame.tree.below):
        others = [i for i in members if exposures[i].rest_w == ANY_W and exposures[i].listens]
        asked = any(max(scene.wishes[scene.site.evses[i].id].power_w, 0.0) for i in others)
        if not begins.intersection(members) or not asked:
            continue
        counted_w = [
            exposures[i].own_w if i in begins else max(exposures[i].fixed_w, decision.permits[i].most_w)
            for i in members
        ]
        limit_w = seen.frame.tree.feeders[place].import_limit_w * free - seen.frame.tree.base_max_w[place]
        assert sum(counted_w) <= limit_w + 1e-3


@given(scene=scenes())
@MANY
def test_no_permit_leaves_the_limits_of_its_charger_and_its_vehicle(scene: Scene) -> None:
    kind = scene.site.vehicle_types[0]
    for evse, state, given_ in zip(
        scene.site.evses, scene.snapshot.evses, permit(scene).permits, strict=True
    ):
        assert -evse.max_discharge_w <= given_.power_w <= evse.max_charge_w
        assert given_.min_w <= 0.0 <= given_.max_w
        assert given_.min_w <= given_.power_w <= given_.max_w
        assert given_.droop_w >= 0.0
        assert given_.min_w - NOISE_W <= given_.least_w
        assert given_.most_w <= given_.max_w + NOISE_W
        assert -evse.max_discharge_w - NOISE_W <= given_.least_w
        assert given_.most_w <= evse.max_charge_w + NOISE_W
        assert given_.droop_w == 0.0 or state.proven_discharge
        assert (
            given_.power_w == 0.0
            or given_.power_w >= evse.min_charge_w
            or given_.power_w <= -evse.min_discharge_w
        )
        if state.vehicle is None:
            assert given_.power_w == given_.droop_w == 0.0
        elif given_.least_w < 0.0:
            gives = state.vehicle.max_discharge_w
            assert isinstance(gives, Reading)
            assert -given_.least_w <= min(gives.value, kind.max_discharge_w) + NOISE_W


@given(scene=scenes())
@MANY
def test_no_permit_goes_beyond_its_wish_or_turns_it_round(scene: Scene) -> None:
    for given_ in permit(scene).permits:
        assert given_.power_w * given_.wish_w >= 0.0
        assert abs(given_.power_w) <= abs(given_.wish_w) + NOISE_W
        assert given_.droop_w <= scene.wishes[given_.evse].droop_w
        assert given_.droop_w == 0.0 or given_.power_w == given_.wish_w, (
            "a droop is judged around the wish and nowhere else"
        )


@given(scene=scenes(), why=st.sampled_from(["relay", "stop", "hold", "trip"]))
@MANY
def test_what_revokes_export_ends_all_discharge_in_the_same_tick(scene: Scene, why: str) -> None:
    snapshot = scene.snapshot
    if why == "relay":
        snapshot = replace(
            snapshot, contacts=(replace(snapshot.contacts[0], closed=Reading(0.0, snapshot.now_s)),)
        )
    elif why == "stop":
        snapshot = replace(snapshot, operator=replace(snapshot.operator, stop=True))
    elif why == "hold":
        snapshot = replace(snapshot, operator=replace(snapshot.operator, export_hold=True))
    else:
        times_s = [snapshot.now_s - 0.1 * i for i in range(30, -1, -1)]
        hz = [Reading(50.0, at_s) for at_s in times_s]
        dark = tuple(GridSample(r.at_s, (Reading(0.0, r.at_s),) * 3, r) for r in hz)
        snapshot, scene = (
            replace(snapshot, grid_samples=dark),
            scene._replace(memory=replace(scene.memory, trip=TripMemory())),
        )
    decision = permit(scene._replace(snapshot=snapshot))
    assert all(given_.least_w >= 0.0 and given_.min_w >= 0.0 for given_ in decision.permits)
    if why in {"relay", "trip"}:
        assert not decision.contactor
        fallbacks = [evse.fallback_w for evse in scene.site.evses]
        assert all(g.most_w <= fallback_w for g, fallback_w in zip(decision.permits, fallbacks, strict=True))
    if why == "stop":
        assert all(given_.power_w == given_.droop_w == 0.0 for given_ in decision.permits)


@given(scene=scenes())
@MANY
def test_power_grows_no_faster_than_the_ramp_and_falls_at_once(scene: Scene) -> None:
    step_w = scene.site.safety.ramp_up_w_per_s * (scene.snapshot.now_s - scene.memory.now_s)
    for given_, old, evse in zip(permit(scene).permits, scene.memory.evses, scene.site.evses, strict=True):
        up_w, down_w = (
            max(max(old.power_w, 0.0) + step_w, evse.min_charge_w),
            max(step_w - min(old.power_w, 0.0), evse.min_discharge_w),
        )
        assert -down_w - NOISE_W <= given_.power_w <= up_w + NOISE_W
        assert given_.droop_w <= old.droop_w + step_w + NOISE_W


@given(scene=scenes())
@MANY
def test_every_permit_names_the_limit_that_bound_it(scene: Scene) -> None:
    decision = permit(scene)
    for given_, bounds in zip(decision.permits, decision.bounds, strict=True):
        assert given_.bound_by.source
        if given_.bound_by.rule not in {"wish", "ramp", "minimum_power"}:
            assert given_.bound_by in bounds
        if given_.bound_by.rule == "wish":
            assert given_.power_w == given_.wish_w


@given(scene=scenes())
@MANY
def test_a_wish_granted_in_full_is_granted_again(scene: Scene) -> None:
    """Nothing changes, no time passes: what was permitted is permitted (the permits themselves now count
    as wishes).
    """
    first = permit(scene)
    wishes = {p.evse: replace(scene.wishes[p.evse], power_w=p.power_w) for p in first.permits}
    again = permit(scene._replace(wishes=wishes))
    for was, now in zip(first.permits, again.permits, strict=True):
        assert abs(now.power_w) <= abs(was.power_w) + NOISE_W


def test_the_first_tick_after_a_start_exports_nothing_and_charges_nothing() -> None:
    scene = ready(2, 20_000.0)
    first = permit_all(
        depot_of(frame(scene.site)),
        scene.snapshot,
        scene.wishes,
        replace(scene.memory, started=False, evses=()),
    )
    assert [given_.power_w for given_ in first.permits] == [0.0, 0.0]
