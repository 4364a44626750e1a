"""Feeders: a fuse too small for what hangs on it, limits that never act, unused meters and nodes."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.calendar import WINDOW, hours_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Evse, Feeder

NEVER_TIMES: Final = 5.0
"""A fuse is chosen for what it feeds, with room to grow; not for five times that."""


def odd_feeders(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each feeder by itself, then against its parent and its meter."""
    parents = {feeder.id: feeder for feeder in plan.feeders}
    for feeder in plan.feeders:
        below = _below(plan, feeder.id)
        path = f"feeders.{feeder.id}"
        yield from _room(feeder, below, path, file)
        yield from _never_reached(plan, feeder, file)
        yield from _direction(feeder, path, file)
        parent = parents.get(feeder.parent)
        if parent is not None:
            yield from _against_parent(feeder, parent, path, file)
        has_child = any(each.parent == feeder.id for each in plan.feeders)
        if not below and not has_child and plan.evses:
            yield odd(
                file,
                path,
                "no outlet and no feeder below it",
                "outlets below it",
                "Do outlets name another feeder?",
            )
        single = [evse for evse in below if len(evse.phases) == 2]
        if feeder.current is not None and feeder.current.imbalance_a == 0.0 and single:
            mend = "Single-phase chargers cannot charge then. Write the limit in A; 1e12 stands for no limit."
            yield odd(file, f"{path}.current.imbalance_a", "0 A", "20 A or what the contract says", mend)
    yield from _meters(plan, file)
    yield from _windows(plan, file)


