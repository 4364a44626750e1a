"""The console's playbook, made from docs/events.md: ``python -m tests.pages.playbook`` writes it."""

import json
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "events.md"
TARGET: Final = ROOT / "v2g_edge" / "console" / "static" / "playbook.json"
ROW: Final = re.compile(r"^\| (`[a-z0-9_.]+`(?:, `[a-z0-9_.]+`)*) \|(.+)\|$", re.MULTILINE)
KIND: Final = re.compile(r"`([a-z0-9_.]+)`")


def playbook() -> dict[str, list[str]]:
    """For each kind of event what it means and what to do, as the page says it, without its markup."""
    found = {}
    for kinds, rest in ROW.findall(PAGE.read_text(encoding="utf-8")):
        cells = [_plain(cell) for cell in rest.split(" | ")]
        found.update(dict.fromkeys(KIND.findall(kinds), cells[-2:]))
    return found


def _plain(cell: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell).replace("`", "").strip()


def rendered() -> str:
    """The file."""
    return json.dumps(playbook(), ensure_ascii=False, indent=0) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
