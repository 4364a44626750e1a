"""The trip mechanism: rows of (condition, action, clear rule), latches, and allowances for conditions that flap.

A row's check answers every tick for every subject it covers. One that raises, or covers too few, is itself a trip (design 4.8)
that only an operator ends. An allowance drains while its condition is present and refills at a quarter of that speed, so a
flapping fault still acts (design 4.9). Nothing here knows what a depot is.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from v2g_edge.model.event import Event, Severity

REFILL: Final = 0.25
"""An allowance refills four times slower than it drains (the ratio of PX4's failsafe framework)."""
FIRST_S: Final = 1e-3
"""What a first sight leaves of any allowance."""
SITE: Final = "site"
NO_ANSWER: Final = "no answer"
"""The subject of a row whose check gave no answer."""

Scope = Literal["site", "meter", "evse"]
Clear = Literal["when_gone", "after_enter_service", "when_unplugged", "by_operator", "never"]


class Action(IntEnum):
    """What a row does, mildest first. ``TRIP`` is the safe state (no discharge, charging at fallback) plus contactor open."""

    NO_NEW_EXPORT = auto()
    EXPORT_OFF = auto()
    CHARGE_AT_FALLBACK = auto()
    ZERO = auto()
    TRIP = auto()


class Found(NamedTuple):
    """A check's answer: how many subjects it looked at, and where the condition is present, with words for people."""

    covered: int
    present: dict[str, str]


class Latch(Struct, frozen=True, gc=False):
    """Memory of one row at one subject. ``session`` is the vehicle session it began in; ``left_s`` the allowance that remains.

    ``present``: the condition holds now. An active latch without it waits for its clear rule, an inactive one refills.
    """

    row: str
    subject: str
    active: bool
    left_s: float
    text: str
    session: str = ""
    present: bool = True


class Row(NamedTuple):
    """One line of a safety table. ``check`` is called with the tick's context and the row's latches of the last tick by subject.

    ``override``: an operator may end what the row still holds once its condition is gone, whatever its clear rule.
    """

    id: str
    scope: Scope
    action: Action
    clear: Clear
    cause: str
    check: Callable[[Any, Mapping[str, Latch]], Found]
    override: bool = False
    allowance: Callable[[Any], float] | None = None


class Inputs(NamedTuple):
    """What the mechanism needs beside the checks. ``sessions`` by subject, for those where a vehicle is plugged in."""

    context: Any
    dt_s: float
    wall_s: float
    counts: dict[Scope, int]
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
    active: list[tuple[Row, Latch]] = []
    events: list[Event] = []
    by_row: dict[str, dict[str, Latch]] = {row.id: {} for row in rows}
    for latch in latches:
        by_row.setdefault(latch.row, {})[latch.subject] = latch
    for row in rows:
        old = by_row[row.id]
        present = _ask(row, old, inputs)
        for subject in sorted(present.keys() | old.keys()):
            was, now = old.get(subject), _advance(row, subject, old.get(subject), present.get(subject), inputs)
            acted, acts = was is not None and was.active, now is not None and now.active
            if now is not None:
                kept.append(now)
                if acts:
                    active.append((row, now))
            if acted != acts:
                events.append(_event(row, subject, now.text if now is not None else "", inputs.wall_s))
    return Verdict(tuple(active), tuple(kept), tuple(events))


def action_of(row: Row, latch: Latch) -> Action:
    """The row's action, or a trip where its check gave no answer."""
    return Action.TRIP if latch.subject == NO_ANSWER else row.action


def _ask(row: Row, old: dict[str, Latch], inputs: Inputs) -> dict[str, str]:
    try:
        found = row.check(inputs.context, old)
        why = f"{row.id} looked at {found.covered} of {inputs.counts[row.scope]}"
        if found.covered == inputs.counts[row.scope]:
            return found.present
    except Exception as error:  # noqa: BLE001 - whatever it is, a check that raises is a trip (design 4.8)
        why = f"{row.id} raised {type(error).__name__}: {error}"
    # What acted goes on acting: a check that says nothing clears nothing.
    return {**{subject: latch.text for subject, latch in old.items() if latch.active}, NO_ANSWER: why}


def _advance(row: Row, subject: str, was: Latch | None, text: str | None, inputs: Inputs) -> Latch | None:
    """The latch after this tick; None when there is nothing to remember. With an allowance no first sight acts, however long
    the tick: whoever judges by readings that come and go can then let a missing one go on what it has begun, and no more.
    """
    allowance_s = row.allowance(inputs.context) if row.allowance and subject != NO_ANSWER else 0.0
    held = was if was is not None and was.active else None
    session = held.session if held else inputs.sessions.get(subject, "")
    passed_s = REFILL * inputs.dt_s if text is None else -inputs.dt_s
    least_s = 0.0 if was else min(allowance_s, FIRST_S)
    left_s = min(max((was.left_s if was else allowance_s) + passed_s, least_s), allowance_s)
    if text is not None:
        return Latch(row.id, subject, held is not None or left_s <= 0.0, left_s, text, session)
    if held and not _cleared(row, held, inputs):
        return Latch(row.id, subject, True, left_s, held.text, session, present=False)
    return Latch(row.id, subject, False, left_s, "", present=False) if left_s < allowance_s else None


def _cleared(row: Row, latch: Latch, inputs: Inputs) -> bool:
    """Whether a latch whose condition is gone may go too. An acknowledgement reads "row:subject"."""
    may = row.override or row.clear == "by_operator" or latch.subject == NO_ANSWER
    if may and f"{latch.row}:{latch.subject}" in inputs.acknowledged:
        return True
    unplugged = inputs.sessions.get(latch.subject, "") != latch.session
    gone: dict[Clear, bool] = {"when_gone": True, "after_enter_service": inputs.in_service, "when_unplugged": unplugged}
    return latch.subject != NO_ANSWER and gone.get(row.clear, False)


def _event(row: Row, subject: str, text: str, wall_s: float) -> Event:
    if not text:
        return Event(f"{row.id}.cleared", "info", subject, f"{row.cause}: cleared", wall_s)
    action = Action.TRIP if subject == NO_ANSWER else row.action
    severity: Severity = "trip" if action is Action.TRIP else "alarm" if action >= Action.CHARGE_AT_FALLBACK else "warning"
    return Event(row.id, severity, subject, text, wall_s)
