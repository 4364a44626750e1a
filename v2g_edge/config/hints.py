"""How to mend a value that its key cannot hold: what was probably meant, where the value gives it away."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, get_args, get_origin

from v2g_edge.config.keys.key import NAME, Key

MEND: Final = {
    "float_type": "Write a number without quotes.",
    "int_type": "Write a whole number without quotes.",
    "int_from_float": "Write a whole number.",
    "finite_number": "Write a finite number; a limit that does not exist is left out, never infinite.",
    "string_type": "Write a text in quotes.",
    "bool_type": "Write true or false without quotes.",
    "list_type": "Write a list in [ ], or for tables a header in [[ ]].",
    "model_type": "Write a table.",
}
"""By pydantic's word for what is wrong, where the value itself tells no more."""

NUMBER: Final = re.compile(r"^\s*([+-]?\d+(?:[.,]\d+)?)\s*([A-Za-z%°]*)\s*$")
THOUSANDS: Final = {
    "kW": ("W", 1e3),
    "MW": ("W", 1e6),
    "kWh": ("Wh", 1e3),
    "MWh": ("Wh", 1e6),
    "ms": ("s", 1e-3),
}
"""A unit that people write, the unit of the key, and the factor between."""
BOOLS: Final = {
    "yes": "true",
    "on": "true",
    "true": "true",
    "1": "true",
    "no": "false",
    "off": "false",
    "false": "false",
}
KILO: Final = {"W": "kW", "Wh": "kWh", "W/s": "kW/s"}
LEAST_SHARE: Final = 0.01
"""A share of less than one percent that was written as percent is no slip of the unit."""


def near(found: str, names: Iterable[str], least: float = 0.6) -> str:
    """The name that was probably meant, "" where none is near. Upper and lower case do not count."""
    known = {name.lower(): name for name in names}
    match = difflib.get_close_matches(found.lower(), known, 1, least)
    return known[match[0]] if match else ""


def mend_of(fault: str, value: Any, kind: Any, key: Key) -> str:
    """One sentence or two; "Correct the value." only where nothing better is known."""
    guess = _guess(value, kind, key)
    return " ".join(part for part in (guess, key.mend) if part) or MEND.get(fault, "Correct the value.")


def _guess(value: Any, kind: Any, key: Key) -> str:
    if get_origin(kind) is Literal:
        options = [str(option) for option in get_args(kind)]
        initial = next(
            (each for each in options if len(each) == 1 and str(value).upper().startswith(each)), ""
        )
        meant = near(str(value), options) or initial
        return f"Did you mean {json.dumps(meant)}?" if meant and isinstance(value, str) else ""
    if kind is bool:
        meant = BOOLS.get(str(value).lower(), "")
        return f"Write {meant} without quotes." if meant else ""
    if kind is str and isinstance(value, str) and key.pattern == NAME:
        kept = re.sub(r"[^A-Za-z0-9_.:-]+", "-", value).strip("-")
        return f'Write it like "{kept[:48]}".' if kept else "Give it a name."
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return "Write its header with one bracket, [ ]."
    if kind in (int, float):
        return _number_as_text(value, key) if isinstance(value, str) else _off_by(value, key)
    return ""


def _number_as_text(text: str, key: Key) -> str:
    match = NUMBER.match(text)
    if match is None:
        return ""
    number, unit = float(match[1].replace(",", ".")), match[2]
    base, factor = THOUSANDS.get(unit, (unit, 1.0))
    if base not in {"", key.unit}:
        return f"Write the number in {key.unit} without quotes." if key.unit else ""
    return f"Write {number * factor:.12g} without quotes{f', in {key.unit}' if unit else ''}."


def _off_by(value: Any, key: Key) -> str:
    """A number in the wrong unit, by its size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    low = -1e300 if key.low is None else key.low
    high = 1e300 if key.high is None else key.high
    if value < low <= -value <= high:
        return f"A magnitude: write {-value:g}."
    if high == 1.0 and LEAST_SHARE <= value / 100.0 <= high and value / 100.0 >= low:
        return f"A share of 1: {value:g} % is {value / 100.0:g}."
    if value < low <= value * 1_000.0 <= high and key.unit in KILO:
        return f"In {key.unit}: {value:g} {KILO[key.unit]} are {value * 1_000.0:.12g}."
    if value > high >= value / 1_000.0 >= low and key.unit in {*KILO, "s", "A", "V"}:
        return f"In {key.unit}: is {value / 1_000.0:g} meant?"
    return ""
