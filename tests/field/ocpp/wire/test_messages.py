"""The direction tables name every message of the published schemas and no other."""

from importlib.resources import files

import pytest

from v2g_edge.field.ocpp.wire.messages import (
    FROM_CENTRAL,
    FROM_STATION,
    SENDS,
    VERSIONS,
    Version,
    known_actions,
)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tables_hold_exactly_the_published_messages(version: Version) -> None:
    package = {"1.6": "ocpp.v16", "2.0.1": "ocpp.v201", "2.1": "ocpp.v21"}[version]
    names = {
        entry.name.removesuffix(".json")
        for entry in files(package).joinpath("schemas").iterdir()
        if entry.name.endswith(".json")
    }
    published = {name.removesuffix("Response") for name in names if name.endswith("Response")}
    assert known_actions(version) == published
    assert SENDS[version] == {
        name for name in names if not name.endswith(("Request", "Response"))
    } - known_actions(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_only_data_transfer_goes_both_ways(version: Version) -> None:
    assert FROM_STATION[version] & FROM_CENTRAL[version] == {"DataTransfer"}
