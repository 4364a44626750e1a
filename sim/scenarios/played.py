"""Scenarios as data: a base, small patches, and what must come of it, in one TOML file each.

    about = "what happens, in a sentence"
    thread = "evcc 14248"                 # where such a thing was seen
    base = "night"                        # or "mixed"
    seed = 5
    chargers = 2
    ocpp = "1.6"                          # what all stations speak
    date = "2026-03-29"                   # another day than the base's
    from = "18:00"                        # local time at which it begins
    minutes = 12
    whole = true                          # instead: the base's own stays, from its beginning to its end
    way = "pure"                          # on the pure cycle at one tick a minute, not with protocols
    # patches of the base's stays, by outlet; times in minutes from the beginning
    one_phase = ["BUS02"]                 # vehicles that use the first phase of an outlet alone
    loads = []                            # buildings, in place of the base's
    [[visits]]
    evse = "E01"
    arrives = 0.2
    departs = 180
    soc_pct = 50
    target_soc_pct = 80
    [[faults]]                            # times in seconds from the beginning
    kind = "meter_silent"
    target = "grid_meter"
    at_s = 120
    for_s = 240
    [[disturbances]]
    at_s = 300
    for_s = 40
    relay_open = true
    [safety]                              # keys of the site's safety settings
    lease_s = 30
    [feeders.yard]                        # keys of a feeder
    import_limit_w = 60000
    [evses.E01]                           # keys of an outlet; "*" for all
    fallback_w = 4140
    [feeders.yard.current]                # limits of a feeder by phase
    import_a = 63
    export_a = 63
    imbalance_a = 20
    [expect]
    told = ["meter_silent"]               # kinds of events that must come
    untold = ["disobedient"]              # and that must not
    violations = []
    lost = 0                              # departures that the oracle calls possible
    least_charged_wh = 1000
    most_held_pct = 5.0

An unknown key is refused with its place.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sim.scenarios.check import check
from sim.scenarios.fault import Fault, FaultKind
from sim.scenarios.mixed import mixed
from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Scenario, Version, speaking
from sim.scenarios.visit import Visit
from sim.world.depot import Disturbance, Load

MINUTE = 60.0


class FaultEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault, seconds from the beginning."""

    kind: FaultKind
    target: str
    at_s: float
    for_s: float
    value: float = 0.0


class DisturbanceEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A disturbance of the grid, seconds from the beginning."""

    at_s: float
    for_s: float
    relay_open: bool = False
    frequency_hz: float | None = None
    voltage_pu: float | None = None


class VisitEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """What is different about the stay at an outlet, minutes from the beginning. ``again``: one more stay,
    not a patch.
    """

    evse: str
    vehicle: str = ""
    arrives: float | None = None
    departs: float | None = None
    leaves: float | None = None
    soc_pct: float | None = None
    target_soc_pct: float | None = None
    shown_as: str = ""
    again: bool = False


class Expected(Struct, frozen=True, forbid_unknown_fields=True):
    """What must come of it. ``lost``: departures that the oracle calls possible; energies of all vehicles
    together.
    """

    told: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    lost: int = 0
    met: int | None = None
    least_charged_wh: float = 0.0
    least_discharged_wh: float = 0.0
    most_discharged_wh: float | None = None
    most_held_pct: float | None = None


class Entry(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One file."""

    about: str
    expect: Expected
    thread: str = ""
    base: Literal["night", "mixed"] = "night"
    seed: int = 5
    chargers: int = 2
    ocpp: Version | None = None
    date: str = ""
    from_: str = "18:00"
    minutes: float = 12.0
    whole: bool = False
    way: Literal["protocol", "pure"] = "protocol"
    prices: bool = True
    visits: tuple[VisitEntry, ...] = ()
    faults: tuple[FaultEntry, ...] = ()
    disturbances: tuple[DisturbanceEntry, ...] = ()
    safety: dict[str, Any] = {}
    feeders: dict[str, dict[str, Any]] = {}
    evses: dict[str, dict[str, Any]] = {}
    vehicles: dict[str, dict[str, Any]] = {}
    vehicle_types: dict[str, dict[str, Any]] = {}
    one_phase: tuple[str, ...] = ()
    loads: tuple[Load, ...] | None = None
    meter_interval_s: float | None = None


def read_entry(text: str, file: str) -> Entry:
    """The entry in a TOML text; ``ValueError`` names the file, the key and what is wrong."""
    try:
        return msgspec.toml.decode(text, type=Entry)
    except msgspec.MsgspecError as fault:
        raise ValueError(f"{file}: {fault}") from fault


