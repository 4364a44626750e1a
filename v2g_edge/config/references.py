"""What must fit together inside the depot: names, the feeder tree, chargers, vehicles."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from v2g_edge.config.hints import near
from v2g_edge.config.layout import SiteFile
from v2g_edge.config.problems import Problem
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Evse, Feeder, FrequencyResponse, SafetySettings, VehicleType, folded

LEASE_TICKS = 3
"""A lease is renewed at a third of it, so it must last three ticks."""


def check_references(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every name that is used twice or does not exist, and every table that contradicts itself."""
    yield from _duplicates(plan, file)
    yield from _names(plan, file)
    yield from check_tree(plan.feeders, file)
    for feeder in plan.feeders:
        yield from _feeder(feeder, file)
    for evse in plan.evses:
        yield from _evse(evse, file)
    for kind in plan.vehicle_types:
        yield from _vehicle_type(kind, file)
    yield from _response(plan.response, file)
    yield from _safety(plan.safety, plan.host.tick_s, file)
    yield from _zone(plan.site.timezone, file)


def twice(table: str, ids: Iterable[str], file: str, mend: str = "Give each its own.") -> Iterator[Problem]:
    """One problem for each id that more than one entry has."""
    for each, times in Counter(ids).items():
        if times > 1:
            yield Problem(file, f"{table}.{each}", f"{times} entries with this id", "one entry an id", mend)


def unknown(key: str, found: str, known: Iterable[str], what: str, file: str) -> Iterator[Problem]:
    """A problem when ``found`` is not among ``known``."""
    names = sorted(set(known))
    if found not in names:
        allowed = f"{what}: {', '.join(names[:20]) or 'there are none'}{' …' if len(names) > 20 else ''}"
        meant = near(found, names)
        mend = f'Did you mean "{meant}"?' if meant else "Correct the name, or add what it names."
        yield Problem(file, key, f'"{found}"', allowed, mend)


def _duplicates(plan: SiteFile, file: str) -> Iterator[Problem]:
    yield from twice("feeders", (each.id for each in plan.feeders), file)
    yield from twice("evses", (each.id for each in plan.evses), file)
    yield from twice("vehicle_types", (each.id for each in plan.vehicle_types), file)
    yield from twice("vehicles", (each.id for each in plan.vehicles), file)
    yield from twice(
        "stations", (each.identity for each in plan.stations), file, "Two stations cannot dial in as one."
    )
    yield from _cards(plan, file)
    yield from twice("lines", (each.id for each in plan.lines), file)
    yield from twice("devices", (each.id for each in plan.devices), file)
    for table in ("meters", "contacts", "temperatures"):
        yield from twice(f"site.{table}", getattr(plan.site, table), file)


def _cards(plan: SiteFile, file: str) -> Iterator[Problem]:
    """A card or name stands for one vehicle."""
    owners = {folded(vehicle.id): vehicle.id for vehicle in plan.vehicles}
    for vehicle in plan.vehicles:
        for told in vehicle.other_ids:
            owner = owners.setdefault(folded(told), vehicle.id)
            if owner != vehicle.id:
                mend = "At which of the two does it stand?" if told != owner else "It is that one's own id."
                found = f'"{told}", which is {owner} too'
                yield Problem(file, f"vehicles.{vehicle.id}.other_ids", found, "one vehicle an id", mend)


def _names(plan: SiteFile, file: str) -> Iterator[Problem]:
    site = plan.site
    if plan.grid.relay:
        yield from unknown("grid.relay", plan.grid.relay, site.contacts, "a contact of site.contacts", file)
    if plan.grid.meter:
        yield from unknown("grid.meter", plan.grid.meter, site.meters, "a meter of site.meters", file)
    for feeder in plan.feeders:
        if feeder.meter:
            yield from unknown(
                f"feeders.{feeder.id}.meter", feeder.meter, site.meters, "a meter of site.meters", file
            )
    for evse in plan.evses:
        yield from unknown(
            f"evses.{evse.id}.feeder", evse.feeder, (each.id for each in plan.feeders), "a feeder", file
        )
        if evse.cooling_loop:
            key = f"evses.{evse.id}.cooling_loop"
            yield from unknown(
                key, evse.cooling_loop, site.temperatures, "a sensor of site.temperatures", file
            )
    for vehicle in plan.vehicles:
        kinds = (each.id for each in plan.vehicle_types)
        yield from unknown(f"vehicles.{vehicle.id}.type", vehicle.type, kinds, "a vehicle type", file)
    yield from _targets(plan, file)


