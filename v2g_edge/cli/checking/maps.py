"""Register maps that the devices of a site file name: there, whole, and for that kind of device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from v2g_edge.cli.checking.raw import Table, host_table, number, tables, text
from v2g_edge.config import Problem
from v2g_edge.config.hints import near
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.field.modbus.contact import FUNCTIONS
from v2g_edge.field.modbus.map_parser import available_maps, load_map
from v2g_edge.field.modbus.register_map import MapError
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.settings import HostSettings, ModbusDevice

ROLES: Final = frozenset({"meter", "contact", "temperature", "charger", "contactor"})
SUNSPEC: Final[frozenset[str]] = frozenset({"meter", "charger"})
"""Kinds of device that can describe themselves."""


def folder_of(document: Table) -> Path:
    """The site's own maps."""
    return Path(text(host_table(document), "state_dir", HostSettings().state_dir)) / "maps"


def map_problems(document: Table, file: str) -> Iterator[Problem]:
    """One problem for each thing that is wrong with the map of a device."""
    folder = folder_of(document)
    there = available_maps(folder)
    meters: dict[tuple[str, float], str] = {}
    for path, device in tables(document, "devices"):
        role, name = text(device, "role"), text(device, "map")
        if not name or role not in ROLES:
            continue
        yield from _map(path, name, role, there, folder, file)
        if name in there and role != "contact":
            yield from _pace(path, device, folder, file)
        if role == "charger" and name in there:
            yield from _temperature(document, path, device, folder, file)
        place = (text(device, "line"), number(device, "unit", 1))
        other = meters.setdefault(place, path) if role == "meter" else path
        if other != path:
            mend = "Two meters cannot share a unit: correct line or unit of one of them."
            yield Problem(
                file, f"{path}.unit", f"{place[1]:g} on {place[0]}, as {other}", "a unit for each meter", mend
            )


def _map(
    path: str, name: str, role: str, there: dict[str, Path], folder: Path, file: str
) -> Iterator[Problem]:
    key, found = f"{path}.map", f'"{name}"'
    if role == "contact":
        if name not in FUNCTIONS:
            yield Problem(
                file, key, found, " or ".join(f'"{each}"' for each in FUNCTIONS), _meant(name, FUNCTIONS)
            )
        return
    if name == "sunspec":
        if role not in SUNSPEC:
            yield Problem(
                file,
                key,
                f"{found} for a {role}",
                "a map of that kind",
                "SunSpec has meters and chargers only.",
            )
        return
    if name not in there:
        allowed = f"a map that ships, or a file of {folder}: {', '.join(sorted(there))}"
        yield Problem(file, key, found, allowed, _meant(name, there))
        return
    try:
        layout = load_map(name, folder)
    except MapError as error:
        for problem in error.problems:
            yield Problem(file, key, f"{found}: {problem}", "a whole map (docs/modbus.md)", "Mend the map.")
        return
    if layout.kind != role:
        mend = f'Write role = "{layout.kind}", or take another map.'
        yield Problem(file, key, f"{found}, a map for a {layout.kind}", f"a map for a {role}", mend)


def _pace(path: str, device: Table, folder: Path, file: str) -> Iterator[Problem]:
    try:
        least_s = load_map(text(device, "map"), folder).least_poll_s
    except MapError:
        return
    poll_s = number(device, "poll_s", ModbusDevice("", "", "meter", "", "").poll_s)
    if poll_s < least_s:
        mend = f"The device does not answer faster: write poll_s = {least_s:g}."
        yield Problem(file, f"{path}.poll_s", f"{poll_s:g} s", f"{least_s:g} s or more with this map", mend)


def _temperature(document: Table, path: str, device: Table, folder: Path, file: str) -> Iterator[Problem]:
    """A vehicle with limits of its pack's temperature, at a charger that never tells it: such a vehicle is
    held at the fallback.
    """
    vehicle = next((v for _, v in tables(document, "vehicles") if v.get("id") == device.get("vehicle")), {})
    kind = next((k for _, k in tables(document, "vehicle_types") if k.get("id") == vehicle.get("type")), {})
    tells = any(text(each, "mqtt_host") or each.get("port") for _, each in tables(document, "telematics"))
    if tells or number(kind, "pack_max_c", ANY_W) >= ANY_W:
        return
    try:
        layout = load_map(text(device, "map"), folder)
    except MapError:
        return
    if any(field.name == "pack_c" for block in layout.blocks for field in block.fields):
        return
    found = f'"{text(device, "vehicle")}", of a type with pack_max_c, at a map without pack_c'
    mend = "Its pack counts as too warm: it charges at its fallback. Give it a type with -1e12 and 1e12."
    yield odd(file, f"{path}.vehicle", found, "a type without limits of temperature", mend)


def _meant(name: str, names: dict[str, Path] | dict[str, int]) -> str:
    meant = near(name, names, 0.5)
    return f'Did you mean "{meant}"?' if meant else "Name a map; docs/modbus.md says how to write one."
