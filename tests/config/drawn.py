"""Single mistakes drawn from the shape of a site file: every key of every table, broken in each way that a
person breaks one.

Nobody chose them by what ``check`` is known to find: each kind is applied wherever it can be, at an entry
of its table that a seed draws.
"""

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomli

from v2g_edge.cli.checking.maps import map_problems
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.load import report_of
from v2g_edge.config.schema import key_of, part_of

REFERENCES: Final = {
    ("evses", "feeder"), ("feeders", "parent"), ("feeders", "meter"), ("vehicles", "type"),
    ("devices", "line"), ("devices", "target"), ("devices", "map"), ("devices", "vehicle"),
    ("grid", "relay"), ("grid", "meter"), ("grid", "code"), ("windows", "feeder"), ("outlets", "evse"),
    ("site", "timezone"),
}  # fmt: skip
"""Keys that name something that stands elsewhere, in this file or outside it."""
OTHER_UNIT: Final = {"W": 1e-3, "Wh": 1e-3, "%": 1e-2, "V": 1.732, "s": 1e3, "Hz": 1e-3}
"""What a value is multiplied by when its author thinks in kW, kWh, shares, phase to phase, ms, kHz."""
FREE: Final = {"name", "reserve_soc_pct"}
"""Keys of which any value may be meant: the depot's name, a reserve."""


class Mistake(NamedTuple):
    """One thing broken: how, where, and the whole document with it."""

    kind: str
    place: str
    document: dict[str, Any]


class Spot(NamedTuple):
    """A key that stands in a document: the way to its table, the table's name, the key and its unit."""

    way: tuple[int | str, ...]
    table: str
    name: str
    unit: str
    is_needed: bool


def read(path: Path) -> dict[str, Any]:
    """A site file as plain values."""
    return tomli.loads(path.read_text(encoding="utf-8"))


def keys(document: dict[str, Any]) -> frozenset[str]:
    """Every key that stands in a document, as "table.key"."""
    tables = {name: table if isinstance(table, list) else [table] for name, table in document.items()}
    return frozenset(
        f"{name}.{key}" for name, entries in tables.items() for entry in entries for key in entry
    )


def is_told(document: dict[str, Any]) -> bool:
    """Whether ``check`` refuses or warns, by the file alone."""
    return bool(report_of(document, [], "site.toml", "").problems) or any(map_problems(document, "site.toml"))


def is_same(document: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both mean the same depot: a key was left out whose default says what it said."""
    one, two = (report_of(each, [], "site.toml", "").settings for each in (document, other))
    return one is not None and one == two


def drawn(document: dict[str, Any], seed: int, but: frozenset[str] = frozenset()) -> Iterator[Mistake]:
    """Every kind at every key of every table, but those of ``but`` ("evses.feeder")."""
    dice = random.Random(seed)
    for spot in _spots(document, dice):
        if f"{spot.table}.{spot.name}" in but:
            continue
        place = ".".join(map(str, (*spot.way, spot.name)))
        for kind, broken in _values(spot, _at(document, spot.way)[spot.name], dice):
            yield Mistake(kind, place, _changed(document, spot, _set(spot.name, broken)))
        yield Mistake("misspelt key", place, _changed(document, spot, _rename(spot.name, dice)))
        without = _changed(document, spot, _drop(spot.name))
        if spot.is_needed or not is_same(document, without):
            yield Mistake("missing key", place, without)
        for other in _others(spot, _at(document, spot.way), dice):
            yield Mistake(
                "swapped keys", f"{place}, {other}", _changed(document, spot, _swap(spot.name, other))
            )
    for name, table in document.items():
        if isinstance(table, list) and len(table) > 1:
            broken = copy.deepcopy(document)
            one, other = dice.sample(broken[name], 2)
            key = next((key for key in ("id", "identity") if key in one), None)
            if key:
                other[key] = one[key]
                yield Mistake("duplicate id", f"{name}.{key}", broken)


def _spots(document: dict[str, Any], dice: random.Random) -> Iterator[Spot]:
    for field in keys_of(SiteFile):
        table = document.get(field.name)
        struct = part_of(field.type)
        if not table or struct is None:
            continue
        entries = table if isinstance(table, list) else [table]
        needed = {key.name for key in keys_of(struct) if key.required}
        for name in dict.fromkeys(key for entry in entries for key in entry):
            at = dice.choice([n for n, entry in enumerate(entries) if name in entry])
            way = (field.name, at) if isinstance(table, list) else (field.name,)
            yield Spot(way, field.name, name, key_of(struct, name).unit, name in needed)


def _values(spot: Spot, value: Any, dice: random.Random) -> Iterator[tuple[str, Any]]:
    """Each kind of wrong value that this one can have."""
    yield "wrong type", _of_another_type(value, dice)
    if isinstance(value, str) and value and (spot.table, spot.name) in REFERENCES:
        yield "unknown reference", f"{value}x"
        yield "unknown reference", value.swapcase()
    if not _is_number(value):
        return
    yield "out of range", 1e15
    if value and spot.unit:
        yield "a digit more", value * 10
        yield "a digit less", value / 10
    if value:
        yield "swapped sign", -value
        if spot.unit in OTHER_UNIT and spot.name not in FREE:
            yield "wrong unit", value * OTHER_UNIT[spot.unit]


def _of_another_type(value: Any, dice: random.Random) -> Any:
    if isinstance(value, str):
        return dice.choice([7, [value]])
    if isinstance(value, bool):
        return dice.choice(["yes", [value]])
    return dice.choice([str(value), {"": value} if isinstance(value, list) else [value]])


def _others(spot: Spot, table: dict[str, Any], dice: random.Random) -> list[str]:
    """A key of the same unit beside this one, with another number."""
    ending = spot.name.rpartition("_")[2]
    mine = table[spot.name]
    if not spot.unit or not _is_number(mine):
        return []
    beside = [
        name
        for name, value in table.items()
        if name.rpartition("_")[2] == ending and _is_number(value) and value != mine
    ]
    return [dice.choice(beside)] if beside else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _swap(one: str, other: str) -> Callable[[dict[str, Any]], Any]:
    return lambda table: table.update({one: table[other], other: table[one]})


def _at(document: Any, way: tuple[int | str, ...]) -> dict[str, Any]:
    for step in way:
        document = document[step]
    found: dict[str, Any] = document
    return found


def _changed(document: dict[str, Any], spot: Spot, change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    broken = copy.deepcopy(document)
    change(_at(broken, spot.way))
    return broken


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda table: table.update({name: value})


def _drop(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda table: table.pop(name)


def _rename(name: str, dice: random.Random) -> Callable[[dict[str, Any]], Any]:
    at = dice.randrange(len(name) - 1) if len(name) > 2 else 0
    wrong = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    wrong = wrong if wrong != name else f"{name}s"
    return lambda table: table.update({wrong: table.pop(name)})
