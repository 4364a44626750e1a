"""Finds the line of each key in a TOML text, so that a report can name it. Says nothing about what TOML
allows.
"""

import re
from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.config.problems import Problem
from v2g_edge.config.schema import path_of

Loc = tuple[int | str, ...]

PART: Final = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
DOTTED: Final = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER: Final = re.compile(rf"^\s*(\[\[?)\s*({DOTTED})\s*\]\]?\s*(?:#.*)?$")
KEY: Final = re.compile(rf"^\s*({DOTTED})\s*=(.*)$")
TOKEN: Final = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*|[\[\]{}]')
"""What opens or closes a value that goes on in the next line; strings and comments so that brackets in
them do not count.
"""


def placed(problems: list[Problem], text: str, document: dict[str, Any]) -> list[Problem]:
    """The problems with their lines, in the order of the file; what has no line of its own stands at its
    table's.
    """
    lines = lines_by_path(text, document)
    found = [replace(problem, line=problem.line or _line_of(problem.key, lines)) for problem in problems]
    return sorted(found, key=lambda problem: problem.line)


def lines_by_path(text: str, document: dict[str, Any]) -> dict[str, int]:
    """A table that two entries name (one id twice) is found at the later one, a key at the first."""
    lines: dict[str, int] = {}
    for loc, line, is_table in _places(text):
        path = path_of(loc, document)
        if is_table or path not in lines:
            lines[path] = line
    return lines


def _line_of(key: str, lines: dict[str, int]) -> int:
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key, 0)


def _places(text: str) -> list[tuple[Loc, int, bool]]:
    """Every table header and every key, with its line and whether it is a header."""
    places: list[tuple[Loc, int, bool]] = []
    counts: dict[Loc, int] = {}
    table: Loc = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        rest = line
        if not depth and not quote:
            header = HEADER.match(line)
            if header:
                table = _table(header[2], counts, is_array=header[1] == "[[")
                places.append((table, number, True))
                continue
            key = KEY.match(line)
            if key is None:
                continue
            places.append((table + tuple(_parts(key[1])), number, False))
            rest = key[2]
        depth, quote = _after(rest, depth, quote)
    return places


def _table(dotted: str, counts: dict[Loc, int], *, is_array: bool) -> Loc:
    """The place of a header: entries of arrays of tables are counted from 0."""
    loc: Loc = ()
    *above, last = _parts(dotted)
    for part in above:
        loc += (part,)
        if loc in counts:
            loc += (counts[loc],)
    loc += (last,)
    if is_array:
        counts[loc] = counts.get(loc, -1) + 1
        loc += (counts[loc],)
    return loc


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(PART, dotted)]


def _after(rest: str, depth: int, quote: str) -> tuple[int, str]:
    """How many brackets are open after a line, and which multi-line string."""
    for mark in TOKEN.findall(rest):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in {'"""', "'''"}:
            quote = mark
        elif mark in "[{":
            depth += 1
        elif mark in "]}":
            depth = max(depth - 1, 0)
    return depth, quote
