"""The report of ``v2g-edge check``: problems of one cause together, 80 columns, in the order of the file."""

import textwrap
from typing import Final

from v2g_edge.config import Problem

WIDTH: Final = 80
ENTRIES_SHOWN: Final = 6
"""So many places of one cause are named; the rest is a number."""


def head(file: str, problems: list[Problem]) -> str:
    """One line: how many of each, and what follows from it."""
    errors = sum(problem.level == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = [_count(errors, "problem"), _count(warnings, "warning")]
    text = (
        " and ".join(part for part, number in zip(parts, (errors, warnings), strict=True) if number)
        or "no problem"
    )
    return f"{file}: {text}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def grouped(problems: list[Problem]) -> list[list[Problem]]:
    """Errors first; problems that one cause makes in many entries of a table together."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.level != "error"):
        table, _, rest = problem.key.partition(".")
        field = rest.rpartition(".")[2]
        cause = (problem.level, table, field, problem.allowed, problem.mend)
        groups.setdefault(cause if field and rest != field else (*cause, problem.key), []).append(problem)
    return list(groups.values())


def lines_of(problems: list[Problem], file: str = "") -> list[str]:
    """Every group as a paragraph: where, found, allowed (a warning: usual), what to do. Places in another
    file than ``file`` name it.
    """
    lines: list[str] = []
    for group in grouped(problems):
        first = group[0]
        word = "ERROR  " if first.level == "error" else "warning"
        place = f"line {first.line}  " if first.line else ""
        dropin = f"{first.file}  " if file and first.file != file else ""
        lines += ["", f"{word}  {dropin}{place}{first.key}"]
        lines += _field("found", first.found)
        lines += _field("allowed" if first.level == "error" else "usual", first.allowed)
        lines += _field("mend", first.mend)
        if len(group) > 1:
            lines += _field("also", _others(group[1:]))
    return lines


def _others(group: list[Problem]) -> str:
    names = [
        f"{_entry(problem)} (line {problem.line})" if problem.line else _entry(problem) for problem in group
    ]
    more = f" and {len(names) - ENTRIES_SHOWN} more" if len(names) > ENTRIES_SHOWN else ""
    return ", ".join(names[:ENTRIES_SHOWN]) + more


def _entry(problem: Problem) -> str:
    return problem.key.partition(".")[2].rpartition(".")[0] or problem.key


def _field(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {name:8} ",
        subsequent_indent=" " * 11,
        break_long_words=False,
        break_on_hyphens=False,
    )
