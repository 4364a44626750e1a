"""``v2g-edge clear`` takes the rows that a person can end, and says of the others what ends them."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.depot import small_site
from v2g_edge.api.orders import OrdersApi
from v2g_edge.api.state import DepotState
from v2g_edge.cycle import Memory
from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.table import NO_ANSWER, Latch, Row
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile

PERSONS = {"meter_reversed", "disobedient"}
"""Rows whose rule names a person."""
OF_TRIPS = {"grid_relay_open", "grid_fault"}
"""Those that ``safety.trip_clear_by_operator`` leaves to one."""


def cleared(row: Row, path: Path, *, by_operator: bool, subject: str = "b1") -> tuple[str, ...]:
    """What stands acknowledged after ``clear`` of a row that acts and whose cause is gone."""
    site = small_site(1)
    safety = replace(site.safety, trip_clear_by_operator=by_operator)
    state = DepotState(replace(site, safety=safety))
    latch = Latch(row.id, subject, active=True, left_s=0.0, text="it was", present=False)
    envelope = replace(state.memory.envelope, latches=(latch,))
    state.memory = replace(Memory(), envelope=envelope)
    api = OrdersApi(state, OperatorFile(path / "operator.json"), lambda _: None, lambda: None, lambda: 1e6)
    asyncio.run(api.operate({"acknowledge": f"{row.id}:{subject}", "by": "anna"}))
    return state.operator.acknowledged


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
@pytest.mark.parametrize("by_operator", [False, True])
def test_a_row_is_taken_where_a_person_can_end_it(row: Row, tmp_path: Path, *, by_operator: bool) -> None:
    """And otherwise refused, with what ends it."""
    if row.id in PERSONS or (by_operator and row.id in OF_TRIPS):
        assert cleared(row, tmp_path, by_operator=by_operator) == (f"{row.id}:b1",)
        return
    with pytest.raises(BadRequestError, match=f"{row.id}:b1 is not a person's to clear: it ends by itself"):
        cleared(row, tmp_path, by_operator=by_operator)


def test_a_check_that_gave_no_answer_is_a_persons(tmp_path: Path) -> None:
    """Nothing else can end that trip."""
    row = ROWS[0]
    assert cleared(row, tmp_path, by_operator=False, subject=NO_ANSWER) == (f"{row.id}:{NO_ANSWER}",)
