"""Reads single values out of a site file that may be broken anywhere, so that one report covers
everything.
"""

from collections.abc import Iterator
from typing import Any

Table = dict[str, Any]


def tables(document: Table, name: str) -> Iterator[tuple[str, Table]]:
    """Each entry of an array of tables with its path in the report; a single table by its own name."""
    value = document.get(name)
    if isinstance(value, dict):
        yield name, value
        return
    for place, entry in enumerate(value if isinstance(value, list) else [], 1):
        if isinstance(entry, dict):
            own = entry.get("id", entry.get("identity"))
            yield f"{name}.{own if isinstance(own, str) and own else f'#{place}'}", entry


def text(table: Table, key: str, default: str = "") -> str:
    """A text, or the default where there is none."""
    value = table.get(key, default)
    return value if isinstance(value, str) else default


def number(table: Table, key: str, default: float) -> float:
    """A number, or the default where there is none."""
    value = table.get(key, default)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def texts(table: Table, key: str) -> list[str]:
    """The texts of a list."""
    value = table.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def host_table(document: Table) -> Table:
    """``[host]``, empty where it is missing or no table."""
    value = document.get("host")
    return value if isinstance(value, dict) else {}
