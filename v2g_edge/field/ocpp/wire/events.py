"""What the message machine reports to its owner. All are plain facts; none of them acts."""

from typing import Any, TypeAlias

from msgspec import Struct

from v2g_edge.field.ocpp.wire.schemas import SchemaProblem

MessageId: TypeAlias = str | int
"""A string by the specification; a lenient station may use numbers, which go back as they came."""


class CallIn(Struct, frozen=True, gc=False):
    """The peer calls; it waits for ``Machine.answer`` or ``Machine.refuse`` with this id.

    ``problems`` is empty, or says what a lenient machine let pass.
    """

    id: MessageId
    action: str
    payload: dict[str, Any]
    problems: tuple[SchemaProblem, ...] = ()


class SendIn(Struct, frozen=True, gc=False):
    """An unconfirmed message (2.1): no answer follows."""

    action: str
    payload: dict[str, Any]
    problems: tuple[SchemaProblem, ...] = ()


class Answered(Struct, frozen=True, gc=False):
    """The peer's CALLRESULT to our call ``id``. ``late``: after its deadline; ``Expired`` came before."""

    id: str
    action: str
    payload: dict[str, Any]
    problems: tuple[SchemaProblem, ...] = ()
    late: bool = False


class Refused(Struct, frozen=True, gc=False):
    """The peer's CALLERROR to our call ``id``, or (``code`` "FormatViolation") an answer that a strict
    machine threw away.
    """

    id: str
    action: str
    code: str
    description: str
    late: bool = False


class Expired(Struct, frozen=True, gc=False):
    """Our call ``id`` will not be waited for any more. ``sent`` tells whether the peer may have seen it.

    ``why``: "deadline", "replaced" by a newer call of its key, "queue_full", "link_lost", "gave_way" to a
    safety call.
    """

    id: str
    action: str
    why: str
    sent: bool


class AnswerRejected(Struct, frozen=True, gc=False):
    """The peer could not use our answer to its call ``id`` (CALLRESULTERROR, 2.1)."""

    id: MessageId
    code: str
    description: str


class Duplicate(Struct, frozen=True, gc=False):
    """A second answer to a call that is settled. To be counted, nothing else."""

    id: MessageId
    action: str


class Stray(Struct, frozen=True, gc=False):
    """An answer to nothing we know, or a frame that is not OCPP-J. To be counted and logged."""

    why: str


def accepted(outcome: Answered | Refused | Expired) -> bool:
    """Whether the peer said Accepted to a call of ours."""
    return isinstance(outcome, Answered) and is_accepted(outcome.payload.get("status"))


def is_accepted(status: object) -> bool:
    """Whether a status is Accepted, in whatever letters a station writes it."""
    return isinstance(status, str) and status.strip().casefold() == "accepted"


def refused(outcome: Answered | Refused | Expired) -> bool:
    """Whether it answered, and not with Accepted."""
    return isinstance(outcome, Refused) or (
        isinstance(outcome, Answered) and not is_accepted(outcome.payload.get("status"))
    )


Event: TypeAlias = CallIn | SendIn | Answered | Refused | Expired | AnswerRejected | Duplicate | Stray