def scenario_of(entry: Entry, name: str) -> Scenario:
    """The scenario that an entry describes; ``ValueError`` for one that cannot be played."""
    base = (
        mixed(entry.seed, quiet=True)
        if entry.base == "mixed"
        else night(entry.seed, chargers=entry.chargers, quiet=True)
    )
    if entry.ocpp is not None:
        base = speaking(base, entry.ocpp)
    start_wall_s = base.start_wall_s if entry.whole else _start_wall_s(entry, base)
    scenario = replace(
        base,
        name=name,
        start_wall_s=start_wall_s,
        duration_s=base.duration_s if entry.whole else entry.minutes * MINUTE,
        prices=base.prices if entry.prices else (),
        visits=_visits(entry, base.visits, start_wall_s, name),
        faults=tuple(Fault(f.kind, f.target, start_wall_s + f.at_s, f.for_s, f.value) for f in entry.faults),
        disturbances=tuple(
            Disturbance(start_wall_s + d.at_s, d.for_s, d.relay_open, d.frequency_hz, d.voltage_pu)
            for d in entry.disturbances
        ),
        site=_site(entry, base, name),
        loads=base.loads if entry.loads is None else entry.loads,
        one_phase=entry.one_phase,
    )
    if entry.meter_interval_s is not None:
        stations = tuple(
            replace(station, meter_interval_s=entry.meter_interval_s) for station in scenario.stations
        )
        scenario = replace(scenario, stations=stations)
    return check(scenario)


def _start_wall_s(entry: Entry, base: Scenario) -> float:
    hour, minute = (int(part) for part in entry.from_.split(":"))
    day = (
        datetime.fromisoformat(entry.date) if entry.date else datetime.fromtimestamp(base.start_wall_s, ZONE)
    )
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=ZONE).timestamp()


def read_played(path: Path) -> tuple[Scenario, Entry]:
    """The scenario and the entry of a file."""
    entry = read_entry(path.read_text(encoding="utf-8"), str(path))
    return scenario_of(entry, path.stem), entry


def _visits(entry: Entry, visits: tuple[Visit, ...], start_wall_s: float, name: str) -> tuple[Visit, ...]:
    """Each vehicle of the base is there from the first minute and leaves in the morning, unless the whole
    base is played or its entry says otherwise.
    """
    known = {
        visit.evse: visit
        if entry.whole
        else replace(
            visit,
            arrives_wall_s=start_wall_s + 5.0,
            departs_wall_s=max(visit.departs_wall_s, start_wall_s + 36_000.0),
        )
        for visit in visits
    }
    more: list[Visit] = []
    for patch in entry.visits:
        if patch.evse not in known:
            raise ValueError(f"{name}: visits.evse is {patch.evse!r}, allowed are {', '.join(sorted(known))}")
        times = {
            "arrives_wall_s": patch.arrives,
            "departs_wall_s": patch.departs,
            "leaves_wall_s": patch.leaves,
        }
        changes: dict[str, Any] = {
            key: start_wall_s + MINUTE * value for key, value in times.items() if value is not None
        }
        for key in ("soc_pct", "target_soc_pct"):
            if getattr(patch, key) is not None:
                changes[key] = getattr(patch, key)
        for key in ("vehicle", "shown_as"):
            if getattr(patch, key):
                changes[key] = getattr(patch, key)
        changed = replace(known[patch.evse], **changes)
        if patch.again:
            more.append(changed)
        else:
            known[patch.evse] = changed
    return (*known.values(), *more)


def _site(entry: Entry, base: Scenario, name: str) -> Any:
    site = replace(base.site, safety=_patched(base.site.safety, entry.safety, f"{name}: safety"))
    for part in ("feeders", "evses", "vehicles", "vehicle_types"):
        patches: dict[str, dict[str, Any]] = getattr(entry, part)
        ids = {each.id for each in getattr(site, part)}
        unknown = sorted(patches.keys() - ids - {"*"})
        if unknown:
            raise ValueError(
                f"{name}: {part}.{unknown[0]}: no such thing, allowed are {', '.join(sorted(ids))} and *"
            )
        changed = tuple(
            _patched(each, {**patches.get("*", {}), **patches.get(each.id, {})}, f"{name}: {part}.{each.id}")
            for each in getattr(site, part)
        )
        site = replace(site, **{part: changed})
    return site


def _patched(value: Any, changes: dict[str, Any], place: str) -> Any:
    known = set(type(value).__struct_fields__)
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise ValueError(f"{place}.{unknown[0]}: no such key, allowed are {', '.join(sorted(known))}")
    if not changes:
        return value
    kinds = get_type_hints(type(value))
    try:
        return replace(value, **{key: msgspec.convert(new, kinds[key]) for key, new in changes.items()})
    except msgspec.ValidationError as fault:
        raise ValueError(f"{place}: {fault}") from fault
