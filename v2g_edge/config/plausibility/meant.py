"""Addresses that are none, windows that narrow nothing, rights that cannot be used, one device called two."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem

NUMBERS: Final = re.compile(r"[0-9.]+")
"""What looks like an IPv4 address is meant as one."""


def odd_meanings(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each of them, wherever it stands."""
    yield from _hosts(plan, file)
    yield from _windows(plan, file)
    yield from _units(plan, file)
    yield from _holidays(plan, file)
    yield from _probes(plan, file)
    if plan.cloud.username and not plan.cloud.password_file:
        mend = "Most brokers want both."
        yield odd(file, "cloud.password_file", '""', "a file with the password of cloud.username", mend)
    if plan.grid.export_allowed and not plan.grid.meter:
        mend = "Name it, or set export_allowed = false."
        yield odd(file, "grid.export_allowed", 'true, and grid.meter = ""', "a meter", mend)
    if "://" in plan.prices.file:
        mend = "For a price service name it in prices.feed; prices.url is another address of it."
        yield odd(file, "prices.file", f'"{plan.prices.file}"', "a path of this machine", mend)


def _holidays(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Lines for holidays where no day is one."""
    lines = [line for vehicle in plan.vehicles for line in vehicle.departures]
    lines += [line for window in plan.windows for line in window.when]
    lines += [line for band in plan.time_of_use for line in band.when]
    if not plan.site.holidays and any(line.startswith("PH ") for line in lines):
        found, mend = "none, and there are lines for PH", 'Write them like "2026-12-25"; now no day is one.'
        yield odd(file, "site.holidays", found, "the holidays of this year and the next", mend)


def _probes(plan: SiteFile, file: str) -> Iterator[Problem]:
    """A sensor of a cooling loop that no outlet names bounds nothing."""
    used = {evse.cooling_loop for evse in plan.evses}
    for name in plan.site.temperatures:
        if name not in used:
            mend = "Name it at the outlets that it cools (cooling_loop), or remove it."
            yield odd(file, "site.temperatures", f'"{name}", which no outlet names', "a loop in use", mend)


def _hosts(plan: SiteFile, file: str) -> Iterator[Problem]:
    hosts = {f"lines.{line.id}.host": line.host for line in plan.lines}
    hosts |= {"cloud.host": plan.cloud.host, "fleet.host": plan.fleet.host}
    for key, host in hosts.items():
        if not NUMBERS.fullmatch(host):
            continue
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            mend = "Four numbers, each 0 to 255."
            yield odd(file, key, f'"{host}", which is no IPv4 address', "an address or a name", mend)


def _windows(plan: SiteFile, file: str) -> Iterator[Problem]:
    feeders = {feeder.id: feeder for feeder in plan.feeders}
    kinds = {kind.id: kind for kind in plan.vehicle_types}
    mend = "A window only narrows: lower it, or remove it."
    for window in plan.windows:
        feeder, kind = feeders.get(window.feeder), kinds.get(window.vehicle_type)
        for name in ("import_limit_w", "export_limit_w") if feeder is not None else ():
            limit_w, own_w = getattr(window, name), getattr(feeder, name)
            if limit_w is not None and limit_w >= own_w:
                key = f"windows.{window.id}.{name}"
                found = f"{limit_w:g} W, and {window.feeder} has {own_w:g} W always"
                yield odd(file, key, found, "less than the feeder's own", mend)
        if kind is not None and window.min_soc_pct is not None and window.min_soc_pct <= kind.min_soc_pct:
            found = f"{window.min_soc_pct:g} %, and {kind.id} keeps {kind.min_soc_pct:g} % always"
            yield odd(file, f"windows.{window.id}.min_soc_pct", found, "more than the type's own", mend)


def _units(plan: SiteFile, file: str) -> Iterator[Problem]:
    """A module of contacts with the unit of something else. Two meters at one unit are an error already."""
    first: dict[tuple[str, int], tuple[str, str, bool]] = {}
    for device in plan.devices:
        is_module = device.role in {"contact", "contactor"}
        place = (device.line, device.unit)
        other, other_map, other_is_module = first.setdefault(place, (device.id, device.map, is_module))
        if other == device.id or is_module == other_is_module or device.map == other_map:
            continue
        found = f"{device.unit} on {device.line}, which is {other} ({other_map}) too"
        mend = "Two devices on one line have two unit ids."
        yield odd(file, f"devices.{device.id}.unit", found, "a unit id of its own", mend)
