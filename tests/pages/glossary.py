"""The lists at the end of docs/glossary.md, made from the code: ``python -m tests.pages.glossary``
rewrites the page.
"""

from pathlib import Path
from typing import Final

from tests.cli.test_events_doc import kinds_in_code
from v2g_edge.config.keys import TABLES
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.schema import part_of
from v2g_edge.envelope.checks import ROWS

PAGE: Final = Path(__file__).parents[2] / "docs" / "glossary.md"
MARK: Final = "<!-- From here on made by `python -m tests.pages.glossary`; a test compares. -->"


def config_keys() -> dict[str, list[str]]:
    """Every key of the site file with the tables in which it stands."""
    found: dict[str, list[str]] = {}
    for field in keys_of(SiteFile):
        part = part_of(field.type)
        parts = [(field.name, part)]
        while parts:
            table, struct = parts.pop()
            if struct is None:
                continue
            for key in keys_of(struct):
                found.setdefault(key.name, []).append(table)
                parts.append((f"{table}.{key.name}", part_of(key.type)))
    return found


def render() -> str:
    """The generated part."""
    lines = [
        MARK,
        "",
        "## Rows of the safety table",
        "",
        "What each does and how it ends: [events.md](events.md).",
        "",
    ]
    lines += [f"- `{row.id}`: {row.cause}" for row in sorted(ROWS, key=lambda row: row.id)]
    lines += ["", "## Events beside them", "", "Meaning and remedy: [events.md](events.md).", ""]
    lines += [f"- `{kind}`" for kind in sorted(kinds_in_code())]
    lines += [
        "",
        "## Keys of the site file",
        "",
        "Meaning, unit, default and range: [configuration.md](configuration.md).",
        "",
    ]
    keys = config_keys()
    lines += [f"- `{key}` in `{'`, `'.join(sorted(keys[key]))}`" for key in sorted(keys)]
    assert set(TABLES) >= {field.name for field in keys_of(SiteFile)}
    return "\n".join(lines) + "\n"


def written() -> str:
    """The part that people write."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0]


if __name__ == "__main__":
    PAGE.write_text(written() + render(), encoding="utf-8")
