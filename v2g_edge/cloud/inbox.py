"""A plan from outside: JSON in, a ``Plan`` or a refusal with its reason out. Pure; whatever the bytes are, it
never raises.

A plan is only a wish: the envelope bounds what comes of it. What is refused here is what cannot be meant.
"""

import json
import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.site import Evse, Site

MAX_PAYLOAD_BYTES: Final = 262_144
"""A week of quarter hours for 20 chargers by name takes 200 kB; more is a mistake or an attack."""

MAX_SLOTS: Final = 700
"""A week of quarter hours is 672."""

MAX_AHEAD_S: Final = 14 * 86_400.0
"""A plan for later than a fortnight is a wrong clock or a wrong unit."""

MAX_REVISION: Final = 2**53 - 1
"""The largest whole number that every JSON peer reads exactly (RFC 8259, section 6)."""

REVISIONS_PER_S: Final = 1_000.0
REVISIONS_AT_ONCE: Final = 1_000_000
"""A revision may lie as far above the last one as milliseconds have passed since that was issued, and a
million more. This serves clouds that count and clouds that take the time as the revision, and one mistaken
plan cannot lock out all later ones.
"""

MAX_TEXT: Final = 300
"""A refusal quotes the sender's own words; no more than a line of them."""

Reason = Literal[
    "too_large",
    "not_json",
    "duplicate_key",
    "wrong_form",
    "unsigned",
    "bad_signature",
    "unknown_key",
    "foreign_audience",
    "not_newer",
    "too_far_ahead",
    "expired",
    "bad_validity",
    "too_many_slots",
    "bad_slots",
    "unknown_evse",
    "impossible_power",
]
REASONS: Final[tuple[str, ...]] = get_args(Reason)

Moment = Annotated[datetime, Meta(tz=True)]


class Refusal(Struct, frozen=True):
    """Why a plan was not taken. ``revision`` is None where it could not be read; ``text`` says what was
    found and is allowed.
    """

    reason: Reason
    text: str
    revision: int | None = None


class SlotMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """One slot as it is sent: W, + into the vehicles."""

    start: Moment
    end: Moment
    evse_w: dict[str, float] = {}
    site_w: float | None = None


class PlanMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan as it is sent; times in ISO 8601 with an offset."""

    revision: Annotated[int, Meta(ge=0, le=MAX_REVISION)]
    issued: Moment
    valid_from: Moment
    valid_until: Moment
    slots: Annotated[list[SlotMessage], Meta(min_length=1)]


class _DuplicateKeyError(ValueError):
    """One object has a key twice: readers disagree on which one counts (RFC 8259, section 4)."""


class _NotFiniteError(ValueError):
    """NaN and Infinity are not JSON."""


def receive_plan(
    payload: bytes, site: Site, last_revision: int, wall_s: float, *, last_issued_wall_s: float = 0.0
) -> Plan | Refusal:
    """Judge ``payload`` at ``wall_s`` (UTC). ``last_revision`` is that of the newest plan taken so far, −1
    before the first.

    ``last_issued_wall_s`` is when that plan was issued; 0 where that is not known.
    """
    message = parse_plan(payload)
    if isinstance(message, Refusal):
        return message
    revision = message.revision
    if revision <= last_revision:
        text = (
            f"revision {revision} is not newer than {last_revision}; `v2g-edge plan reset` forgets"
            f" {last_revision}"
        )
        return Refusal("not_newer", text, revision)
    # A plan that was issued in the future was issued at no time that counts.
    issued_s = last_issued_wall_s if last_issued_wall_s <= wall_s else 0.0
    most = last_revision + REVISIONS_AT_ONCE + int(REVISIONS_PER_S * (wall_s - max(issued_s, 0.0)))
    if revision > most:
        return Refusal(
            "too_far_ahead",
            f"revision {revision}; after {last_revision} at most {most} is taken now",
            revision,
        )
    refusal = _judge_times(message, wall_s) or _judge_powers(message, site)
    return _plan(message) if refusal is None else refusal


def parse_plan(payload: bytes) -> PlanMessage | Refusal:
    """The form alone: what the bytes say, not whether this site can do it."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return Refusal("too_large", f"{len(payload)} bytes, allowed are {MAX_PAYLOAD_BYTES}")
    try:
        raw = json.loads(payload.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except _DuplicateKeyError as fault:
        return Refusal("duplicate_key", _short(str(fault)))
    except (ValueError, RecursionError) as fault:
        return Refusal("not_json", _short(str(fault)))
    revision = raw.get("revision") if isinstance(raw, dict) else None
    revision = revision if type(revision) is int and 0 <= revision <= MAX_REVISION else None
    slots = raw.get("slots") if isinstance(raw, dict) else None
    if isinstance(slots, list) and len(slots) > MAX_SLOTS:
        return Refusal("too_many_slots", f"{len(slots)} slots, allowed are {MAX_SLOTS}", revision)
    try:
        return msgspec.convert(raw, PlanMessage)
    except (msgspec.ValidationError, UnicodeError, OverflowError) as fault:
        return Refusal("wrong_form", _short(str(fault)), revision)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _DuplicateKeyError(f"the key {twice!r} stands twice in one object")
    return result


def _refuse_constant(text: str) -> float:
    raise _NotFiniteError(f"{text} is not a JSON number")


def _judge_times(message: PlanMessage, wall_s: float) -> Refusal | None:
    start_s, end_s, revision = (
        message.valid_from.timestamp(),
        message.valid_until.timestamp(),
        message.revision,
    )
    if end_s <= start_s or start_s > wall_s + MAX_AHEAD_S or end_s > wall_s + 2 * MAX_AHEAD_S:
        return Refusal(
            "bad_validity", f"valid from {message.valid_from} until {message.valid_until}", revision
        )
    if end_s <= wall_s:
        return Refusal("expired", f"valid until {message.valid_until}, now is {_stamp(wall_s)}", revision)
    for number, slot in enumerate(message.slots):
        if not start_s <= slot.start.timestamp() < slot.end.timestamp() <= end_s:
            return Refusal(
                "bad_slots", f"slots[{number}] ends before it starts, or leaves the plan's validity", revision
            )
    for number, (left, right) in enumerate(pairwise(message.slots)):
        if right.start < left.end:
            return Refusal("bad_slots", f"slots[{number + 1}] starts before slots[{number}] ends", revision)
    return None


def _judge_powers(message: PlanMessage, site: Site) -> Refusal | None:
    evses = {evse.id: evse for evse in site.evses}
    most_w, least_w = (
        sum(evse.max_charge_w for evse in site.evses),
        -sum(_gives_w(evse) for evse in site.evses),
    )
    for number, slot in enumerate(message.slots):
        if not slot.evse_w and slot.site_w is None:
            return Refusal("bad_slots", f"slots[{number}] names neither evse_w nor site_w", message.revision)
        for evse_id, power_w in slot.evse_w.items():
            evse = evses.get(evse_id)
            if evse is None:
                text = f"slots[{number}].evse_w: the site has no EVSE {evse_id!r}"
                return Refusal("unknown_evse", _short(text), message.revision)
            if not math.isfinite(power_w) or not -_gives_w(evse) <= power_w <= evse.max_charge_w:
                room = f"{0.0 - _gives_w(evse):g} to {evse.max_charge_w:g}"
                text = f"slots[{number}].evse_w.{evse_id} = {power_w:g} W, allowed are {room}"
                return Refusal("impossible_power", text, message.revision)
        if slot.site_w is not None and not least_w <= slot.site_w <= most_w:
            text = f"slots[{number}].site_w = {slot.site_w:g} W, the chargers do {least_w:g} to {most_w:g}"
            return Refusal("impossible_power", text, message.revision)
    return None


def _gives_w(evse: Evse) -> float:
    return evse.max_discharge_w if evse.discharge_by != "none" else 0.0


def _plan(message: PlanMessage) -> Plan:
    slots = tuple(
        Slot(slot.start.timestamp(), slot.end.timestamp(), tuple(sorted(slot.evse_w.items())), slot.site_w)
        for slot in message.slots
    )
    issued_s, start_s, end_s = (
        message.issued.timestamp(),
        message.valid_from.timestamp(),
        message.valid_until.timestamp(),
    )
    return Plan(message.revision, "cloud", issued_s, start_s, end_s, slots)


def plan_json(plan: Plan) -> bytes:
    """The message that ``receive_plan`` reads back as the same plan (times to the microsecond)."""
    slots = [
        SlotMessage(_moment(slot.start_wall_s), _moment(slot.end_wall_s), dict(slot.evse_w), slot.site_w)
        for slot in plan.slots
    ]
    start, end = _moment(plan.valid_from_wall_s), _moment(plan.valid_until_wall_s)
    return msgspec.json.encode(PlanMessage(plan.revision, _moment(plan.issued_wall_s), start, end, slots))


def ack_json(verdict: Plan | Refusal, wall_s: float) -> bytes:
    """What goes back on ``plan/ack``."""
    answer: dict[str, object] = {"at": _stamp(wall_s), "revision": verdict.revision, "result": "accepted"}
    if isinstance(verdict, Refusal):
        answer |= {"result": "refused", "reason": verdict.reason, "text": verdict.text}
    return msgspec.json.encode(answer)


def _moment(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC)


def _stamp(wall_s: float) -> str:
    return _moment(wall_s).isoformat(timespec="seconds")


def _short(text: str) -> str:
    sendable = text.encode("utf-8", "backslashreplace").decode(
        "utf-8"
    )  # lone surrogates come through JSON, not through UTF-8
    return sendable if len(sendable) <= MAX_TEXT else sendable[: MAX_TEXT - 1] + "…"
