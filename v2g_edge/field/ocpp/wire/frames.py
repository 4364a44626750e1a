"""OCPP-J frames: a JSON array to and from its parts. OCPP 1.6-J chapter 4, OCPP 2.x Part 4 chapter 4."""

import re
from typing import Any, Final

import msgspec

from v2g_edge import bounded_json
from v2g_edge.field.ocpp.wire.messages import Version

CALL: Final = 2
CALLRESULT: Final = 3
CALLERROR: Final = 4
CALLRESULTERROR: Final = 5
SEND: Final = 6

ELEMENTS: Final = {CALL: (4, 4), CALLRESULT: (3, 3), CALLERROR: (4, 5), CALLRESULTERROR: (4, 5), SEND: (4, 4)}
"""Message type → least and most elements. Some stations leave the details of an error away; the rest is
fixed.
"""

FRAME_MAX: Final = 1 << 20
"""Bytes of one frame. The largest legal one seen is a SetChargingProfile of 3 × 1,024 periods, about 600
kB.
"""

ID_MAX: Final = 36
"""Characters of a message id (both specifications); lenient stations get ``ID_LENIENT_MAX``."""
ID_LENIENT_MAX: Final = 255

UNREADABLE_ID: Final = "-1"
"""Stands for an id that cannot be read in a CALLERROR (OCPP 2.x Part 4, 4.2.3)."""

DESCRIPTION_MAX: Final = 255
"""Characters of an error description (both specifications)."""

V16_CODES: Final = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "MessageTypeNotSupported": "ProtocolError",
    "RpcFrameworkError": "ProtocolError",
}
"""Our (2.x) name → the 1.6-J one, whose spelling is part of that specification."""

_CALL_HEAD: Final = re.compile(rb"\s*\[\s*2\s*,")
_HEAD: Final = re.compile(r'\s*\[\s*2\s*,\s*"([\x20\x21\x23-\x5b\x5d-\x7e]{1,36})"\s*,')
"""The id of a CALL that is not read further."""
_HEAD_MAX: Final = 256


_encoder = msgspec.json.Encoder()


class Unreadable(ValueError):  # noqa: N818 - it names the frame, not a program error
    """A frame that is not OCPP-J. ``code`` and ``message_id`` are what a CALLERROR about it would carry."""

    def __init__(self, code: str, why: str, message_id: str | int = UNREADABLE_ID) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.message_id = message_id


def decode(frame: str | bytes, *, strict: bool) -> list[Any]:
    """The parts of a frame, with the type, the id and the number of elements checked. Raises
    ``Unreadable``.
    """
    if len(frame) > FRAME_MAX:
        raise Unreadable("RpcFrameworkError", f"frame of {len(frame)} bytes; allowed are {FRAME_MAX}")
    try:
        parts = bounded_json.decode(frame)
    except bounded_json.TooManyValues as fault:
        raise _too_many(frame, str(fault)) from fault
    except (ValueError, RecursionError) as fault:
        raise Unreadable("RpcFrameworkError", f"not JSON: {fault}") from fault
    if type(parts) is not list or len(parts) < 2:
        raise Unreadable("RpcFrameworkError", "not an array of at least two elements")
    kind, message_id = parts[0], parts[1]
    limit = ID_MAX if strict else ID_LENIENT_MAX
    if not (type(message_id) is str and 0 < len(message_id) <= limit) and (
        strict or type(message_id) is not int
    ):
        raise Unreadable("RpcFrameworkError", f"message id must be a string of 1 to {limit} characters")
    if type(kind) is not int or kind not in ELEMENTS:
        raise Unreadable(
            "MessageTypeNotSupported", f"message type {told(kind, 20)!r} is none of 2, 3, 4, 5, 6", message_id
        )
    least, most = ELEMENTS[kind]
    if not least <= len(parts) <= most:
        raise Unreadable(
            "RpcFrameworkError",
            f"message type {kind} has {least} to {most} elements, found {len(parts)}",
            message_id,
        )
    return parts


def told(value: Any, most: int) -> str:
    """What stands where a short word belongs, cut short; of a list or table only that it is one: writing it
    out costs more than reading it.
    """
    if isinstance(value, str):
        return value[:most]
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else str(value)[:most]


def _too_many(frame: str | bytes, why: str) -> Unreadable:
    """A CALL that is not read further has its id all the same."""
    octets = frame[: 4 * _HEAD_MAX]
    text = octets if isinstance(octets, str) else octets.decode("utf-8", "replace")
    head = _HEAD.match(text[:_HEAD_MAX])
    return Unreadable("FormatViolation", why, head[1]) if head else Unreadable("RpcFrameworkError", why)


def looks_like_call(frame: str | bytes) -> bool:
    """Whether an unreadable frame begins as a CALL does, so that its sender waits for an answer."""
    head = frame[:_HEAD_MAX]
    data = head.encode("utf-8", "replace") if isinstance(head, str) else head
    return _CALL_HEAD.match(data) is not None


def encode(parts: list[Any]) -> bytes:
    """A frame as UTF-8 JSON, to be sent as a text frame."""
    return _encoder.encode(parts)


def encode_call(message_id: str, action: str, payload: bytes) -> bytes:
    """A CALL whose payload is JSON already. Id and action are ours: there is nothing in them to escape."""
    return b'[2,"%b","%b",%b]' % (message_id.encode(), action.encode(), payload)


def error_code(version: Version, code: str) -> str:
    """``code`` as ``version`` spells it."""
    return V16_CODES.get(code, code) if version == "1.6" else code