def _windows(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Windows that leave nothing to charge with from midnight to midnight."""
    feeders = {feeder.id: feeder for feeder in plan.feeders}
    for window in plan.windows:
        feeder, below = feeders.get(window.feeder), _below(plan, window.feeder)
        days = [line for line in window.when if _is_whole_day(line)]
        if feeder is None or window.import_limit_w is None or not below or not days:
            continue
        least_w = max(feeder.base_load_max_w, 0.0) + min(evse.min_charge_w for evse in below)
        if window.import_limit_w < least_w:
            found = f"{window.import_limit_w:.0f} W all day ({', '.join(days[:3])})"
            mend = "Nothing below it charges on such a day. Are hours missing, or is export_limit_w meant?"
            key = f"windows.{window.id}.import_limit_w"
            yield odd(file, key, found, f"{least_w:.0f} W, base load and one outlet at its least", mend)


def _is_whole_day(line: str) -> bool:
    """Hours that begin where they end last a day."""
    if not re.match(WINDOW, line):
        return False
    _, begin, end = hours_of(line)
    return end == begin or (begin, end) == ("00:00", "24:00")


def _room(feeder: Feeder, below: list[Evse], path: str, file: str) -> Iterator[Problem]:
    """Chargers that can never run under this limit, alone or all together."""
    room_w = feeder.import_limit_w - max(feeder.base_load_max_w, 0.0)
    never = [evse.id for evse in below if evse.min_charge_w > room_w]
    least_w = sum(evse.min_charge_w for evse in below)
    if never:
        mend = "Raise the limit if the cable allows, or they never charge while the base load is high."
        found = f"{room_w:.0f} W beside the base load, less than the least of {_some(never)}"
        yield odd(
            file,
            f"{path}.import_limit_w",
            found,
            f"room for {max(e.min_charge_w for e in below):.0f} W",
            mend,
        )
    elif least_w > room_w:
        mend = "Charging goes by turns when all are there."
        found = f"{room_w:.0f} W beside the base load, less than all {len(below)} outlets at their least"
        yield odd(file, f"{path}.import_limit_w", found, f"{least_w:.0f} W for all at once", mend)
    larger = [evse.id for evse in below if evse.max_charge_w > feeder.import_limit_w > 0.0]
    if larger and not never:
        found = f"{feeder.import_limit_w:.0f} W, less than one outlet may draw ({_some(larger)})"
        mend = "Is one of the two in another unit?"
        yield odd(
            file,
            f"{path}.import_limit_w",
            found,
            f"at least {max(e.max_charge_w for e in below):.0f} W",
            mend,
        )


def _never_reached(plan: SiteFile, feeder: Feeder, file: str) -> Iterator[Problem]:
    """A limit far above all that can flow: it guards nothing, or one number has a digit too many."""
    under = _with_children(plan, feeder.id)
    most_w = sum(max(each.base_load_max_w, 0.0) for each in plan.feeders if each.id in under)
    most_w += sum(evse.max_charge_w for evse in plan.evses if evse.feeder in under)
    if feeder.import_limit_w > NEVER_TIMES * most_w > 0.0:
        found = f"{feeder.import_limit_w:.0f} W, and at most {most_w:.0f} W can flow"
        mend = "It never acts. A digit too many, or one missing in base_load_max_w?"
        path = f"feeders.{feeder.id}.import_limit_w"
        yield odd(file, path, found, f"at most {NEVER_TIMES * most_w:.0f} W", mend)


def _with_children(plan: SiteFile, feeder: str) -> set[str]:
    """A feeder and all below it; a circle ends."""
    found = {feeder}
    while more := {each.id for each in plan.feeders if each.parent in found} - found:
        found |= more
    return found


def _direction(feeder: Feeder, path: str, file: str) -> Iterator[Problem]:
    if feeder.export_limit_w > feeder.import_limit_w > 0.0:
        found, usual = (
            f"{feeder.export_limit_w:.0f} W",
            f"at most import_limit_w = {feeder.import_limit_w:.0f} W",
        )
        yield odd(
            file, f"{path}.export_limit_w", found, usual, "A cable carries the same both ways. Swapped?"
        )
    current = feeder.current
    if current is not None and current.export_a > current.import_a > 0.0:
        found, usual = f"{current.export_a:g} A", f"at most import_a = {current.import_a:g} A"
        yield odd(
            file, f"{path}.current.export_a", found, usual, "A cable carries the same both ways. Swapped?"
        )
    if current is not None and current.base_load_a is not None and current.base_load_a > current.import_a:
        found, usual = f"{current.base_load_a:g} A", f"at most import_a = {current.import_a:g} A"
        yield odd(file, f"{path}.current.base_load_a", found, usual, "Nothing is left for chargers. Swapped?")
    if current is not None and ANY_W > current.imbalance_a > current.import_a > 0.0:
        found, usual = f"{current.imbalance_a:g} A", f"at most import_a = {current.import_a:g} A"
        yield odd(
            file, f"{path}.current.imbalance_a", found, usual, "It never acts. 1e12 stands for no limit."
        )


def _against_parent(feeder: Feeder, parent: Feeder, path: str, file: str) -> Iterator[Problem]:
    for name in ("import_limit_w", "export_limit_w"):
        own_w, above_w = getattr(feeder, name), getattr(parent, name)
        if own_w > above_w > 0.0:
            found, usual = f"{own_w:.0f} W", f"at most {parent.id}'s {above_w:.0f} W"
            yield odd(
                file, f"{path}.{name}", found, usual, "It never acts: the feeder above ends sooner. Swapped?"
            )


def _meters(plan: SiteFile, file: str) -> Iterator[Problem]:
    uses = Counter(feeder.meter for feeder in plan.feeders if feeder.meter)
    for meter, times in uses.items():
        if times > 1:
            names = ", ".join(feeder.id for feeder in plan.feeders if feeder.meter == meter)
            last = next(feeder.id for feeder in reversed(plan.feeders) if feeder.meter == meter)
            key = f"feeders.{last}.meter"
            yield odd(
                file,
                key,
                f'"{meter}" on {times} feeders ({names})',
                "one feeder a meter",
                "Which of them does it measure?",
            )
    for meter in plan.site.meters:
        if meter not in uses and meter != plan.grid.meter:
            mend = "It is not used. Name it at a feeder, or remove it."
            yield odd(file, f"site.meters.{meter}", "at no feeder and not grid.meter", "a use", mend)
    root = next((feeder for feeder in plan.feeders if not feeder.parent), None)
    owner = next((feeder for feeder in plan.feeders if feeder.meter == plan.grid.meter), None)
    if plan.grid.meter and root is not None and owner is not None and owner is not root:
        found = f'"{plan.grid.meter}", which is the meter of {owner.id} below {root.id}'
        yield odd(
            file,
            "grid.meter",
            found,
            f"the meter of {root.id}, the connection point",
            "Is it the right meter?",
        )


def _below(plan: SiteFile, feeder: str) -> list[Evse]:
    parents = {each.id: each.parent for each in plan.feeders}

    def path(step: str) -> list[str]:
        steps = [step]
        while parents.get(steps[-1]) and parents[steps[-1]] not in steps:
            steps.append(parents[steps[-1]])
        return steps

    return [evse for evse in plan.evses if feeder in path(evse.feeder)]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def falls(values: list[float]) -> bool:
    """Whether no value is above the one before."""
    return all(after <= before for before, after in pairwise(values))
