"""Drop-ins: ``site.d/*.toml`` beside ``site.toml`` change or add to it, in the order of their names.

A table is laid over the table of the same name, key by key. An entry of a list of tables is laid over the
entry with the same ``id`` (``identity`` of a station); one with a new name, or without any, is added. Every
other value is replaced. So a drop-in of two lines changes one key of one charger.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from v2g_edge.config import toml
from v2g_edge.config.lines import lines_by_path
from v2g_edge.config.problems import Problem

NAMES: Final = ("id", "identity")
"""The key that names an entry of a list of tables."""

Document = dict[str, Any]


class Source(NamedTuple):
    """One file of a site: where it lies, its text, and what it says."""

    path: Path
    text: str
    document: Document


def folder_of(site_file: Path) -> Path:
    """Where the drop-ins of a site file lie: ``site.d`` for ``site.toml``."""
    return site_file.with_name(f"{site_file.stem}.d")


def read_dropins(site_file: Path) -> tuple[list[Source], list[Problem]]:
    """All drop-ins of a site file by name, and what keeps them from being read."""
    folder = folder_of(site_file)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        mend = "Let the group v2g-edge read the folder (chmod 0750, chgrp v2g-edge)."
        found = error.strerror or str(error)
        return [], [Problem(str(folder), "(whole folder)", found, "a readable folder", mend)]
    sources, faults = [], []
    for path in paths:
        text, document, wrong = toml.read(path)
        sources.append(Source(path, text, document))
        faults += wrong
    return sources, faults


def laid_over(base: Document, over: Document) -> Document:
    """``base`` with every key of ``over``."""
    return {**base, **{key: _value(base.get(key), value) for key, value in over.items()}}


def _value(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return laid_over(old, new)
    if _is_tables(old) and _is_tables(new):
        return _entries(old, new)
    return new


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _entries(old: list[Document], new: list[Document]) -> list[Document]:
    entries = list(old)
    places = {name: place for place, entry in enumerate(old) if (name := _name(entry))}
    for entry in new:
        place = places.get(_name(entry) or "")
        if place is None:
            entries.append(entry)
        else:
            entries[place] = laid_over(entries[place], entry)
    return entries


def _name(entry: Document) -> str:
    """The name of an entry, empty where it has none."""
    return next((entry[key] for key in NAMES if isinstance(entry.get(key), str)), "")


def in_their_files(problems: list[Problem], sources: list[Source]) -> list[Problem]:
    """Each problem with the file that said its key last and the line there; the first file where none did."""
    lines = [(str(each.path), lines_by_path(each.text, each.document)) for each in sources]
    order = {file: place for place, (file, _) in enumerate(lines)}
    found = [problem if problem.line else _in_file(problem, lines) for problem in problems]
    return sorted(found, key=lambda problem: (order.get(problem.file, 0), problem.line))


def _in_file(problem: Problem, files: list[tuple[str, dict[str, int]]]) -> Problem:
    """By the key itself, else by the table that it stands in."""
    key = problem.key
    while key:
        for file, lines in reversed(files):
            if key in lines:
                return replace(problem, file=file, line=lines[key])
        key = key.rpartition(".")[0]
    return problem
