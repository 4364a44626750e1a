"""What is kept of a 2.1 station has an end, whatever it says; what is beyond it counts as the worst of its
kind.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.versions.test_v21 import CODE, enter
from v2g_edge.field.board import Board
from v2g_edge.field.ocpp.station.station21 import (
    ALARMS_MAX,
    CEASED,
    PRIORITY_MAX,
    RUNNING_MAX,
    SETTING_MAX,
    SETTINGS_MAX,
    STREAMS_MAX,
    Station21,
)
from v2g_edge.field.ocpp.vocabulary.facts import TEXT_MAX, Session

DROOP = {
    "priority": 0,
    "overFreq": 50.2,
    "underFreq": 49.8,
    "overDroop": 0.05,
    "underDroop": 0.05,
    "responseTime": 2,
}


@pytest.fixture
def depot() -> Depot:
    """Without listeners: nobody dials here."""
    return Depot()


@pytest.fixture
def said(depot: Depot) -> Station21:
    return depot.central.links["newest"].station.v21


def setting(name: str, **more: Any) -> dict[str, Any]:
    return {
        "freqDroop": [{"id": name, "isDefault": True, "isSuperseded": False, "freqDroop": {**DROOP, **more}}]
    }


def coded(depot: Depot) -> tuple[Station21, Board]:
    """A station at a site with a grid code."""
    site = replace(depot.site, grid=replace(depot.site.grid, profile=CODE))
    old = depot.central.links["newest"].station
    return Station21("newest", old.outlets, site, depot.board, depot.clock), depot.board


def test_alarms_beyond_count_keep_the_fault_until_the_next_boot(said: Station21) -> None:
    for number in range(10 * ALARMS_MAX):
        said.on_alarm(f"Control{number}", "OverVoltage" * 1_000, ended=False)
    assert len(said._alarms) == ALARMS_MAX + 1
    assert max(map(len, said._alarms.values())) < 300
    for number in range(10 * ALARMS_MAX):
        said.on_alarm(f"Control{number}", "", ended=True)
    assert said.fault().startswith("DER OverVoltage"), "some that were not kept may still be there"
    said.booted()
    assert said.fault() == ""


def test_alarms_within_count_end_one_by_one(said: Station21) -> None:
    for number in range(ALARMS_MAX):
        said.on_alarm(f"Control{number}", "OverVoltage", ended=False)
    for number in range(ALARMS_MAX):
        assert said.fault() == "DER OverVoltage"
        said.on_alarm(f"Control{number}", "", ended=True)
    assert said.fault() == ""


def test_controls_beyond_count_end_the_discharge_until_the_next_boot(said: Station21) -> None:
    for number in range(3 * RUNNING_MAX):
        said.on_report(setting("slope"))
        said.on_start_stop("slope" if number < 5 else f"slope-{number}", [], started=True)
    assert len(said._running) == RUNNING_MAX + 1
    for number in range(3 * RUNNING_MAX):
        said.on_start_stop("slope" if number < 5 else f"slope-{number}", [], started=False)
    assert said.fault() == CEASED
    said.booted()
    assert said.fault() == ""


@pytest.mark.parametrize(
    ("reports", "kept"),
    [
        ([setting(f"slope-{number}") for number in range(SETTINGS_MAX + 1)], SETTINGS_MAX),
        ([setting("slope", customData={"vendorId": "x" * SETTING_MAX})], 0),
        ([setting("s" * 100_000)], 0),
    ],
    ids=["many", "large", "name"],
)
def test_settings_beyond_count_or_size_deny_export_until_a_report_that_can_be_held(
    depot: Depot, reports: list[dict[str, Any]], kept: int
) -> None:
    said, board = coded(depot)
    board.update_evse("b3", grid_code_ok=True)
    for report in reports:
        said.on_report(report)
    assert len(said._settings) == kept
    assert board.evse("b3").grid_code_ok is False
    said.on_all([setting("slope")])
    assert (len(said._settings), board.evse("b3").grid_code_ok) == (1, False), "it says nothing of the code"
    said.on_all([setting("slope"), enter()])
    assert (len(said._settings), board.evse("b3").grid_code_ok) == (2, True)


def test_as_many_settings_as_are_kept_may_be_told_again_and_again(depot: Depot) -> None:
    said, board = coded(depot)
    board.update_evse("b3", grid_code_ok=True)
    for _ in range(3):
        said.on_all([setting(f"slope-{number}") for number in range(SETTINGS_MAX)])
    assert board.evse("b3").grid_code_ok is True


def test_priority_of_transactions_that_ended_without_a_word_is_forgotten_and_of_one_that_runs_never(
    depot: Depot, said: Station21
) -> None:
    outlet = depot.central.links["newest"].station.outlets[1]
    outlet.session = Session("newest", "runs", "b3", "bus-3", 1.0)
    said.on_priority("runs", activated=True)
    for number in range(10 * PRIORITY_MAX):
        said.on_priority(f"t-{number}", activated=True)
    assert len(said._priority) == PRIORITY_MAX
    assert depot.board.evse("b3").priority is True
    outlet.session = Session("newest", f"t-{10 * PRIORITY_MAX - 1}", "b3", "bus-3", 2.0)
    said.send_priority()
    assert depot.board.evse("b3").priority is True, "told before its transaction"
    with pytest.raises(ValueError, match="at most 255 signs"):
        said.on_priority("t" * (TEXT_MAX + 1), activated=True)


def test_streams_beyond_count_are_not_opened(said: Station21) -> None:
    said.power_monitors[7] = 1
    assert [said.open_stream(number, 7) for number in range(STREAMS_MAX + 5)] == [True] * STREAMS_MAX + [
        False
    ] * 5
    assert said.open_stream(3, 7), "one that is open may be opened again"
    said.streams.pop(0)
    assert said.open_stream(STREAMS_MAX, 7)
