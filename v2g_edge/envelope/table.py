"""The trip mechanism: rows of (condition, action, clear rule), latches, and allowances for conditions that
flap.

A row's check answers every tick for every subject it covers. One that raises, or covers too few, is itself a
trip that only an operator ends. An allowance drains while its condition is present and refills
at a quarter of that speed, so a flapping fault still acts. A row that clears ``by_proof`` ends
by itself once its subject has shown for long enough that the condition is over; after each relapse it must
show it for twice as long. Nothing here knows what a depot is.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum, auto
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.event import Event, Severity

REFILL: Final = 0.25
"""An allowance refills four times slower than it drains (the ratio of PX4's failsafe framework)."""
FIRST_S: Final = 1e-3
"""What a first sight leaves of any allowance."""
PROOF_S: Final = 60.0
"""So long a subject must show that a ``by_proof`` condition is over: six reports at 10 s, and a ramp of a
bus charger beside.
"""
PROOF_MOST_S: Final = 1_800.0
"""The wait stops growing here: half an hour is little against a night, and a lost night is a lost bus line.
"""
FORGIVE_S: Final = 3_600.0
"""An hour without a relapse takes one relapse off the count."""
LATE_S: Final = 5.0
"""A tick counts for no more than this, unless the site says otherwise: what the controller itself was late
is held against no device.
"""
SITE: Final = "site"
NO_ANSWER: Final = "no answer"
"""The subject of a row whose check gave no answer."""

WAITS: Final = "; it is over, and waits for an operator (safety.trip_clear_by_operator)"

Scope = Literal["site", "meter", "evse"]
Clear = Literal["when_gone", "after_enter_service", "when_unplugged", "by_proof", "by_operator", "never"]


class Action(IntEnum):
    """What a row does, mildest first. ``TRIP`` is the safe state (no discharge, charging at fallback) plus
    contactor open.
    """

    NO_NEW_EXPORT = auto()
    EXPORT_OFF = auto()
    CHARGE_AT_FALLBACK = auto()
    ZERO = auto()
    TRIP = auto()


class Found(NamedTuple):
    """A check's answer: how many subjects it looked at, and where the condition is present, with words for
    people.
    """

    covered: int
    present: dict[str, str]


class Latch(Struct, frozen=True, gc=False):
    """Memory of one row at one subject. ``session`` is the vehicle session it began in; ``left_s`` the
    allowance that remains.

    ``present``: the condition holds now. An active latch without it waits for its clear rule, an inactive one
    refills. ``times``: how often it began to act. ``proven_s``: for how long the subject has shown that the
    condition is over; in an inactive latch, for how long nothing was seen of it.
    ``acknowledged``: an operator ended it since its condition was gone.
    """

    row: str
    subject: str
    active: bool
    left_s: float
    text: str
    session: str = ""
    present: bool = True
    times: int = 0
    proven_s: float = 0.0
    acknowledged: bool = False


class Row(NamedTuple):
    """One line of a safety table. ``check`` is called with the tick's context and the row's latches of the
    last tick by subject.

    ``override``: an operator may end what the row still holds once its condition is gone, whatever its clear
    rule. ``proof``: whether a subject shows at this tick that the condition is over; a condition that is only
    not seen shows nothing.
    """

    id: str
    scope: Scope
    action: Action
    clear: Clear
    cause: str
    check: Callable[[Any, Mapping[str, Latch]], Found]
    override: bool = False
    allowance: Callable[[Any], float] | None = None
    proof: Callable[[Any, str], bool] | None = None


class Inputs(NamedTuple):
    """What the mechanism needs beside the checks. ``sessions`` by subject, for those where a vehicle is
    plugged in.
    ``operator_ends_trips``: what is cleared by enter service waits for an operator too.
    """

    context: Any
    dt_s: float
    wall_s: float
    counts: dict[Scope, int]
    sessions: dict[str, str]
    in_service: bool
    acknowledged: frozenset[str]
    late_s: float = LATE_S
    operator_ends_trips: bool = False


class Verdict(NamedTuple):
    """All active latches with their rows, the memory for the next tick, and what changed."""

    active: tuple[tuple[Row, Latch], ...]
    latches: tuple[Latch, ...]
    events: tuple[Event, ...]


def judge(rows: tuple[Row, ...], latches: tuple[Latch, ...], inputs: Inputs) -> Verdict:
    """Ask every row once. Subjects are dealt with in the order of their ids, so that the result does not
    depend on luck.
    """
    inputs = inputs._replace(dt_s=min(inputs.dt_s, inputs.late_s))
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
            was, now = (
                old.get(subject),
                _advance(row, subject, old.get(subject), present.get(subject), inputs),
            )
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
    except Exception as error:  # noqa: BLE001 - whatever it is, a check that raises is a trip
        why = f"{row.id} raised {type(error).__name__}: {error}"
    # What acted goes on acting: a check that says nothing clears nothing.
    return {**{subject: latch.text for subject, latch in old.items() if latch.active}, NO_ANSWER: why}


def _advance(row: Row, subject: str, was: Latch | None, text: str | None, inputs: Inputs) -> Latch | None:
    """The latch after this tick; None when there is nothing to remember. With an allowance no first sight
    acts, however long the tick: a row that judges by readings that come and go can then let a missing one go
    on what it has begun, and no more.
    """
    allowance_s = row.allowance(inputs.context) if row.allowance and subject != NO_ANSWER else 0.0
    held = was if was is not None and was.active else None
    session = held.session if held else inputs.sessions.get(subject, "")
    times = was.times if was else 0
    passed_s = REFILL * inputs.dt_s if text is None else -inputs.dt_s
    least_s = 0.0 if was else min(allowance_s, FIRST_S)
    left_s = min(max((was.left_s if was else allowance_s) + passed_s, least_s), allowance_s)
    if text is not None:
        acts = held is not None or left_s <= 0.0
        return Latch(row.id, subject, acts, left_s, text, session, times=times + (acts and held is None))
    if held is not None:
        shows = row.proof is not None and subject != NO_ANSWER and row.proof(inputs.context, subject)
        proven_s = held.proven_s + (inputs.dt_s if shows else 0.0)
        known = held.acknowledged or f"{row.id}:{subject}" in inputs.acknowledged
        held = replace(held, left_s=left_s, present=False, proven_s=proven_s, acknowledged=known)
        if not _cleared(row, held, inputs):
            return _waiting(row, held, inputs)
        times = (
            times if _is_proven(row, held) else 0
        )  # an operator's word, or a condition that needs no proof, ends the count
        return _at_rest(row, subject, left_s, allowance_s, times, 0.0)
    return _at_rest(
        row,
        subject,
        left_s,
        allowance_s,
        times,
        (was.proven_s if was and not was.present else 0.0) + inputs.dt_s,
    )


def _at_rest(
    row: Row, subject: str, left_s: float, allowance_s: float, times: int, quiet_s: float
) -> Latch | None:
    """A latch that does not act: it refills, and relapses are forgiven one after the other. None when all
    is forgotten.
    """
    if quiet_s >= FORGIVE_S:
        times, quiet_s = times - 1, 0.0
    times = max(times, 0) if row.clear == "by_proof" else 0
    if left_s >= allowance_s and not times:
        return None
    return Latch(
        row.id, subject, False, left_s, "", present=False, times=times, proven_s=quiet_s if times else 0.0
    )


def proof_s(times: int) -> float:
    """For how long a subject must show that it is well, after it has relapsed ``times`` - 1 times."""
    return float(min(PROOF_S * 2.0 ** min(max(times - 1, 0), 10), PROOF_MOST_S))


def _is_proven(row: Row, latch: Latch) -> bool:
    return row.clear == "by_proof" and latch.subject != NO_ANSWER and latch.proven_s >= proof_s(latch.times)


def _waits_for_operator(row: Row, inputs: Inputs) -> bool:
    return inputs.operator_ends_trips and row.clear == "after_enter_service"


def _waiting(row: Row, latch: Latch, inputs: Inputs) -> Latch:
    """A latch whose condition is gone. One that only an operator ends says so."""
    if not _waits_for_operator(row, inputs) or latch.acknowledged or latch.text.endswith(WAITS):
        return latch
    return replace(latch, text=latch.text + WAITS)


def _cleared(row: Row, latch: Latch, inputs: Inputs) -> bool:
    """Whether a latch whose condition is gone may go too. An acknowledgement reads "row:subject"."""
    may = row.override or row.clear == "by_operator" or latch.subject == NO_ANSWER
    if may and latch.acknowledged:
        return True
    unplugged = inputs.sessions.get(latch.subject, "") != latch.session
    gone: dict[Clear, bool] = {
        "when_gone": True,
        "after_enter_service": inputs.in_service
        and (latch.acknowledged or not _waits_for_operator(row, inputs)),
        "when_unplugged": unplugged,
    }
    return _is_proven(row, latch) or (latch.subject != NO_ANSWER and gone.get(row.clear, False))


def _event(row: Row, subject: str, text: str, wall_s: float) -> Event:
    if not text:
        how = "it has proven itself again" if row.clear == "by_proof" else "cleared"
        return Event(f"{row.id}.cleared", "info", subject, f"{row.cause}: {how}", wall_s)
    action = Action.TRIP if subject == NO_ANSWER else row.action
    severity: Severity = (
        "trip" if action is Action.TRIP else "alarm" if action >= Action.CHARGE_AT_FALLBACK else "warning"
    )
    return Event(row.id, severity, subject, text, wall_s)
