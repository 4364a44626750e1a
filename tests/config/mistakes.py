"""Realistic mistakes in a site file, as data: ``broken/base.toml`` is sound, each case of the other files
breaks one thing.

A case is ``name``, ``set`` (key path = the text behind the equals sign), ``drop`` (key paths), ``swap`` (old
text, new text) or ``append``, and ``report``: what ``check`` says, word for word. ``python -m
tests.config.mistakes`` writes the reports anew, to be read with ``git diff`` before they are kept. ``why``
says how a mistake is found that no file can show.
"""

import sys
from pathlib import Path
from typing import Any, Final

import tomli

from v2g_edge.cli.checking.maps import map_problems
from v2g_edge.config import toml
from v2g_edge.config.lines import placed
from v2g_edge.config.load import report_of
from v2g_edge.config.problems import Problem

FOLDER: Final = Path(__file__).parent / "broken"
BASE: Final = (FOLDER / "base.toml").read_text(encoding="utf-8")
FILE: Final = "site.toml"
KEYS: Final = ("name", "why", "set", "drop", "swap", "times", "append")


def files() -> list[Path]:
    """The files of cases."""
    return [path for path in sorted(FOLDER.glob("*.toml")) if path.name != "base.toml"]


def cases(path: Path) -> list[dict[str, Any]]:
    """The cases of one file."""
    found: list[dict[str, Any]] = tomli.loads(path.read_text(encoding="utf-8"))["cases"]
    return found


def broken(case: dict[str, Any]) -> str:
    """The base with one thing broken."""
    lines = BASE.split("\n")
    for key, text in case.get("set", {}).items():
        at, exists = _line(lines, key)
        name = key.rpartition("/")[2]
        lines[at : at + exists] = [f"{name} = {text}"]
    for key in case.get("drop", []):
        at, exists = _line(lines, key)
        assert exists, f"{case['name']}: there is no {key}"
        del lines[at]
    text = "\n".join(lines)
    if "swap" in case:
        old, new = case["swap"]
        assert old in text, f"{case['name']}: there is no {old!r}"
        text = text.replace(old, new, case.get("times", 1))
    return text + str(case.get("append", ""))


def _line(lines: list[str], key: str) -> tuple[int, int]:
    """Where a key stands ("evses/E01/fallback_w", "host/tick_s"), and 1; or where it would go in its
    table, and 0.
    """
    table, *entry, name = key.split("/")
    at = lines.index(f"[{table}]" if not entry else f"[[{table}]]")
    if entry:
        at = next(
            i
            for i, line in enumerate(lines)
            if line in {f'id = "{entry[0]}"', f'identity = "{entry[0]}"'}
            and lines[max(j for j in range(i) if lines[j].startswith("["))] == f"[[{table}]]"
        )
        at = max(j for j in range(at) if lines[j].startswith("["))
    end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("[")), len(lines))
    found = next((i for i in range(at + 1, end) if lines[i].startswith(f"{name} = ")), None)
    return (found, 1) if found is not None else (at + 1, 0)


def reported(text: str) -> list[str]:
    """What ``check`` says of a text, beyond this machine's own files and ports."""
    document, faults = toml.parse(text, Path(FILE))
    report = report_of(document, faults, FILE, text)
    problems: list[Problem] = placed([*report.problems, *map_problems(document, FILE)], text, document)
    return [f"{problem.level} {problem}" for problem in problems]


def rewrite() -> None:
    """Every case with the report of today."""
    for path in files():
        blocks = []
        for case in cases(path):
            lines = ["[[cases]]"]
            lines += [f"{key} = {_toml(case[key])}" for key in KEYS if key in case]
            found = reported(broken(case))
            lines.append(
                "report = [" + "".join(f"\n    {_toml(line)}," for line in found) + ("\n]" if found else "]")
            )
            blocks.append("\n".join(lines))
        path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_quoted(key)} = {_quoted(text)}" for key, text in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_quoted, value)) + "]"
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    if "'" not in text and "\n" not in text and "\t" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


if __name__ == "__main__":
    rewrite()
    sys.stdout.write("written; look at `git diff tests/config/broken`\n")
