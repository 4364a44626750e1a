"""A stop is a promise (case B1): proven at 0 W, or named with what to do; and who ordered what (case B2)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_evse, small_site
from v2g_edge.api.orders import OrdersApi
from v2g_edge.api.standstill import StandstillApi
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.event import Event
from v2g_edge.model.reading import NO_SAMPLE, Reading
from v2g_edge.model.snapshot import CommandState, EvseState, Operator

SITE = replace(small_site(2), evses=(small_evse("b1", contactor="k1"), small_evse("b2")))


def depot(state: EvseState) -> DepotState:
    """Stopped at 100 s, looked at 10 s later; b2 is at 0 W."""
    snapshot = healthy(SITE, 110.0, 1e9)
    rest = replace(snapshot.evses[1], power_w=Reading(0.0, 109.0))
    snapshot = replace(snapshot, evses=(state, rest), operator=Operator(stop=True))
    outcome = Cycle(SITE).tick(snapshot, None, Memory())
    return DepotState(SITE, tick=Tick(snapshot, None, outcome), operator=Operator(stop=True), stopped_s=100.0)


BASE = healthy(SITE, 110.0, 1e9).evses[0]
TOLD = CommandState(0.0, "accepted", 101.0, 130.0)


@pytest.mark.parametrize(
    ("state", "how", "words"),
    [
        (replace(BASE, power_w=Reading(40.0, 108.0), command=TOLD), "proven", "40 W"),
        (replace(BASE, power_w=Reading(0.0, 99.0), command=TOLD), "waiting", "not been measured since"),
        (replace(BASE, power_w=Reading(6_000.0, 108.0), command=TOLD), "disobedient", "6000 W"),
        (
            replace(BASE, power_w=Reading(-6_000.0, 108.0), command=replace(TOLD, ack="pending")),
            "waiting",
            "awaited",
        ),
        (replace(BASE, link=replace(BASE.link, connected=False), command=TOLD), "silent", "20 s more"),
        (replace(BASE, vehicle=None, status="available", power_w=NO_SAMPLE), "proven", "no vehicle"),
    ],
)
async def test_outside_case_b1_stop_is_a_promise(state: EvseState, how: str, words: str) -> None:
    found = await StandstillApi(depot(state)).standstill({})
    row = found["evses"][0]
    assert (row["state"], found["proven"]) == (how, how == "proven")
    assert words in row["found"]
    assert ("k1" in row["do"] and "breaker" in row["do"]) == (how in {"disobedient", "silent"})


async def test_without_a_stop_in_the_last_picture_nothing_is_proven() -> None:
    state = depot(replace(BASE, power_w=Reading(0.0, 108.0)))
    state.operator = Operator()
    assert not (await StandstillApi(state).standstill({}))["proven"]


async def test_outside_case_b2_release_one_leaves_the_other_and_keeps_who_and_why(tmp_path: Path) -> None:
    state = DepotState(SITE)
    told: list[Event] = []
    file = OperatorFile(tmp_path / "operator.json")
    api = OrdersApi(state, file, told.append, asyncio.Event().set, lambda: 1_000.0)
    await api.operate({"export_hold": True, "by": "ana", "why": "heat test"})
    await api.operate({"stop": True, "by": "ben", "why": "cable at E05"})
    assert (state.operator.by, state.operator.why) == ("ben", "cable at E05")
    answer: dict[str, Any] = await api.operate({"stop": False, "by": "cron"})
    assert (answer["stop"], answer["export_hold"]) == (False, True)
    assert OperatorFile(tmp_path / "operator.json").load() == Operator(export_hold=True, by="cron")
    assert [(event.kind, event.severity, event.text) for event in told] == [
        ("order_given", "warning", "hold, no export, until released (ana: heat test)"),
        ("order_given", "warning", "stop, 0 W both ways at every outlet, until released (ben: cable at E05)"),
        ("order_ended", "info", "stop, 0 W both ways at every outlet: released (cron)"),
    ]
    with pytest.raises(BadRequestError):
        await api.operate({"by": "ana"})
