"""What a person may ask about: outlets, vehicles, stations, feeders, whatever the case of the letters;
else what was meant.
"""

import difflib
from typing import Literal, NamedTuple

from v2g_edge.model.site import Site, VehicleIds
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.answer_context import Beside

Kind = Literal["outlet", "vehicle", "station", "feeder"]


class Named(NamedTuple):
    """``outlets`` are places in ``Site.evses``; none for a vehicle that is not plugged in."""

    kind: Kind
    name: str
    outlets: tuple[int, ...]


def find(site: Site, snapshot: Snapshot, beside: Beside, asked: str) -> Named:
    """The vehicle, outlet or station that is meant. KeyError with a sentence for an unknown name."""
    names = everybody(site, snapshot, beside)
    found = next((each for each in names if each.name == asked), None)
    found = found or next((each for each in names if each.name.lower() == asked.strip().lower()), None)
    if found is None and (ours := VehicleIds(site.vehicles).get(asked)):
        found = next(each for each in names if (each.kind, each.name) == ("vehicle", ours))
    if found is not None:
        return found
    known = {each.name.lower(): each.name for each in names}
    close = difflib.get_close_matches(asked.lower(), known, 3, 0.6)
    if close:
        meant = " or ".join(known[each] for each in close)
        raise KeyError(f"nothing here is called {asked!r}; did you mean {meant}?")
    outlets = ", ".join(evse.id for evse in site.evses[:12]) + (" …" if len(site.evses) > 12 else "")
    raise KeyError(
        f"nothing here is called {asked!r}; there are the outlets {outlets}, their vehicles, stations and"
        " feeders"
    )


def everybody(site: Site, snapshot: Snapshot, beside: Beside) -> list[Named]:
    """All that has a name, outlets first: a name that two things share is the outlet's."""
    ids = {evse.id: index for index, evse in enumerate(site.evses)}
    names = [Named("outlet", evse.id, (index,)) for index, evse in enumerate(site.evses)]
    there = {state.vehicle.vehicle: index for index, state in enumerate(snapshot.evses) if state.vehicle}
    vehicles = dict.fromkeys([*there, *(vehicle.id for vehicle in site.vehicles)])
    names += [Named("vehicle", name, (there[name],) if name in there else ()) for name in vehicles if name]
    for station, outlets in beside.stations.items():
        names.append(Named("station", station, tuple(ids[outlet] for outlet in outlets if outlet in ids)))
    for feeder in site.feeders:
        below = tuple(
            index for index, evse in enumerate(site.evses) if _hangs_on(site, evse.feeder, feeder.id)
        )
        names.append(Named("feeder", feeder.id, below))
    return names


def _hangs_on(site: Site, node: str, feeder: str) -> bool:
    parents = {each.id: each.parent for each in site.feeders}
    while node and node != feeder:
        node = parents[node]
    return node == feeder
