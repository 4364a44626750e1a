"""What the day plan would be if a departure moved: reckoned, shown, and never given as an order."""

import asyncio
from pathlib import Path

import pytest

from tests.api.test_tonight import HOUR_S, NOW_S, SITE, WALL_S, Desk, picture
from v2g_edge.api.roles import role_needed
from v2g_edge.api.what_if import WhatIfApi
from v2g_edge.host.child import ChildFailedError
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.roles import Role
from v2g_edge.model.plan import Price
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import Setup, job_of
from v2g_edge.planner.report import Report
from v2g_edge.planner.worker import answer_to

PRICES = tuple(Price(WALL_S - 3_600.0 + HOUR_S * n, 0.10 if n >= 6 else 0.40) for n in range(30))
"""Dear for five hours, then cheap."""


async def solved(snapshots: tuple[Snapshot, ...]) -> list[Report]:
    """The optimiser in this process."""
    found = []
    for snapshot in snapshots:
        answer = answer_to(Setup(SITE, PriceSettings()), job_of(snapshot, PRICES, {}, 20.0))
        assert answer.report is not None, answer.fault
        found.append(answer.report)
    return found


async def test_an_earlier_departure_costs_what_the_dear_hours_cost(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "operator.json", picture(target_soc_pct=Reading(80.0, NOW_S)))
    api = WhatIfApi(desk.api, solved)
    at = "1970-01-12T17:46:40+00:00"  # four hours from now, where every hour is dear
    answer = await api.what_if({"subject": "bus-1", "at": at})
    assert answer["costs"] > 1.0
    assert answer["costs"] == pytest.approx(
        answer["after"]["money"]["total"] - answer["before"]["money"]["total"]
    )
    changed = answer["vehicles"][0]
    assert (changed["evse"], changed["vehicle"]) == ("b1", "bus-1")
    assert changed["after"]["leaves_wall_s"] - WALL_S == pytest.approx(4 * HOUR_S, abs=900.0)
    assert changed["before"]["leaves_wall_s"] - WALL_S == pytest.approx(10 * HOUR_S, abs=900.0)
    assert desk.state.operator.orders == ()
    assert desk.events == []
    same = await api.what_if({"subject": "bus-1", "at": "1970-01-12T23:46:40+00:00"})
    assert (same["costs"], same["vehicles"]) == (pytest.approx(0.0, abs=1e-6), [])


async def test_what_cannot_be_tried_is_said_in_words(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "operator.json", picture())
    asked = {"subject": "bus-1", "at": "1970-01-12T17:46:40+00:00"}

    async def fails(_snapshots: tuple[Snapshot, ...]) -> list[Report]:
        raise ChildFailedError("no answer within 60 s; it was stopped")

    with pytest.raises(BadRequestError, match="no plan can be tried: no answer within 60 s"):
        await WhatIfApi(desk.api, fails).what_if(asked)
    with pytest.raises(BadRequestError, match="is no time"):
        await WhatIfApi(desk.api, solved).what_if({"subject": "bus-1", "at": "soon"})
    with pytest.raises(BadRequestError, match="what_if takes at, soc_pct, subject"):
        await WhatIfApi(desk.api, solved).what_if({"kind": "skip", "subject": "bus-1"})


async def test_one_plan_is_tried_at_a_time(tmp_path: Path) -> None:
    desk, goes_on = Desk(tmp_path / "operator.json", picture()), asyncio.Event()

    async def waits(snapshots: tuple[Snapshot, ...]) -> list[Report]:
        await goes_on.wait()
        return [Report("highs", WALL_S) for _ in snapshots]

    api = WhatIfApi(desk.api, waits)
    asked = {"subject": "bus-1", "at": "1970-01-12T17:46:40+00:00"}
    first = asyncio.ensure_future(api.what_if(asked))
    await asyncio.sleep(0)
    with pytest.raises(BadRequestError, match="another plan is being tried"):
        await api.what_if(asked)
    goes_on.set()
    assert (await first)["costs"] == 0.0


def test_a_viewers_question_needs_no_engineer() -> None:
    """It gives no order."""
    assert role_needed("what_if", {"subject": "bus-1"}) is Role.VIEWER
    assert role_needed("money", {}) is Role.VIEWER
