"""Validators for every message, compiled on first use from the JSON schemas of the ``ocpp`` package.

Compiled (``jsonschema-rs``) because the package's own validation takes 1-16 ms a message, and ours 3-20 µs on
the same schemas. 1.6 schemas are draft 4, the others draft 6; ``format: date-time`` (RFC 3339) is enforced.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

import jsonschema_rs
import msgspec

from v2g_edge.field.ocpp.wire.messages import SENDS, Version

Kind = Literal["request", "response"]
Validator: TypeAlias = jsonschema_rs.Draft4Validator | jsonschema_rs.Draft6Validator

PROBLEMS_MAX: Final = 8
"""Problems reported of one message: enough to mend it, and a hostile one cannot fill a log line."""

LISTED_MAX: Final = (256, 8 << 10)
FIRST_MAX: Final = (1_024, 32 << 10)
"""Values and octets of a payload of which several problems are told, and of one of which the first is. The
validator finds all of them before it gives the first, each with a copy of what it is about (16 s and 2 GB
for 170,000 values), and copies for one too: 0.4 ms for 1,000 numbers like 1e308, and our counting takes 0.2
ms. Of anything larger it is only told that it does not conform, which the validator knows in microseconds.
"""

_FOLDER: Final[dict[Version, str]] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
"""Below the package. Not imported: its modules make hundreds of classes, which held up the loop for a
second on first use.
"""

_CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}
"""Violated keyword → error code (OCPP 2.0.1 Part 4 table 9); every other keyword bounds a value:
PropertyConstraintViolation.
"""


_JSON_NAMES: Final = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}

TOLD_MAX: Final = 200
"""Characters shown of one thing."""


class SchemaProblem(msgspec.Struct, frozen=True):
    """One violation: the error ``code`` it answers to, ``where`` in the payload, and ``what`` is wrong."""

    code: str
    where: str
    what: str


TOO_LARGE: Final = SchemaProblem("FormatViolation", "", "does not conform; it is too large to say where")


def schema(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    """The schema as published; FileNotFoundError for a message that the version does not have."""
    suffix = (
        "Response"
        if kind == "response"
        else ""
        if version == "1.6" or action in SENDS[version]
        else "Request"
    )
    text = files("ocpp").joinpath(_FOLDER[version], "schemas", f"{action}{suffix}.json").read_bytes()
    loaded: dict[str, Any] = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))
    return loaded


@cache  # 387 messages in all: the cache cannot outgrow the schemas
def validator(version: Version, action: str, kind: Kind) -> Validator:
    """The compiled validator of one message."""
    compiler = jsonschema_rs.Draft4Validator if version == "1.6" else jsonschema_rs.Draft6Validator
    return compiler(schema(version, action, kind), validate_formats=True)


@cache
def may_be_empty(version: Version, action: str) -> bool:
    """Whether an answer without any content conforms, as most do: asked once, not for every answer."""
    return validator(version, action, "response").is_valid({})


def problems(
    version: Version, action: str, kind: Kind, payload: Any, octets: int = 0
) -> tuple[SchemaProblem, ...]:
    """What is wrong with ``payload``; empty when it conforms. At most ``PROBLEMS_MAX``, the first ones
    found. ``octets``: of the frame that it came in, where that is known; a large one is not looked through.
    """
    if type(payload) is not dict:
        return (
            SchemaProblem(_CODES["type"], "", f"{_JSON_NAMES.get(type(payload), 'a number')} is no object"),
        )
    check = validator(version, action, kind)
    try:
        if check.is_valid(payload):
            return ()
        return _listed(check, payload) if octets <= FIRST_MAX[1] else (TOO_LARGE,)
    except ValueError as fault:  # nested deeper than the validator walks, or a number no JSON can hold
        return (SchemaProblem("FormatViolation", "", str(fault)[:TOLD_MAX]),)


def _listed(check: Validator, payload: Any) -> tuple[SchemaProblem, ...]:
    if _room_left(payload, *LISTED_MAX)[0] >= 0:
        return tuple(_problem(error) for error in islice(check.iter_errors(payload), PROBLEMS_MAX))
    if _room_left(payload, *FIRST_MAX)[0] >= 0:
        try:
            check.validate(payload)
        except jsonschema_rs.ValidationError as error:
            return (_problem(error),)
    return (TOO_LARGE,)


def _problem(error: jsonschema_rs.ValidationError) -> SchemaProblem:
    code = _CODES.get(error.kind.name, "PropertyConstraintViolation")
    return SchemaProblem(
        code, ".".join(str(step)[:TOLD_MAX] for step in error.instance_path), error.message[:TOLD_MAX]
    )


def _room_left(value: Any, values: int, octets: int) -> tuple[int, int]:
    """``values`` and ``octets`` less what ``value`` has; stops as soon as one of them is used up, and then
    the first is -1.
    """
    values, octets = values - 1, octets - (len(value) if isinstance(value, str) else 8)
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        octets -= sum(map(len, islice(value, FIRST_MAX[0])))
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    for item in inner:
        if values < 0 or octets < 0:
            break
        values, octets = _room_left(item, values, octets)
    return (-1, octets) if octets < 0 else (values, octets)