def _targets(plan: SiteFile, file: str) -> Iterator[Problem]:
    """A target that charging never reaches would count as a missed departure every day."""
    most_pct = {
        kind.id: kind.max_soc_pct for kind in plan.vehicle_types if kind.min_soc_pct < kind.max_soc_pct
    }
    capacity_wh = {kind.id: kind.capacity_wh for kind in plan.vehicle_types}
    for vehicle in plan.vehicles:
        limit_pct = most_pct.get(vehicle.type, 100.0)
        leaves = vehicle.departs or vehicle.departures
        if vehicle.stationary and (leaves or vehicle.target_wh or vehicle.target_soc_pct != 100.0):
            key, found = f"vehicles.{vehicle.id}.stationary", "a departure or a target beside it"
            yield Problem(
                file, key, found, "neither", "Its window is min_soc_pct to max_soc_pct of its type."
            )
        if leaves and not vehicle.target_wh and vehicle.target_soc_pct > limit_pct:
            key, found = f"vehicles.{vehicle.id}.target_soc_pct", f"{vehicle.target_soc_pct:g} %"
            allowed = f"at most max_soc_pct = {limit_pct:g} % of {vehicle.type}"
            yield Problem(file, key, found, allowed, "Charging ends there.")
        most_wh = capacity_wh.get(vehicle.type, ANY_W) * limit_pct / 100.0
        if vehicle.target_wh > most_wh:
            key, found = f"vehicles.{vehicle.id}.target_wh", f"{vehicle.target_wh:g} Wh"
            allowed = f"at most {most_wh:g} Wh, the max_soc_pct of {vehicle.type}"
            yield Problem(file, key, found, allowed, "Charging ends there.")
        if vehicle.target_wh > 0.0 and vehicle.target_soc_pct != 100.0:
            key, found = f"vehicles.{vehicle.id}.target_wh", "a target in Wh beside target_soc_pct"
            yield Problem(file, key, found, "one of the two", "Remove the other.")


def check_tree(feeders: tuple[Feeder, ...], file: str) -> Iterator[Problem]:
    """One root, every parent there, no cycle."""
    parents = {feeder.id: feeder.parent for feeder in feeders}
    roots = [feeder.id for feeder in feeders if not feeder.parent]
    if len(roots) != 1:
        found = f"{len(roots)} roots ({', '.join(roots)})" if roots else "no root"
        yield Problem(
            file, "feeders", found, 'one feeder with parent = ""', "The root is the grid connection."
        )
    for feeder in feeders:
        key = f"feeders.{feeder.id}.parent"
        if feeder.parent:
            yield from unknown(key, feeder.parent, parents, "a feeder", file)
        step, seen = feeder.parent, {feeder.id}
        while step and step not in seen:
            seen.add(step)
            step = parents.get(step, "")
        if step == feeder.id:
            found = f'"{feeder.parent}", which hangs on {feeder.id} itself'
            yield Problem(file, key, found, "a tree without a cycle", "Say on which node it really hangs.")


def _feeder(feeder: Feeder, file: str) -> Iterator[Problem]:
    if feeder.base_load_min_w > feeder.base_load_max_w:
        key, found = f"feeders.{feeder.id}.base_load_min_w", f"{feeder.base_load_min_w:g} W"
        yield Problem(
            file, key, found, f"at most base_load_max_w = {feeder.base_load_max_w:g} W", "Swap them?"
        )


def _evse(evse: Evse, file: str) -> Iterator[Problem]:
    path = f"evses.{evse.id}"
    if evse.min_charge_w > evse.max_charge_w:
        yield Problem(
            file,
            f"{path}.min_charge_w",
            f"{evse.min_charge_w:g} W",
            f"at most max_charge_w = {evse.max_charge_w:g} W",
            "Swap them?",
        )
    if evse.min_discharge_w > evse.max_discharge_w:
        allowed = f"at most max_discharge_w = {evse.max_discharge_w:g} W"
        yield Problem(file, f"{path}.min_discharge_w", f"{evse.min_discharge_w:g} W", allowed, "Swap them?")
    if evse.fallback_w and not evse.min_charge_w <= evse.fallback_w <= evse.max_charge_w:
        allowed = f"0, or min_charge_w = {evse.min_charge_w:g} W to max_charge_w = {evse.max_charge_w:g} W"
        yield Problem(
            file,
            f"{path}.fallback_w",
            f"{evse.fallback_w:g} W",
            allowed,
            "The charger can draw nothing else.",
        )
    if evse.max_discharge_w > 0.0:
        yield from _discharge(evse, path, file)
    if evse.droop_w:
        yield from _droop(evse, path, file)
    if evse.dead_man == "contactor" and not evse.contactor:
        yield Problem(
            file, f"{path}.contactor", '""', 'the contactor that dead_man = "contactor" means', "Name it."
        )


