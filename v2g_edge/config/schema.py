"""The file's schema: pydantic models made from the settings' own types and the table of keys, strict, with
no unknown keys.
"""

import json
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import pydantic
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo
from pydantic import ConfigDict, Field
from pydantic_core import ErrorDetails

from v2g_edge.config.hints import mend_of, near
from v2g_edge.config.keys import KEYS, TABLES
from v2g_edge.config.keys.key import IDENTITY, NAME, Key
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.problems import Problem
from v2g_edge.model.site import CurvePoint

ITEMS_MAX: Final = 10_000
"""Entries of one array of tables: ten times the largest depot (1,000 chargers), so that a runaway file
ends early.
"""
FOUND_MAX: Final = 60
"""Characters of a wrong value that a report repeats."""

PROBLEMS_MAX: Final = 200
"""Keys that are told of one file: nobody reads more, and one wrong line can be repeated 10,000 times."""

CURVE_MAX: Final = 100
"""Points of a charge curve: one a percent."""

Pairs = tuple[tuple[str, float], ...]
_LIST: Any = list  # types that are worked out at run time are beyond a type checker
_DICT: Any = dict
_TUPLE: Any = tuple


def key_of(struct: type[Struct], field: str) -> Key:
    """The row of the key; a field that has none yet is bound by its type alone."""
    return KEYS.get(struct, {}).get(field, Key("No further rule."))


def without_none(kind: Any) -> Any:
    """``X`` of ``X | None``: a key that may be left out and has no value then."""
    return (
        next(part for part in get_args(kind) if part is not NoneType)
        if get_origin(kind) is UnionType
        else kind
    )


def part_of(kind: Any) -> type[Struct] | None:
    """The Struct inside ``X``, ``X | None`` or ``tuple[X, ...]``; None for plain values (a curve point is
    one).
    """
    kind = without_none(kind)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, Struct) and kind is not CurvePoint else None


def is_list(kind: Any) -> bool:
    """Whether the key holds a list (or an array of tables); a table of numbers does not count as one."""
    return get_origin(kind) is tuple and kind != Pairs


def _plain(kind: Any, key: Key) -> Any:
    if kind in (int, float):
        rules: dict[str, Any] = {"le": key.high}
        if key.low is not None:
            rules["gt" if key.above else "ge"] = key.low
        if kind is float:
            rules["allow_inf_nan"] = False
        return Annotated[kind, Field(**rules)]
    if kind is str:
        return Annotated[str, Field(pattern=key.pattern or None)]
    options = get_args(kind)
    if get_origin(kind) is Literal and all(isinstance(option, int) for option in options):
        return Annotated[int, Field(ge=min(options), le=max(options))]  # a literal 0 would take false
    return kind


def _annotation(field: FieldInfo, key: Key) -> Any:
    kind = without_none(field.type)
    part = part_of(kind)
    if part is not None:
        return _list_of(model_of(part)) if is_list(kind) else model_of(part)
    if kind == Pairs:
        return _DICT[str, _plain(float, key)]
    if kind == tuple[CurvePoint, ...]:
        soc = Key("", "%", 0.0, 100.0)
        return _list_of(_TUPLE[_plain(float, soc), _plain(float, key)], low=1, high=CURVE_MAX)
    return _list_of(_plain(get_args(kind)[0], key)) if is_list(kind) else _plain(kind, key)


def _list_of(inner: Any, low: int = 0, high: int = ITEMS_MAX) -> Any:
    return Annotated[_LIST[inner], Field(min_length=low, max_length=high)]


def model_of(struct: type[Struct]) -> type[pydantic.BaseModel]:
    """The pydantic model of one table."""
    members: dict[str, Any] = {}
    for field in keys_of(struct):
        annotation = _annotation(field, key_of(struct, field.name))
        members[field.name] = (annotation, ... if field.default is NODEFAULT else None)
    config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())
    return pydantic.create_model(struct.__name__, __config__=config, **members)


_FILE: Final = model_of(SiteFile)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the whole file: what an editor needs to complete and check it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_FILE.model_json_schema(),
        "title": "v2g-edge site file",
    }
    for name, table in TABLES.items():
        schema["properties"][name]["description"] = table
    for struct, keys in KEYS.items():
        properties = schema["$defs"].get(struct.__name__, {}).get("properties", {})
        for field in keys_of(struct):
            if field.name in properties:
                properties[field.name]["description"] = (
                    f"{keys[field.name].text} ({allowed_of(struct, field)})"
                )
    return schema


Place = tuple[tuple[int | str, ...], str]
"""Where a document breaks the schema, and pydantic's word for how."""


def validate(document: dict[str, Any], file: str) -> tuple[list[Problem], list[Place]]:
    """Every key that is missing, unknown, of the wrong type or out of range; and where they are."""
    try:
        _FILE.model_validate_json(json.dumps(document, default=str))
    except pydantic.ValidationError as error:
        items = error.errors(include_url=False, include_context=False)
        told = [_problem(item, document, file) for item in items[:PROBLEMS_MAX]]
        if len(items) > PROBLEMS_MAX:
            told.append(_rest(len(items) - PROBLEMS_MAX, file))
        return told, [(item["loc"], item["type"]) for item in items]
    return [], []


