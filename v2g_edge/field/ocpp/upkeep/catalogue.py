"""How an operation is written down: which parameters it takes in each version of OCPP, and the message
that comes of them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.timestamps import parse_wall

Params: TypeAlias = Mapping[str, Any]
Message: TypeAlias = tuple[str, dict[str, Any]]

KINDS: Final[dict[str, str]] = {
    "text": "a text",
    "int": "a whole number",
    "number": "a number",
    "flag": "true or false",
    "time": "a time as in 2026-03-01T12:00:00Z",
    "list": "a list",
    "texts": "a list of texts",
    "ints": "a list of whole numbers",
    "table": "a table",
}
"""Kinds of parameters, as people see them."""

NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")

REQUEST: Final = 0
"""Request id of what a person asks for: the daemon's own begin at 1."""


class Form(NamedTuple):
    """``takes``: ``name``, ``name:kind``, and with a ``?`` behind it what may be left out. ``build`` gets
    them checked.
    """

    takes: str
    build: Callable[[Params], Message]


class Operation(NamedTuple):
    """What is asked for, in words; None where a version has no message for it."""

    text: str
    v16: Form | None
    v201: Form | None
    v21: Form | None

    def form(self, version: Version) -> Form | None:
        """How it is asked for in ``version``."""
        return {"1.6": self.v16, "2.0.1": self.v201, "2.1": self.v21}[version]


def both(text: str, v16: Form | None, v2: Form | None) -> Operation:
    """An operation that 2.0.1 and 2.1 write in the same way."""
    return Operation(text, v16, v2, v2)


def same(text: str, takes: str, build: Callable[[Params], Message]) -> Operation:
    """An operation that all versions write in the same way."""
    return both(text, Form(takes, build), Form(takes, build))


def checked(operation: str, takes: str, params: Params) -> dict[str, Any]:
    """The parameters as their kinds want them. ValueError names the one that is unknown, missing or of the
    wrong kind.
    """
    rows = [row.rstrip("?").partition(":") for row in takes.split()]
    kinds = {name: kind or "text" for name, _, kind in rows}
    told = f"{operation} takes {spelled(takes)}"
    for name in params:
        if name not in kinds:
            raise ValueError(f"{operation} has no parameter {name!r}; {told}")
    for row in takes.split():
        name = row.rstrip("?").partition(":")[0]
        if not row.endswith("?") and name not in params:
            raise ValueError(f"{name} is missing; {told}")
    return {name: _as(operation, name, kinds[name], value) for name, value in params.items()}


def spelled(takes: str) -> str:
    """The parameters for people; what may be left out stands in brackets."""
    words = []
    for row in takes.split():
        name, _, kind = row.rstrip("?").partition(":")
        word = name if kind in ("", "int", "number", "time") else f"{name} ({KINDS[kind]})"
        words.append(f"[{word}]" if row.endswith("?") else word)
    return ", ".join(words) or "no parameters"


def _as(operation: str, name: str, kind: str, value: Any) -> Any:
    match kind:
        case "text" if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "int" if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        case "number" if isinstance(value, str) and NUMBER.fullmatch(value):
            return float(value)
        case "flag" if isinstance(value, bool):
            return value
        case "time" if parse_wall(value) is not None:
            return value
        case "list" if isinstance(value, list):
            return value
        case "texts" if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
            return [str(each) for each in value]
        case "ints" if isinstance(value, list) and all(type(each) is int for each in value):
            return value
        case "table" if isinstance(value, dict):
            return value
    raise ValueError(f"{operation}: {name} is {KINDS[kind]}, found {value!r}")


def picked(p: Params, **names: str) -> dict[str, Any]:
    """The params that were given, under their wire names."""
    return {wire: p[name] for name, wire in names.items() if name in p}


def evse_of(p: Params) -> dict[str, int]:
    """An outlet as 2.x names it; without a connector the whole EVSE."""
    return {"id": p.get("evse", 1), **picked(p, connector="connectorId")}


def token_of(token: str, kind: str = "Central") -> dict[str, Any]:
    """An identifier as 2.x wants it."""
    return {"idToken": token, "type": kind}


def variable_of(p: Params) -> dict[str, Any]:
    """A variable of the device model: ``component``, ``variable``, and where there are several
    ``instance``, ``evse``.
    """
    component: dict[str, Any] = {"name": p["component"], **picked(p, instance="instance")}
    if "evse" in p:
        component["evse"] = {"id": p["evse"]}
    return {"component": component, "variable": {"name": p["variable"]}}


VARIABLE: Final = "component variable instance? evse:int?"
"""The parameters of ``variable_of``."""
