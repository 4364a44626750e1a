"""What a changed site file changes, and which of it a running daemon can take up.

A change counts as live where nothing but the next tick reads the value. What shapes the picture itself
(outlets, meters, wires, ports) waits for a restart, and one such change keeps the whole file out: half a file
is no configuration.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from v2g_edge.model.settings import Settings

LIVE: Final[dict[str, frozenset[str] | None]] = {
    "vehicles": None,
    "vehicle_types": None,
    "response": None,
    "safety": None,
    "feeders": frozenset(
        {"import_limit_w", "export_limit_w", "base_load_max_w", "base_load_min_w", "current"}
    ),
    "grid": frozenset({"export_allowed"}),
    "host": frozenset({"journal_keep_days"}),
    "cloud": frozenset({"telemetry_s"}),
}
"""Tables and their keys that can change while running; None: all keys, and whole entries may come and go."""

NOT_LIVE: Final = frozenset({("safety", "charger_max_age_s")})
"""Read once at the start, by the links that must be at least this often heard."""

IDS: Final = {"stations": "identity"}
"""The key that names an entry of a table, where it is not ``id``."""

SHOWN: Final = 120
"""Characters of a value in a report."""


class Change(Struct, frozen=True):
    """One key, before and after; "" where it was not or is no more. ``live``: it counts at once."""

    key: str
    old: str
    new: str
    live: bool

    def __str__(self) -> str:
        return f"{self.key}: {self.old or '(nothing)'} -> {self.new or '(nothing)'}"


def changes_of(old: Settings, new: Settings) -> list[Change]:
    """Every difference, in the order of the tables."""
    before, after = _tables(old), _tables(new)
    fixed_vehicles = any(device.vehicle for device in (*old.devices, *new.devices)) or bool(
        old.fleet.port or old.fleet.timetable_file
    )
    return [
        change
        for table in before
        for change in _table_changes(table, before[table], after[table], fixed_vehicles)
    ]


def _tables(settings: Settings) -> dict[str, Any]:
    plain = msgspec.to_builtins(settings)
    site = plain.pop("site")
    own = {key: site.pop(key) for key in ("name", "timezone", "meters", "contacts", "temperatures")}
    return {"site": own, **site, **plain}


def _table_changes(table: str, old: Any, new: Any, fixed_vehicles: bool) -> Iterator[Change]:
    if isinstance(old, dict):
        yield from _key_changes(table, table, old, new, fixed_vehicles)
        return
    name = IDS.get(table, "id")
    olds, news = _named(old, name), _named(new, name)
    for entry in dict.fromkeys((*olds, *news)):
        if entry in olds and entry in news:
            yield from _key_changes(table, f"{table}.{entry}", olds[entry], news[entry], fixed_vehicles)
        else:
            live = _is_live(table, None, fixed_vehicles)
            yield Change(f"{table}.{entry}", _text(olds.get(entry)), _text(news.get(entry)), live)


def _key_changes(
    table: str, at: str, old: dict[str, Any], new: dict[str, Any], fixed_vehicles: bool
) -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Change(
                f"{at}.{key}", _text(old.get(key)), _text(new.get(key)), _is_live(table, key, fixed_vehicles)
            )


def _named(entries: Any, name: str) -> dict[str, dict[str, Any]]:
    """Entries by their id; those without one (listeners) by their place."""
    return {str(entry.get(name, place)): entry for place, entry in enumerate(entries)}


def _is_live(table: str, key: str | None, fixed_vehicles: bool) -> bool:
    """``key`` None: a whole entry comes or goes."""
    if table not in LIVE or (table, key) in NOT_LIVE:
        return False
    if table in ("vehicles", "vehicle_types") and fixed_vehicles:
        return False  # a charger on Modbus, or a depot management system, got its vehicles at the start
    keys = LIVE[table]
    return keys is None or key in keys


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