def _rest(count: int, file: str) -> Problem:
    return Problem(
        file, "(whole file)", f"{count} more keys that cannot be used", "none", "Mend those above first."
    )


def path_of(loc: tuple[int | str, ...], document: Any) -> str:
    """The key's path for people: entries of arrays go by their id where they have one, else by their place
    from 1.
    """
    names: list[str] = []
    for step in loc:
        inner = _step(document, step)
        if isinstance(step, int):
            names.append(_entry(inner, step))
        else:
            names.append(step)
        document = inner
    return ".".join(names) or "(whole file)"


def _step(document: Any, step: int | str) -> Any:
    if isinstance(document, dict):
        return document.get(step)
    return (
        document[step]
        if isinstance(document, list) and isinstance(step, int) and step < len(document)
        else None
    )


def _entry(inner: Any, step: int) -> str:
    named = inner.get("id", inner.get("identity")) if isinstance(inner, dict) else None
    return named if isinstance(named, str) and named else f"#{step + 1}"


def _problem(item: ErrorDetails, document: dict[str, Any], file: str) -> Problem:
    loc, key = item["loc"], path_of(item["loc"], document)
    value: Any = document
    for step in loc:
        value = _step(value, step)
    struct, field = field_at(loc)
    if item["type"] == "extra_forbidden" and struct is not None:
        names = [each.name for each in keys_of(struct)]
        allowed = f"the keys of {key.rpartition('.')[0] or 'the file'} (docs/configuration.md)"
        return Problem(file, key, "an unknown key", allowed, _other_place(str(loc[-1]), names))
    allowed = allowed_of(struct, field) if struct is not None and field is not None else item["msg"]
    if item["type"] == "missing":
        return Problem(file, key, "nothing", allowed, "Add the key: it has no default.")
    rule = key_of(struct, field.name) if struct is not None and field is not None else Key("")
    kind = without_none(field.type) if field is not None else None
    return Problem(file, key, shown(value), allowed, mend_of(item["type"], value, kind, rule))


def _other_place(name: str, names: list[str]) -> str:
    """Where an unknown key belongs: to a name like it, or to another table."""
    meant = near(name, names)
    if meant:
        return f"Did you mean {meant}?"
    tables = [field.name for field in keys_of(SiteFile) if _has_key(field, name)]
    return f"It is a key of {', '.join(tables)}." if tables else "Remove it, or correct its name."


def _has_key(field: FieldInfo, name: str) -> bool:
    part = part_of(field.type)
    return part is not None and any(each.name == name for each in keys_of(part))


def shown(value: Any) -> str:
    """A value as a report repeats it, in the file's own spelling and not longer than ``FOUND_MAX``."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= FOUND_MAX else text[:FOUND_MAX] + "…"


def field_at(loc: tuple[int | str, ...]) -> tuple[type[Struct] | None, FieldInfo | None]:
    """The table and the field that an error speaks of."""
    struct, field, _place = placed(loc)
    return struct, field


def placed(loc: tuple[int | str, ...]) -> tuple[type[Struct], FieldInfo | None, int]:
    """The table, the field, and the place of the field's key in ``loc``: one name may stand in it more
    than once.
    """
    struct: type[Struct] = SiteFile
    field: FieldInfo | None = None
    at = 0
    for place, step in enumerate(loc):
        if isinstance(step, int):
            continue
        if field is not None:
            inner = part_of(field.type)
            if inner is None:
                break
            struct = inner
        field, at = next((each for each in keys_of(struct) if each.name == step), None), place
    return struct, field, at


def allowed_of(struct: type[Struct], field: FieldInfo) -> str:
    """What the key may hold, in words: type, range, unit."""
    key, kind = key_of(struct, field.name), without_none(field.type)
    if part_of(kind) is not None:
        return "an array of tables" if is_list(kind) else "a table"
    if kind == Pairs:
        return f"a table of numbers{_range(key)}"
    if kind == tuple[CurvePoint, ...]:
        return f"1 to {CURVE_MAX} points [SoC 0-100 %, power in W ≥ 0]"
    if is_list(kind):
        return key.form or f"a list of texts{_form(key)}"
    if get_origin(kind) is Literal:
        return " or ".join(json.dumps(option) for option in get_args(kind))
    if kind is bool:
        return "true or false"
    if kind is str:
        return key.form or f"a text{_form(key)}"
    return (
        f"{'a whole number' if kind is int else 'a number'}{_range(key)}{' ' + key.unit if key.unit else ''}"
    )


def _form(key: Key) -> str:
    if key.pattern == IDENTITY:
        return " of 1 to 48 letters, digits, * - _ = : + | @ ."
    if key.pattern == NAME:
        return " of 1 to 48 letters, digits, _ . : -"
    limits = key.pattern.rpartition("{")[2].partition("}")[0].replace(",", " to ")
    return f" of {limits} characters on one line" if limits else ""


def _range(key: Key) -> str:
    low = "" if key.low is None else f"{'above ' if key.above else 'from '}{key.low:g}"
    high = "" if key.high is None else f"to {key.high:g}"
    return "".join(f" {part}" for part in (low, high) if part)
