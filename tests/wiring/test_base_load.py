"""The building's load is the grid meter less all chargers: learnt by quarter hours, kept, planned with."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.depot import healthy, small_site
from tests.planner.fleet import prices_of
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.exchange import Demand, Setup, job_of
from v2g_edge.planner.forecast import SLOT_S
from v2g_edge.planner.worker import answer_to
from v2g_edge.wiring.base_load import BaseLoad

SITE = small_site()
DAY_S = 86_400.0
MONDAY_S = 1_767_571_200.0
"""2026-01-05 00:00 UTC."""


def picture(wall_s: float, site_kw: float, charger_kw: float = 10.0) -> Snapshot:
    snapshot = healthy(SITE, wall_s=wall_s)
    meter = replace(snapshot.meters[0], power_w=Reading(site_kw * 1e3, snapshot.now_s))
    evses = tuple(replace(s, power_w=Reading(charger_kw * 1e3, snapshot.now_s)) for s in snapshot.evses)
    return replace(snapshot, meters=(meter,), evses=evses)


def day(load: BaseLoad, begins_s: float, building_kw: float) -> int:
    """A day in pictures of half a minute; how many quarter hours were learnt."""
    news = 0
    for n in range(int(DAY_S // 30.0) + 1):
        news += load.observe(SITE, picture(begins_s + 30.0 * n, building_kw + 20.0))
    return news


def test_a_day_of_pictures_makes_the_forecast_of_the_next_ones_and_survives_a_restart(tmp_path: Path) -> None:
    load = BaseLoad(tmp_path / "base.json", "UTC")
    assert load.ahead_kw(MONDAY_S) == ()
    assert day(load, MONDAY_S, 25.0) == 96
    assert load.ahead_kw(MONDAY_S + DAY_S) == pytest.approx((25.0,) * 200)
    assert load.save() == ""
    again = BaseLoad(tmp_path / "base.json", "UTC")
    assert again.history == load.history
    assert again.fault == ""


def test_a_quarter_hour_in_which_something_is_silent_teaches_nothing(tmp_path: Path) -> None:
    load = BaseLoad(tmp_path / "base.json", "UTC")
    for n in range(62):
        seen = picture(MONDAY_S + 30.0 * n, 45.0)
        mute = replace(seen, evses=(replace(seen.evses[0], power_w=Unknown("silent")), *seen.evses[1:]))
        assert not load.observe(SITE, mute)
    assert load.history.loads == {}


def test_the_plan_reckons_with_the_forecast() -> None:
    snapshot = healthy(SITE, wall_s=MONDAY_S + 300.0)
    job = job_of(snapshot, prices_of(*[0.2] * 30, start_s=MONDAY_S), {}, 10.0, base_kw=tuple(range(200)))
    answer = answer_to(Setup(SITE, PriceSettings()), job)
    assert answer.fault == ""
    assert answer.report is not None
    assert answer.report.base_kw[:3] == (0.0, 1.0, 2.0)
    assert answer.report.edges[1] == MONDAY_S + SLOT_S


def test_the_plan_says_what_the_connection_is_held_below_and_keeps_energy_for_what_is_not_foretold() -> None:
    snapshot = healthy(SITE, wall_s=MONDAY_S + 300.0)
    charge = Demand("month", 20.0, 45.0, 900.0, 1.0, MONDAY_S)
    prices = prices_of(*[0.4] * 3, *[0.1] * 27, start_s=MONDAY_S)
    asked = job_of(snapshot, prices, {}, 10.0, (charge,), base_kw=(30.0,) * 200, base_error_kw=4.0)
    answer = answer_to(Setup(SITE, PriceSettings()), asked)
    assert answer.plan is not None
    assert answer.report is not None
    (target,) = answer.plan.peaks
    assert (target.name, target.window_s) == ("month", 900.0)
    assert target.target_w >= 45e3
    assert max(answer.report.site_kw[1:]) * 1e3 <= target.target_w + 1.0
