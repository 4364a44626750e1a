"""The static shape of a site's supply tree: which outlets hang below which feeder, and on which phases."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from v2g_edge.model.reading import fresh_or
from v2g_edge.model.site import CurrentLimit, Evse, Feeder, PhaseMap, Site
from v2g_edge.model.snapshot import EvseState, MeterState, VehiclePhases

PHASES: Final[dict[PhaseMap, tuple[int, ...]]] = {
    "L1L2L3": (0, 1, 2),
    "L2L3L1": (1, 2, 0),
    "L3L1L2": (2, 0, 1),
    "L1": (0,),
    "L2": (1,),
    "L3": (2,),
}
"""The grid phases (0 is L1) that a charger's own phases hang on, in its order."""

LOWEST_V_PU: Final = 0.8
"""Current is power over the lowest voltage; below this the grid code ends the discharge, and unknown
counts as this.
"""
FULL_ROOM: Final = 1.05
"""An outlet goes beyond the rating of one phase only where so much more would fit: voltages, and with them
the limits in W, wander by a few percent.
"""
AC_MOST_W: Final = 3.0 * 63.0 * 253.0
"""No AC connector carries more: 63 A on three phases (IEC 62196-2), at the highest mains (EN 50160)."""


class Tree(NamedTuple):
    """Feeders leaves first. ``below``: for each feeder the places in ``Site.evses`` of all outlets under it.

    ``above``: for each outlet the places in ``feeders`` of all feeders over it, nearest first. ``base_min_w``
    and ``base_max_w``: what the base loads of a feeder and of all feeders below it add up to, at least and at
    most. ``weights``: for each grid phase the greatest share of each outlet's power that may flow there while
    nothing is known of its vehicle; ``phase_rated_w``: what one phase of each outlet carries at most;
    ``uneven``: the outlets of which a vehicle may load the phases unevenly. ``single``: the weights of
    single-phase outlets alone. ``imbalance``: what of a feeder's imbalance limit each direction may use:
    charging on one phase and discharging on another add up, so that it is half where a single-phase outlet
    below can discharge.
    """

    feeders: tuple[Feeder, ...]
    below: tuple[tuple[int, ...], ...]
    above: tuple[tuple[int, ...], ...]
    base_min_w: tuple[float, ...]
    base_max_w: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    single: tuple[tuple[float, ...], ...]
    phase_rated_w: tuple[float, ...]
    uneven: tuple[int, ...]
    imbalance: tuple[float, ...]


def tree_of(site: Site) -> Tree:
    """The shape of ``site``; ``config`` has proven that it is a tree and that the names in it exist."""
    parent = {feeder.id: feeder.parent for feeder in site.feeders}

    def path(feeder_id: str) -> list[str]:
        steps = [feeder_id]
        while parent[steps[-1]]:
            steps.append(parent[steps[-1]])
        return steps

    paths = {feeder.id: path(feeder.id) for feeder in site.feeders}
    order = tuple(sorted(site.feeders, key=lambda feeder: (-len(paths[feeder.id]), feeder.id)))
    place = {feeder.id: index for index, feeder in enumerate(order)}
    above = tuple(tuple(place[step] for step in paths[evse.feeder]) for evse in site.evses)
    below: list[list[int]] = [[] for _ in order]
    for index, steps in enumerate(above):
        for step in steps:
            below[step].append(index)
    inside = [[other for other in order if feeder.id in paths[other.id]] for feeder in order]
    return Tree(
        feeders=order,
        below=tuple(tuple(members) for members in below),
        above=above,
        base_min_w=tuple(sum(feeder.base_load_min_w for feeder in all_below) for all_below in inside),
        base_max_w=tuple(sum(feeder.base_load_max_w for feeder in all_below) for all_below in inside),
        weights=tuple(tuple(phase_share(evse, phase) for evse in site.evses) for phase in range(3)),
        single=tuple(
            tuple(float(PHASES[evse.phases] == (phase,)) for evse in site.evses) for phase in range(3)
        ),
        phase_rated_w=tuple(phase_rating_w(evse) for evse in site.evses),
        uneven=tuple(place for place, evse in enumerate(site.evses) if not spreads_evenly(evse)),
        imbalance=tuple(
            0.5 if any(gives_on_one_phase(site.evses[i]) for i in members) else 1.0 for members in below
        ),
    )


def gives_on_one_phase(evse: Evse) -> bool:
    """Whether an outlet can discharge on one phase alone."""
    return len(PHASES[evse.phases]) == 1 and evse.discharge_by != "none" and evse.max_discharge_w > 0.0


def spreads_evenly(evse: Evse) -> bool:
    """Whether an outlet draws alike on each phase that it has, whatever is plugged in.

    Where the site file leaves it open, more than an AC connector carries is a DC charger, and does.
    """
    if len(PHASES[evse.phases]) == 1 or evse.phase_load == "even":
        return True
    return evse.phase_load == "auto" and max(evse.max_charge_w, evse.max_discharge_w) > AC_MOST_W


def phase_rating_w(evse: Evse) -> float:
    """What one phase of an outlet carries at most, in either direction."""
    return max(evse.max_charge_w, evse.max_discharge_w) / len(PHASES[evse.phases])


def phase_share(evse: Evse, phase: int, seen: VehiclePhases = "") -> float:
    """The greatest share of an outlet's power that may flow on a grid phase (0 is L1).

    ``seen``: the charger's own phases on which its vehicle was seen to draw; while none was, all of the power
    may flow on any one of them.
    """
    own = PHASES[evse.phases]
    if spreads_evenly(evse):
        return 1.0 / len(own) if phase in own else 0.0
    if not seen:
        return 1.0 if phase in own else 0.0
    used = [own[int(number) - 1] for number in seen[1::2]]
    return 1.0 / len(used) if phase in used else 0.0


def phase_weights(
    tree: Tree, evses: Sequence[Evse], states: Sequence[EvseState]
) -> tuple[tuple[float, ...], ...]:
    """``Tree.weights`` with what the vehicles that are plugged in have shown of their phases."""
    seen = [
        (place, vehicle.phases)
        for place in tree.uneven
        if (vehicle := states[place].vehicle) is not None and vehicle.phases
    ]
    if not seen:
        return tree.weights
    weights = [list(shares) for shares in tree.weights]
    for place, phases in seen:
        for phase in range(3):
            weights[phase][place] = phase_share(evses[place], phase, phases)
    return tuple(tuple(shares) for shares in weights)


def phase_voltage(site: Site, meter: MeterState | None, now_s: float, phase: int) -> float:
    """The voltage that turns A into W: nominal without a meter, else the measured one where that is lower;
    unknown counts as the lowest.
    """
    nominal_v = site.grid.nominal_v
    if meter is None:
        return nominal_v
    lowest_v = LOWEST_V_PU * nominal_v
    volts = fresh_or(meter.phase_voltage_v[phase], now_s, site.safety.meter_max_age_s, lowest_v)
    return max(min(volts, nominal_v), lowest_v)


def phase_base_w(current: CurrentLimit, base_w: float, volts: float) -> float:
    """What of a feeder's base load may hang on one phase; all of it where that was not measured."""
    return max(base_w, 0.0) if current.base_load_a is None else current.base_load_a * volts
