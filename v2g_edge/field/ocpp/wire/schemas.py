"""Validators for every message, compiled on first use from the JSON schemas of the ``ocpp`` package.

Compiled (``jsonschema-rs``) because the package's own validation takes 1-16 ms a message, and ours 3-20 µs on the same
schemas. 1.6 schemas are draft 4, the others draft 6; ``format: date-time`` (RFC 3339) is enforced.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias

import jsonschema_rs
import msgspec

from v2g_edge.field.ocpp.wire.messages import SENDS, Version

Kind = Literal["request", "response"]
Validator: TypeAlias = jsonschema_rs.Draft4Validator | jsonschema_rs.Draft6Validator

PROBLEMS_MAX: Final = 8
"""Problems told of one message: enough to mend it, and a hostile one cannot fill a log line."""

_FOLDER: Final[dict[Version, str]] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
"""Below the package. Not imported: its modules make hundreds of classes, which held up the loop for a second on first use."""

_CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "additionalProperties": "FormatViolation",
}
"""Violated keyword → error code (OCPP 2.0.1 Part 4 table 9); every other keyword bounds a value: PropertyConstraintViolation."""


class SchemaProblem(msgspec.Struct, frozen=True):
    """One violation: the error ``code`` it answers to, ``where`` in the payload, and ``what`` is wrong."""

    code: str
    where: str
    what: str


def schema(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    """The schema as published; FileNotFoundError for a message that the version does not have."""
    suffix = "Response" if kind == "response" else "" if version == "1.6" or action in SENDS[version] else "Request"
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


def problems(version: Version, action: str, kind: Kind, payload: Any) -> tuple[SchemaProblem, ...]:
    """What is wrong with ``payload``; empty when it conforms. At most ``PROBLEMS_MAX``, the first ones found."""
    check = validator(version, action, kind)
    try:
        if check.is_valid(payload):
            return ()
        return _listed(check, payload)
    except ValueError as fault:  # nested deeper than the validator walks, or a number no JSON can hold
        return (SchemaProblem("FormatViolation", "", str(fault)[:200]),)


def _listed(check: Validator, payload: Any) -> tuple[SchemaProblem, ...]:
    found = []
    for error in check.iter_errors(payload):
        code = _CODES.get(error.kind.name, "PropertyConstraintViolation")
        found.append(SchemaProblem(code, ".".join(str(step) for step in error.instance_path), error.message[:200]))
        if len(found) == PROBLEMS_MAX:
            break
    return tuple(found)
