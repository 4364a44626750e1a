"""The proof that silence is safe: with every charger at its fallback and every base load at its worst, each
feeder holds.

When the daemon dies, the cable is cut or a station reboots, chargers fall to their default profiles. Nothing
can help a feeder then that is too small for all of them together, so such a site is refused at start.
"""

from collections.abc import Iterator
from typing import Final

from v2g_edge.config.problems import Problem
from v2g_edge.model.site import Evse, Feeder, Site
from v2g_edge.model.tree import phase_rating_w, phase_share, spreads_evenly, tree_of

SLACK: Final = 1e-6
"""Sums of decimal numbers in binary: a feeder filled to the last watt still fits."""

MEND: Final = (
    "Lower the fallbacks (in the site file and in the chargers' default profiles), or raise the limit if the"
    " cable allows."
)
EVEN: Final = (
    'A vehicle on one phase counts with all of its fallback there: set phase_load = "even" for DC chargers,'
    " and for AC chargers that take their limits in A."
)


def check_fallback(site: Site, file: str) -> Iterator[Problem]:
    """One problem for each feeder and each phase that is too small. ``site`` is a tree and its names
    exist.
    """
    tree = tree_of(site)
    for feeder, below in zip(tree.feeders, tree.below, strict=True):
        evses = [site.evses[index] for index in below]
        nodes = [node for node in site.feeders if _hangs_on(node, feeder.id, site)]
        yield from _power(feeder, evses, nodes, file)
        yield from _phases(feeder, evses, nodes, site.grid.nominal_v, file)


def _power(feeder: Feeder, evses: list[Evse], nodes: list[Feeder], file: str) -> Iterator[Problem]:
    fallback_w = sum(evse.fallback_w for evse in evses)
    base_w = sum(node.base_load_max_w for node in nodes)
    if fallback_w + base_w > feeder.import_limit_w + SLACK:
        parts = f"{len(evses)} chargers {fallback_w:.0f} W + base load {base_w:.0f} W"
        found = f"{fallback_w + base_w:.0f} W with all chargers at fallback ({parts})"
        yield Problem(
            file,
            f"feeders.{feeder.id}.import_limit_w",
            found,
            f"at most {feeder.import_limit_w:.0f} W on this feeder",
            MEND,
        )


def _phases(
    feeder: Feeder, evses: list[Evse], nodes: list[Feeder], nominal_v: float, file: str
) -> Iterator[Problem]:
    """Per phase; base load that was not measured per phase may hang on one phase altogether, and so may
    what a vehicle draws.
    """
    if feeder.current is None:
        return
    base_a = sum(_base_a(node, nominal_v) for node in nodes)
    for phase, name in enumerate(("L1", "L2", "L3")):
        charge_a = sum(_on_phase_w(evse, phase) for evse in evses) / nominal_v
        if charge_a + base_a > feeder.current.import_a + SLACK:
            found = (
                f"{charge_a + base_a:.1f} A on {name} with all chargers at fallback ({charge_a:.1f} A + base"
                f" load {base_a:.1f} A)"
            )
            allowed = f"at most {feeder.current.import_a:.1f} A per phase on this feeder"
            uneven = any(not spreads_evenly(evse) for evse in evses)
            mend = f"{MEND} {EVEN}" if uneven else MEND
            yield Problem(file, f"feeders.{feeder.id}.current.import_a", found, allowed, mend)


def _on_phase_w(evse: Evse, phase: int) -> float:
    """A vehicle on one phase may draw all of the fallback there, as far as that phase is rated."""
    return min(evse.fallback_w * phase_share(evse, phase), phase_rating_w(evse))


def _base_a(node: Feeder, nominal_v: float) -> float:
    if node.current is not None and node.current.base_load_a is not None:
        return node.current.base_load_a
    return max(node.base_load_max_w, 0.0) / nominal_v


def _hangs_on(node: Feeder, feeder_id: str, site: Site) -> bool:
    parents = {each.id: each.parent for each in site.feeders}
    step = node.id
    while step and step != feeder_id:
        step = parents[step]
    return step == feeder_id
