"""The reference part of docs/configuration.md, made from the table of keys."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from v2g_edge.config.dump import default_of
from v2g_edge.config.gridcode import code_names, shipped_code
from v2g_edge.config.keys import TABLES
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.schema import allowed_of, is_list, key_of, part_of

MARK: Final = "<!-- From here on made by `python -m v2g_edge.config --manual`; a test compares. -->"


def manual() -> str:
    """Every table with its keys: meaning, default, range; then the grid codes."""
    lines = [MARK]
    for field in keys_of(SiteFile):
        part = part_of(field.type)
        assert part is not None  # noqa: S101 - every top-level key is a table
        head = f"[[{field.name}]]" if is_list(field.type) else f"[{field.name}]"
        lines += [
            "",
            f"## `{head}`",
            "",
            TABLES[field.name],
            "",
            "| key | meaning | default | allowed |",
            "|---|---|---|---|",
        ]
        lines += _rows(part, "")
    lines += ["", "## Grid codes", "", "| code | nominal | status | edition |", "|---|---|---|---|"]
    for name in code_names():
        code = shipped_code(name)
        lines.append(f"| `{name}` | {code.nominal_hz:g} Hz | {code.status} | {_cell(code.edition)} |")
    return "\n".join(lines) + "\n"


def _rows(struct: type[Struct], prefix: str) -> Iterator[str]:
    for field in keys_of(struct):
        text, default, allowed = key_of(struct, field.name).text, default_of(field), allowed_of(struct, field)
        yield f"| `{prefix}{field.name}` | {_cell(text)} | {_cell(default)} | {_cell(allowed)} |"
        part = part_of(field.type)
        if part is not None:
            yield from _rows(part, f"{field.name}.")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
