"""docs/ocpp.md is what the code says."""

from pathlib import Path

import pytest

from tests.pages.ocpp_page import render
from v2g_edge.field.ocpp.wire.messages import FROM_CENTRAL, FROM_STATION, SENDS, VERSIONS, Version

PAGE = Path(__file__).parents[2] / "docs" / "ocpp.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tests.pages.ocpp_page > docs/ocpp.md"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_of_each_version_stands_in_its_table(version: Version) -> None:
    table = render().split(f"### OCPP {version}\n")[1].split("\n### ")[0]
    named = {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")} - {"message"}
    assert named == FROM_STATION[version] | FROM_CENTRAL[version] | SENDS[version]
