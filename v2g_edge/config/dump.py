"""Settings back to TOML: for the simulator's site files, for ``v2g-edge check``'s round trip, and for the
commented example.
"""

import json
from typing import Any, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo

from v2g_edge.config.keys import TABLES
from v2g_edge.config.layout import SiteFile, from_settings, keys_of
from v2g_edge.config.schema import Pairs, allowed_of, is_list, key_of, part_of, without_none
from v2g_edge.model.settings import Settings
from v2g_edge.model.site import CurvePoint


def dump(settings: Settings, *, commented: bool = False) -> str:
    """The site file as text; loading it gives ``settings`` again. ``commented``: meaning, unit, default
    and range too.
    """
    file = from_settings(settings)
    blocks: list[str] = []
    for field in keys_of(SiteFile):
        value = getattr(file, field.name)
        part = part_of(field.type)
        assert part is not None  # noqa: S101 - every top-level key is a table
        entries = value if is_list(field.type) else (value,)
        for place, entry in enumerate(entries):
            head = [f"# {TABLES[field.name]}"] if commented and place == 0 else []
            head.append(f"[[{field.name}]]" if is_list(field.type) else f"[{field.name}]")
            blocks.append("\n".join(head + _keys(part, entry, commented and place == 0)))
    return "\n\n".join(blocks) + "\n"


def _keys(struct: type[Struct], value: Struct, commented: bool) -> list[str]:
    lines: list[str] = []
    for field in keys_of(struct):
        item = getattr(value, field.name)
        if commented:
            lines.extend(f"# {line}" for line in comment_of(struct, field))
        if item is not None:
            lines.append(f"{field.name} = {_text(item, field.type)}")
    return lines


def comment_of(struct: type[Struct], field: FieldInfo) -> list[str]:
    """What stands above a key in the example: its meaning, then what it may hold; the keys of a table
    inside it too.
    """
    lines = [key_of(struct, field.name).text, f"  {_rule(struct, field)}"]
    part = part_of(field.type)
    if part is not None:
        lines.extend(
            f"  {inner.name}: {key_of(part, inner.name).text} {_rule(part, inner)}" for inner in keys_of(part)
        )
    return lines


def _rule(struct: type[Struct], field: FieldInfo) -> str:
    return f"({default_of(field)}; {allowed_of(struct, field)})"


def default_of(field: FieldInfo) -> str:
    """What holds when the key is left out, in words."""
    if field.default is NODEFAULT:
        return "required" if field.default_factory is NODEFAULT else "left out: none"
    if field.default is None:
        return "left out: none"
    if field.default in ((), {}):
        return "default: none"
    return (
        "default: the defaults below"
        if isinstance(field.default, Struct)
        else f"default {_text(field.default, field.type)}"
    )


def _text(value: Any, kind: Any) -> str:
    kind = without_none(kind)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, CurvePoint):
        return f"[{value.soc_pct!r}, {value.power_w!r}]"
    if isinstance(value, Struct):
        inner = ((field, getattr(value, field.name)) for field in keys_of(type(value)))
        return (
            "{ "
            + ", ".join(
                f"{field.name} = {_text(item, field.type)}" for field, item in inner if item is not None
            )
            + " }"
        )
    if kind == Pairs:
        pairs = ", ".join(f"{json.dumps(name)} = {number!r}" for name, number in value)
        return "{ " + pairs + " }" if pairs else "{}"
    if get_origin(kind) is tuple:
        return "[" + ", ".join(_text(item, get_args(kind)[0]) for item in value) + "]"
    return repr(value)
