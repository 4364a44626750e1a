"""The static shape of a site's supply tree: which outlets hang below which feeder, and on which phases."""

from typing import Final, NamedTuple

from v2g_edge.model.site import Evse, Feeder, PhaseMap, Site

PHASES: Final[dict[PhaseMap, tuple[int, ...]]] = {
    "L1L2L3": (0, 1, 2),
    "L2L3L1": (1, 2, 0),
    "L3L1L2": (2, 0, 1),
    "L1": (0,),
    "L2": (1,),
    "L3": (2,),
}
"""The grid phases (0 is L1) that a charger's own phases hang on, in its order."""


class Tree(NamedTuple):
    """Feeders leaves first. ``below``: for each feeder the places in ``Site.evses`` of all outlets under it.

    ``above``: for each outlet the places in ``feeders`` of all feeders over it, nearest first. ``base_min_w``
    and ``base_max_w``: what the base loads of a feeder and of all feeders below it add up to, at least and at
    most. ``weights``: for each grid phase the share of each outlet's power that flows there; ``single``: the
    same for single-phase outlets alone.
    """

    feeders: tuple[Feeder, ...]
    below: tuple[tuple[int, ...], ...]
    above: tuple[tuple[int, ...], ...]
    base_min_w: tuple[float, ...]
    base_max_w: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    single: tuple[tuple[float, ...], ...]


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
    )


def phase_share(evse: Evse, phase: int) -> float:
    """The share of an outlet's power that flows on a grid phase (0 is L1): a charger draws the same on
    each phase it has.
    """
    phases = PHASES[evse.phases]
    return 1.0 / len(phases) if phase in phases else 0.0
