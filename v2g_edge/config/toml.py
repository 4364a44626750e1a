"""Reads TOML and goes on after a fault, so that one report names every broken place of a file."""

import math
import re
from datetime import date, time
from pathlib import Path
from typing import Any, Final

import tomli

from v2g_edge.config.problems import Problem

FILE_MAX_BYTES: Final = 4 * 1024 * 1024
"""A site file of 1,000 chargers has half a megabyte."""
FAULTS_MAX: Final = 20
"""More syntax faults than this in one report do not help."""
INTEGER_BITS: Final = 64
"""A larger whole number is none of a site file's; beyond 1,024 none is a float any more."""
SHOWN_MAX: Final = 60
"""Characters of a broken line that a report repeats."""
ADVICE: Final = {
    "Illegal character": "Is the closing quote missing?",
    "Invalid value": "A text stands in quotes, a number has a point and nothing else.",
    "Expected newline": "A number has a point for its decimals and no other mark; one key a line.",
    "Unclosed array": "A bracket is not closed, here or above.",
    "Expected '='": "Write key = value.",
    "Cannot declare": "The table stands twice: write all of it in one, or [[ ]] for one entry of many.",
    "Cannot overwrite": "The key stands twice in this table.",
}
"""What to do, by the beginning of the parser's own words."""
HEADER: Final = re.compile(r"^\s*\[\[?[^\[\],{}]+\]\]?\s*(#.*)?$")


def read(path: Path) -> tuple[str, dict[str, Any], list[Problem]]:
    """The text, the document and its syntax faults; a table with a fault in it is missing from the
    document.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(path, error.strerror or str(error), "a readable TOML file", "Give the right path.")
    if len(raw) > FILE_MAX_BYTES:
        found = f"more than {FILE_MAX_BYTES} bytes"
        return _unreadable(path, found, f"at most {FILE_MAX_BYTES} bytes", "Is this the site file?")
    try:
        text = raw.decode("utf-8-sig")  # some editors put a mark in front
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        found = f"a byte that is not UTF-8 in line {row}"
        return _unreadable(path, found, "UTF-8 text", "Save the file as UTF-8.")
    return (text, *parse(text, path))


def _unreadable(path: Path, found: str, allowed: str, mend: str) -> tuple[str, dict[str, Any], list[Problem]]:
    return "", {}, [_fault(path, found, allowed, mend)]


def parse(text: str, path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The same for a text at hand; ``path`` names it in reports."""
    lines = text.split("\n")
    faults: list[Problem] = []
    while len(faults) < FAULTS_MAX:
        try:
            return _plain(tomli.loads("\n".join(lines))), faults
        except tomli.TOMLDecodeError as error:
            row = min(max(error.lineno, 1), max(len(lines), 1))
            found = f"{lines[row - 1].strip()[:SHOWN_MAX]!r}: {error.msg} at column {error.colno}"
            mend = f"{_advice(error.msg, lines[row - 1])} Its table was not looked at further."
            faults.append(Problem(str(path), f"line {row}", found, "TOML 1.1", mend, line=row))
            _cut_table(lines, row - 1)
        except ValueError:  # Python turns no text of so many digits into a number
            long = _fault(path, "a number of thousands of digits", "numbers of a depot", "Correct it.")
            return {}, [*faults, long]
        except RecursionError:
            return {}, [
                *faults,
                _fault(
                    path, "lists or tables nested too deeply", "TOML nested as in the example", "Flatten it."
                ),
            ]
    return {}, faults


def _plain(value: Any) -> Any:
    """A value as JSON has it: a date or time of day that was written without quotes as its text, a whole
    number without measure as an infinite one.
    """
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, date | time):  # a date is a moment too
        return str(value)
    if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
        return math.inf if value > 0 else -math.inf
    return value


def _advice(message: str, line: str) -> str:
    if any(mark in line for mark in "“”„‘’"):
        return 'Quotes are straight: ".'
    return next(
        (advice for begin, advice in ADVICE.items() if message.startswith(begin)), "Correct the line."
    )


def _cut_table(lines: list[str], row: int) -> None:
    """Blanks the table that the fault stands in, from its header to the next one, so that the others can
    be read.
    """
    first = next((index for index in range(row, -1, -1) if HEADER.match(lines[index])), 0)
    after = next((index for index in range(row + 1, len(lines)) if HEADER.match(lines[index])), len(lines))
    lines[first:after] = [""] * (after - first)


def _fault(path: Path, found: str, allowed: str, mend: str) -> Problem:
    return Problem(str(path), "(whole file)", found, allowed, mend)
