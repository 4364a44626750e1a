"""A measured value with the time of its sample, or the reason why there is none.

There is no ``None`` and no zero that means "no data": a reader that wants a number must say which number
stands in when the reading is missing or old (``fresh_or``), and that number is the worst case, never a nice
one.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeGuard

from msgspec import Struct


class Reading(Struct, frozen=True, array_like=True, tag="r", gc=False):
    """``value`` in the unit of the field that holds it, sampled at ``at_s`` (monotonic seconds)."""

    value: float
    at_s: float


class Unknown(Struct, frozen=True, array_like=True, tag="u", gc=False):
    """No usable value; ``why`` is for people and never empty ("no sample yet", "NaN", "exception 2")."""

    why: str


Measured: TypeAlias = Reading | Unknown

NO_SAMPLE = Unknown("no sample yet")


def is_fresh(measured: Measured, now_s: float, max_age_s: float) -> TypeGuard[Reading]:
    """True when there is a value not older than ``max_age_s``. A sample from the future counts as old."""
    return isinstance(measured, Reading) and 0.0 <= now_s - measured.at_s <= max_age_s


def fresh_or(measured: Measured, now_s: float, max_age_s: float, worst: float) -> float:
    """The value if it is fresh, else ``worst``, the case that allows least."""
    if isinstance(measured, Reading) and 0.0 <= now_s - measured.at_s <= max_age_s:
        return measured.value
    return worst


def known_or(measured: Measured, worst: float) -> float:
    """The value whatever its age (for facts that do not age, such as a capacity), else ``worst``."""
    return measured.value if isinstance(measured, Reading) else worst


def mapped(measured: Measured, turn: Callable[[float], float]) -> Measured:
    """``turn`` applied to the value; an unknown stays the same unknown."""
    return Reading(turn(measured.value), measured.at_s) if isinstance(measured, Reading) else measured
