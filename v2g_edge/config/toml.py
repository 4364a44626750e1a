"""Reads TOML and goes on after a fault, so that one report names every broken place of a file."""

import re
from pathlib import Path
from typing import Any, Final

import tomli

from v2g_edge.config.problems import Problem

FILE_MAX_BYTES: Final = 4 * 1024 * 1024
"""A site file of 1,000 chargers has half a megabyte."""
FAULTS_MAX: Final = 20
"""More syntax faults than this in one report help nobody."""
HEADER: Final = re.compile(r"^\s*\[\[?[^\[\],{}]+\]\]?\s*(#.*)?$")


def read(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The document and its syntax faults; a table with a fault in it is missing from the document."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        return {}, [
            Problem(str(path), "(whole file)", error.strerror or str(error), "a readable TOML file", "Give the right path.")
        ]
    if len(raw) > FILE_MAX_BYTES:
        return {}, [
            _fault(path, f"more than {FILE_MAX_BYTES} bytes", f"at most {FILE_MAX_BYTES} bytes", "Is this the site file?")
        ]
    try:
        return parse(raw.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        return {}, [_fault(path, f"a byte that is not UTF-8 at {error.start}", "UTF-8 text", "Save the file as UTF-8.")]


def parse(text: str, path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The same for a text at hand; ``path`` names it in reports."""
    lines = text.split("\n")
    faults: list[Problem] = []
    while len(faults) < FAULTS_MAX:
        try:
            return tomli.loads("\n".join(lines)), faults
        except tomli.TOMLDecodeError as error:
            row = min(max(error.lineno, 1), max(len(lines), 1))
            found = f"line {row}, column {error.colno}: {error.msg}"
            faults.append(
                Problem(str(path), f"line {row}", found, "TOML 1.1", "Correct the line; its table was not looked at further.")
            )
            _cut_table(lines, row - 1)
        except RecursionError:
            return {}, [
                *faults,
                _fault(path, "lists or tables nested too deeply", "TOML nested as in the example", "Flatten it."),
            ]
    return {}, faults


def _cut_table(lines: list[str], row: int) -> None:
    """Blanks the table that the fault stands in, from its header to the next one, so that the others can be read."""
    first = next((index for index in range(row, -1, -1) if HEADER.match(lines[index])), 0)
    after = next((index for index in range(row + 1, len(lines)) if HEADER.match(lines[index])), len(lines))
    lines[first:after] = [""] * (after - first)


def _fault(path: Path, found: str, allowed: str, mend: str) -> Problem:
    return Problem(str(path), "(whole file)", found, allowed, mend)
