"""Brings an older site file to this version's form, line by line: comments and order stay."""

import re
from typing import Any, Final, NamedTuple

import tomli

from v2g_edge.config.lines import HEADER

OLD_KEY: Final = r"^(?P<indent>\s*){key}(?P<equals>\s*=)"
OLD_VALUE: Final = r"^(?P<head>\s*{key}\s*=\s*)(?P<quote>[\"']){old}(?P=quote)"


class Step(NamedTuple):
    """What a version changed: ``key`` of the table (or of each entry of the list of tables) ``table`` is now
    ``new_key``, or its value ``old`` is now ``new``. ``since``: the version that reads the new form alone.
    """

    since: str
    table: str
    key: str
    new_key: str = ""
    old: str = ""
    new: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """What is looked for in a line of the table."""
        if self.new_key:
            return re.compile(OLD_KEY.format(key=re.escape(self.key)))
        return re.compile(OLD_VALUE.format(key=re.escape(self.key), old=re.escape(self.old)))

    @property
    def text(self) -> str:
        """The line's new beginning, for ``re.sub``."""
        if self.new_key:
            return rf"\g<indent>{self.new_key}\g<equals>"
        return rf"\g<head>\g<quote>{self.new}\g<quote>"


STEPS: Final = (Step("0.2.0", "devices", "map", old="contact", new="relay"),)
"""All changes of the form, oldest first. A renamed key or value gets a row here."""


class Changed(NamedTuple):
    """One line that was changed."""

    line: int
    before: str
    after: str
    since: str


def migrated(text: str, steps: tuple[Step, ...] = STEPS) -> tuple[str, list[Changed]]:
    """The text in this version's form, and what was changed. A step whose result is no TOML, or does not say
    the same elsewhere, is left out: the report of ``v2g-edge check`` names the place.
    """
    changes: list[Changed] = []
    for step in steps:
        after, found = _stepped(text, step)
        if found and _is_toml(after):
            text, changes = after, changes + found
    return text, changes


def _stepped(text: str, step: Step) -> tuple[str, list[Changed]]:
    lines, found, table = text.split("\n"), list[Changed](), ""
    for place, line in enumerate(lines):
        header = HEADER.match(line)
        if header:
            table = header[2].strip()
        elif table == step.table and step.pattern.match(line):
            lines[place] = step.pattern.sub(step.text, line)
            found.append(Changed(place + 1, line.strip(), lines[place].strip(), step.since))
    return "\n".join(lines), found


def _is_toml(text: str) -> bool:
    try:
        document: dict[str, Any] = tomli.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(document)
