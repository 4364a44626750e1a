"""Baselines of demand response, and what was reduced. Loads are in kW, import +, by equal intervals."""

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Method(NamedTuple):
    """X of Y: of the last ``eligible`` like days the ``highest`` count. The adjustment compares the hours
    before the event.

    ``cap``: the adjustment stays within ± this share (None: no cap). ``net``: export counts below zero; else
    the load ends at 0.
    """

    eligible: int = 10
    highest: int = 10
    adjust: Literal["ratio", "additive", "none"] = "ratio"
    cap: float | None = 0.2
    net: bool = True


class Day(NamedTuple):
    """One earlier day's loads over the event's hours (``event``) and over the adjustment's hours
    (``before``).
    """

    event: tuple[float, ...]
    before: tuple[float, ...]
    eligible: bool = True


TEN_OF_TEN = Method()


def baseline(method: Method, days: Sequence[Day], before: Sequence[float]) -> tuple[float, ...]:
    """The expected load of each interval of the event. ``days``: newest first; ``before``: the event day's
    own earlier hours.

    Days with events and holidays come in as not eligible. ValueError where too few days are left.
    """
    like = [day for day in days if day.eligible][: method.eligible]
    if len(like) < method.highest:
        raise ValueError(f"{len(like)} eligible days, {method.highest} are needed")
    chosen = sorted(like, key=lambda day: -sum(day.event))[: method.highest]
    means = [sum(values) / len(chosen) for values in zip(*(day.event for day in chosen), strict=True)]
    usual = [value for day in chosen for value in day.before]
    if method.adjust != "none" and usual and before:
        mean, today = sum(usual) / len(usual), sum(before) / len(before)
        means = _adjusted(method, means, mean, today)
    return tuple(means if method.net else (max(value, 0.0) for value in means))


def _adjusted(method: Method, means: list[float], usual: float, today: float) -> list[float]:
    if method.adjust == "ratio":
        ratio = today / usual if usual > 0.0 else 1.0
        if method.cap is not None:
            ratio = min(max(ratio, 1.0 - method.cap), 1.0 + method.cap)
        return [value * ratio for value in means]
    shift = today - usual
    if method.cap is not None:
        most = method.cap * sum(means) / len(means)
        shift = min(max(shift, -abs(most)), abs(most))
    return [value + shift for value in means]


def reduced_kwh(
    expected: Sequence[float], metered: Sequence[float], interval_h: float, *, export_paid: bool
) -> float:
    """Energy below the baseline, never negative by interval; export counts only where the programme pays
    it.
    """
    total = 0.0
    for base, load in zip(expected, metered, strict=True):
        total += max(base - (load if export_paid else max(load, 0.0)), 0.0) * interval_h
    return total
