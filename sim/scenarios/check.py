"""What cannot be played, found before it is: names that no device has, stays that no vehicle could make, a
depot that never fits.

Every problem names its place in the scenario, what was found and what is allowed.
"""

from collections.abc import Iterator

from sim.scenarios.fault import Fault, targets_of
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit


class BadWorld(ValueError):  # noqa: N818 - a noun of its own, as BadScenario is
    """The scenario cannot be played; the message lists all problems."""


def check(scenario: Scenario) -> Scenario:
    """Give back a scenario that can be played; ``BadWorld`` names every problem of one that cannot."""
    problems = [*_faults(scenario), *_visits(scenario), *_loads(scenario)]
    if problems:
        raise BadWorld(f"{scenario.name}: " + "; ".join(problems))
    return scenario


def _faults(scenario: Scenario) -> Iterator[str]:
    stations = [station.identity for station in scenario.stations]
    evses = [evse.id for evse in scenario.site.evses]
    feeders = [feeder.id for feeder in scenario.site.feeders]
    for n, fault in enumerate(scenario.faults):
        allowed = targets_of(fault.kind, stations, evses, feeders)
        if fault.target not in allowed:
            yield f"faults[{n}].target is {fault.target!r}, for {fault.kind} allowed are {', '.join(allowed)}"
        if not fault.duration_s > 0.0:
            yield f"faults[{n}].duration_s is {fault.duration_s:g}, it must be above 0"
    for fault, other in _overlaps(scenario.faults):
        yield (
            f"two faults {fault.kind} at {fault.target} overlap (the second begins at"
            f" {other.start_wall_s:.0f}): make them one"
        )


def _overlaps(faults: tuple[Fault, ...]) -> Iterator[tuple[Fault, Fault]]:
    last: dict[tuple[str, str], Fault] = {}
    for fault in sorted(faults, key=lambda each: each.start_wall_s):
        before = last.get((fault.kind, fault.target))
        if before is not None and fault.start_wall_s < before.end_wall_s:
            yield before, fault
        last[fault.kind, fault.target] = fault


def _visits(scenario: Scenario) -> Iterator[str]:
    evses, vehicles = (
        {evse.id for evse in scenario.site.evses},
        {vehicle.id for vehicle in scenario.site.vehicles},
    )
    met: set[str] = set()
    for n, visit in enumerate(scenario.visits):
        place = f"visits[{n}]"
        if visit.evse not in evses:
            yield f"{place}.evse is {visit.evse!r}, the site has {', '.join(sorted(evses))}"
        if visit.vehicle not in vehicles:
            yield f"{place}.vehicle is {visit.vehicle!r}, the site file does not know it"
        if visit.gone_wall_s <= visit.arrives_wall_s:
            yield f"{place}: {visit.vehicle} leaves {visit.evse} before it arrives"
        if visit.soc_pct is not None and not 0.0 <= visit.soc_pct <= 100.0:
            yield f"{place}.soc_pct is {visit.soc_pct:g}, allowed are 0-100"
        if visit.soc_pct is None and not visit.route_pct and visit.vehicle not in met:
            yield f"{place}: nothing says with which charge {visit.vehicle} arrives; give soc_pct"
        met.add(visit.vehicle)
    for what in ("evse", "vehicle"):
        yield from _together(scenario.visits, what)


def _together(visits: tuple[Visit, ...], what: str) -> Iterator[str]:
    last: dict[str, Visit] = {}
    for visit in sorted(visits, key=lambda each: each.arrives_wall_s):
        name: str = getattr(visit, what)
        before = last.get(name)
        if before is not None and visit.arrives_wall_s < before.gone_wall_s:
            yield (
                f"{name} is taken twice: {before.vehicle} stays at {before.evse} as {visit.vehicle} comes to"
                f" {visit.evse}"
            )
        last[name] = visit


def _loads(scenario: Scenario) -> Iterator[str]:
    feeders = {feeder.id: feeder for feeder in scenario.site.feeders}
    for n, load in enumerate(scenario.loads):
        feeder = feeders.get(load.feeder)
        if feeder is None:
            yield f"loads[{n}].feeder is {load.feeder!r}, the site has {', '.join(sorted(feeders))}"
            continue
        most_w = load.base_w + max(load.evening_w, 0.0) + abs(load.restless_w)
        if most_w > feeder.import_limit_w:
            yield (
                f"loads[{n}]: up to {most_w:.0f} W at {load.feeder}, which carries"
                f" {feeder.import_limit_w:.0f} W"
            )
