"""The table of keys, the example and the manual say the same, and leave nothing out."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from v2g_edge import config
from v2g_edge.config.keys import KEYS, TABLES
from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.manual import MARK, manual
from v2g_edge.config.schema import part_of

EXAMPLE = Path("etc/site.example.toml")
MANUAL = Path("docs/configuration.md")


def _tables(struct: type[Struct] = SiteFile) -> Iterator[type[Struct]]:
    yield struct
    for field in keys_of(struct):
        part = part_of(field.type)
        if part is not None:
            yield from _tables(part)


def test_every_field_of_the_settings_has_a_row_and_every_row_a_field() -> None:
    """A field added to a settings type needs its meaning, unit and range in ``config/keys/``."""
    assert {table.__name__: sorted(KEYS[table]) for table in _tables() if table is not SiteFile} == {
        table.__name__: sorted(field.name for field in keys_of(table))
        for table in _tables()
        if table is not SiteFile
    }
    assert set(TABLES) == {field.name for field in keys_of(SiteFile)}


def test_the_example_is_what_the_table_of_keys_makes() -> None:
    """Every key with meaning, range and default. To mend: ``python -m v2g_edge.config
    etc/site.example.toml`` into a new file.
    """
    assert config.dump(config.load(EXAMPLE), commented=True) == EXAMPLE.read_text(encoding="utf-8")


def test_the_manual_is_what_the_table_of_keys_makes() -> None:
    """To mend: put the output of ``python -m v2g_edge.config --manual`` behind the mark."""
    text = MANUAL.read_text(encoding="utf-8")
    assert text[text.index(MARK) :] == manual()