def _droop(evse: Evse, path: str, file: str) -> Iterator[Problem]:
    """Only OCPP 2.1 has an operation mode in which the charger follows the frequency by itself."""
    if evse.discharge_by != "setpoint":
        found, mend = (
            f'{evse.droop_w:g} W with discharge_by = "{evse.discharge_by}"',
            "Only OCPP 2.1 takes a droop; else set 0.",
        )
        yield Problem(file, f"{path}.droop_w", found, '0 without discharge_by = "setpoint"', mend)
    most_w = min(evse.max_charge_w, evse.max_discharge_w)
    if evse.droop_w > most_w:
        allowed = f"at most {most_w:g} W, the smaller of max_charge_w and max_discharge_w"
        yield Problem(file, f"{path}.droop_w", f"{evse.droop_w:g} W", allowed, "A response goes both ways.")


def _response(response: FrequencyResponse, file: str) -> Iterator[Problem]:
    if response.full_hz <= response.deadband_hz:
        allowed = f"above deadband_hz = {response.deadband_hz:g} Hz"
        yield Problem(file, "response.full_hz", f"{response.full_hz:g} Hz", allowed, "Swap them?")


def _discharge(evse: Evse, path: str, file: str) -> Iterator[Problem]:
    """Without a dead-man no part ends the discharge when the daemon falls silent."""
    found = f"{evse.max_discharge_w:g} W"
    if evse.dead_man == "none":
        mend = "Commission a dead-man, or set max_discharge_w = 0."
        yield Problem(
            file, f"{path}.max_discharge_w", f'{found} with dead_man = "none"', "0 without a dead-man", mend
        )
    if evse.discharge_by == "none":
        mend = "Say how discharge is commanded, or set max_discharge_w = 0."
        yield Problem(
            file,
            f"{path}.max_discharge_w",
            f'{found} with discharge_by = "none"',
            '0 with discharge_by = "none"',
            mend,
        )


def _vehicle_type(kind: VehicleType, file: str) -> Iterator[Problem]:
    path = f"vehicle_types.{kind.id}"
    for low, high in (
        ("min_soc_pct", "max_soc_pct"),
        ("pack_min_c", "pack_max_c"),
        ("derate_from_c", "pack_max_c"),
    ):
        least, most = getattr(kind, low), getattr(kind, high)
        if least >= most:
            mend = (
                "Swap them?"
                if least > most
                else "Lower it: any number below will do where the other means no limit."
            )
            yield Problem(file, f"{path}.{low}", f"{least:g}", f"below {high} = {most:g}", mend)
    socs = [point.soc_pct for point in kind.charge_curve]
    if any(after <= before for before, after in pairwise(socs)):
        found = ", ".join(f"{soc:g}" for soc in socs)
        yield Problem(
            file,
            f"{path}.charge_curve",
            f"SoC {found}",
            "points of rising SoC",
            "Sort them; one point an SoC.",
        )
    if not any(point.power_w > 0.0 for point in kind.charge_curve):
        yield Problem(
            file,
            f"{path}.charge_curve",
            "no power at any SoC",
            "some power above 0",
            "Such a vehicle never charges.",
        )


def _safety(safety: SafetySettings, tick_s: float, file: str) -> Iterator[Problem]:
    least_s = LEASE_TICKS * tick_s
    if safety.lease_s < least_s:
        allowed = f"at least {LEASE_TICKS} × host.tick_s = {least_s:g} s"
        yield Problem(
            file,
            "safety.lease_s",
            f"{safety.lease_s:g} s",
            allowed,
            "Leases would run out between two renewals.",
        )
    if safety.late_after_s < 2.0 * tick_s:
        allowed = f"at least 2 × host.tick_s = {2.0 * tick_s:g} s"
        yield Problem(
            file,
            "safety.late_after_s",
            f"{safety.late_after_s:g} s",
            allowed,
            "Each tick would count as late.",
        )
    if safety.cooling_derate_c >= safety.cooling_max_c:
        allowed = f"below cooling_max_c = {safety.cooling_max_c:g} °C"
        yield Problem(
            file, "safety.cooling_derate_c", f"{safety.cooling_derate_c:g} °C", allowed, "Swap them?"
        )


def _zone(name: str, file: str) -> Iterator[Problem]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        meant = near(name, available_timezones(), 0.75) or "Europe/Amsterdam"
        yield Problem(
            file, "site.timezone", f'"{name}"', "a name of the tz database", f'Write it like "{meant}".'
        )
