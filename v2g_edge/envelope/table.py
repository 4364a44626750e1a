"""The trip mechanism: rows of (condition, action, clear rule), latches, and allowances for conditions that flap.

A row's check answers every tick for every subject it covers. One that raises, or covers too few, is itself a trip
(design 4.8). An allowance drains while its condition is present and refills at a quarter of that speed, so a flapping fault
still acts (design 4.9). Nothing here knows what a depot is.
"""

from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from v2g_edge.model.event import Event

REFILL: Final = 0.25
"""An allowance refills four times slower than it drains (the ratio of PX4's failsafe framework)."""

SITE: Final = "site"

Clear = Literal["when_gone", "after_enter_service", "when_unplugged", "by_operator", "never"]


class Action(IntEnum):
    """What a row does, mildest first. ``TRIP`` is the safe state (no discharge, charging at fallback) plus contactor open."""

    NONE = 0
    NO_NEW_EXPORT = 1
    EXPORT_OFF = 2
    CHARGE_AT_FALLBACK = 3
    ZERO = 4
    TRIP = 5


class Found(NamedTuple):
    """A check's answer: how many subjects it looked at, and where the condition is present, with words for people."""

    covered: int
    present: dict[str, str]


class Row(NamedTuple):
    """One line of a safety table. ``check`` is called with the tick's context and the subjects on which the row acts already."""

    id: str
    scope: Literal["site", "evse"]
    action: Action
    clear: Clear
    cause: str
    override: bool
    check: Callable[[Any, Collection[str]], Found]
    allowance: Callable[[Any], float] | None = None


class Latch(Struct, frozen=True):
    """Memory of one row at one subject. ``session`` is the vehicle session it began in; ``left_s`` the allowance that remains.

    ``present``: the condition holds now; an active latch without it only waits for its clear rule.
    """

    row: str
    subject: str
    active: bool
    left_s: float
    text: str
    session: str = ""
    present: bool = True


class Inputs(NamedTuple):
    """What the mechanism needs beside the checks. ``sessions`` by subject ("" where nothing is plugged in)."""

    context: Any
    dt_s: float
    wall_s: float
    counts: dict[str, int]
    sessions: dict[str, str]
    in_service: bool
    acknowledged: frozenset[str]


class Verdict(NamedTuple):
    """All active latches with their rows, the memory for the next tick, and what changed."""

    active: tuple[tuple[Row, Latch], ...]
    latches: tuple[Latch, ...]
    events: tuple[Event, ...]


def judge(rows: tuple[Row, ...], latches: tuple[Latch, ...], inputs: Inputs) -> Verdict:
    """Ask every row once. Subjects are dealt with in the order of their ids, so that the result does not depend on luck."""
    kept: list[Latch] = []
    latch: Latch | None
    active: list[tuple[Row, Latch]] = []
    events: list[Event] = []
    by_row: dict[str, dict[str, Latch]] = {}
    for known in latches:
        by_row.setdefault(known.row, {})[known.subject] = known
    for row in rows:
        old = by_row.pop(row.id, {})
        present = _ask(row, old, inputs)
        for subject in sorted(present.keys() | old.keys()):
            was = old.get(subject)
            latch = _advance(row, subject, was, present.get(subject), inputs)
            if latch is None:
                if was is not None and was.active:
                    events.append(_event(row, was, inputs.wall_s, cleared=True))
                continue
            kept.append(latch)
            if latch.active:
                active.append((row, latch))
                if was is None or not was.active:
                    events.append(_event(row, latch, inputs.wall_s, cleared=False))
            elif was is not None and was.active:
                events.append(_event(row, was, inputs.wall_s, cleared=True))
    return Verdict(tuple(active), tuple(kept), tuple(events))


NO_ANSWER: Final = "check gave no answer: "


def _ask(row: Row, old: dict[str, Latch], inputs: Inputs) -> dict[str, str]:
    try:
        found = row.check(inputs.context, {subject for subject, latch in old.items() if latch.active})
    except Exception as error:  # noqa: BLE001 - whatever it is, a check that raises is a trip (design 4.8)
        return _no_answer(old, f"{row.id} raised {type(error).__name__}: {error}")
    if found.covered != inputs.counts[row.scope]:
        return _no_answer(old, f"{row.id} looked at {found.covered} of {inputs.counts[row.scope]}")
    return found.present


def _no_answer(old: dict[str, Latch], why: str) -> dict[str, str]:
    """What acted goes on acting: a check that says nothing clears nothing."""
    standing = {subject: latch.text for subject, latch in old.items() if latch.active}
    return {**standing, SITE: f"{NO_ANSWER}{why}"}


def _advance(row: Row, subject: str, was: Latch | None, text: str | None, inputs: Inputs) -> Latch | None:
    allowance_s = row.allowance(inputs.context) if row.allowance else 0.0
    left_s = was.left_s if was else allowance_s
    left_s = left_s - inputs.dt_s if text is not None else min(allowance_s, left_s + REFILL * inputs.dt_s)
    session = inputs.sessions.get(subject, "")
    if text is not None:
        acts = left_s <= 0.0 or text.startswith(NO_ANSWER) or (was is not None and was.active)
        return Latch(row.id, subject, acts, max(left_s, 0.0), text, was.session if was and was.active else session)
    if was is not None and was.active and not _cleared(row, was, session, inputs):
        return Latch(row.id, subject, True, left_s, was.text, was.session, present=False)
    return Latch(row.id, subject, False, left_s, "", session, present=False) if left_s < allowance_s else None


def _cleared(row: Row, latch: Latch, session: str, inputs: Inputs) -> bool:
    acknowledged = f"{latch.row}:{latch.subject}" in inputs.acknowledged
    if latch.text.startswith(NO_ANSWER):
        return acknowledged
    match row.clear:
        case "when_gone":
            return True
        case "after_enter_service":
            return inputs.in_service
        case "when_unplugged":
            return session != latch.session
        case "by_operator":
            return acknowledged
        case "never":
            return False


def action_of(row: Row, latch: Latch) -> Action:
    """The row's action, or a trip where its check gave no answer."""
    return Action.TRIP if latch.text.startswith(NO_ANSWER) else row.action


def _event(row: Row, latch: Latch, wall_s: float, *, cleared: bool) -> Event:
    action = action_of(row, latch)
    if cleared:
        return Event(f"{row.id}.cleared", "info", latch.subject, f"{row.cause}: cleared", wall_s)
    severity: Literal["trip", "alarm", "warning"] = (
        "trip" if action is Action.TRIP else "alarm" if action >= Action.CHARGE_AT_FALLBACK else "warning"
    )
    return Event(row.id, severity, latch.subject, latch.text, wall_s)
