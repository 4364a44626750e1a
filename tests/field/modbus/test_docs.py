"""docs/modbus.md names everything that can be configured."""

from pathlib import Path

import pytest

from v2g_edge.field.modbus.contact import FUNCTIONS
from v2g_edge.field.modbus.map_keys import BLOCK_KEYS, COMMAND_KEYS, MAP_KEYS, POINT_KEYS
from v2g_edge.field.modbus.map_parser import available_maps, load_map

PAGE = (Path(__file__).parents[3] / "docs" / "modbus.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("map_id", sorted(available_maps()))
def test_every_shipped_map_stands_in_the_page_with_its_status(map_id: str) -> None:
    row = next((line for line in PAGE.splitlines() if line.startswith("| `") and f"`{map_id}`" in line), "")
    assert row.rstrip(" |").endswith(load_map(map_id).status), map_id


def test_every_key_of_a_map_and_every_contact_stands_in_the_page() -> None:
    keys = MAP_KEYS | BLOCK_KEYS | POINT_KEYS | COMMAND_KEYS | set(FUNCTIONS)
    assert sorted(key for key in keys if f"`{key}`" not in PAGE and f"[{key}]" not in PAGE) == []
