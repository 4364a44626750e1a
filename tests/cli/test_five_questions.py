"""Five questions of an operator, each answered by one command on one screen, on a depot with faults.

The depot is the simulator's: twelve buses, a winter's prices. CS03 is away from 18:00 on, CS05 charges
whatever it is told from 18:30 on, and BUS12 comes too late to leave ready. The commands are the real ones, at
a real control socket; what they say is held against what was played.
"""

import asyncio
import contextlib
import io
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.pure import REPLAN_S, PureRun, slowed
from sim.runners.snapshots import SnapshotTaker
from sim.scenarios.fault import Fault
from sim.scenarios.night import START, night
from sim.scenarios.scenario import Scenario, write_prices
from sim.world.depot import Depot
from v2g_edge.api.state import DepotState, Tick
from v2g_edge.api.status import StatusApi
from v2g_edge.api.tonight import TonightApi
from v2g_edge.cli.main import main
from v2g_edge.config import dump
from v2g_edge.host.control import ControlSocket
from v2g_edge.host.journal import Journal
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.plan import Plan
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.price_rule import plan_from_prices

TICK_S = 60.0
HOUR_S = 3_600.0
ASKED_WALL_S = START.timestamp() + 3.0 * HOUR_S
"""The operator asks at 19:30."""
LATE = "BUS12"
MANUAL = Path(__file__).parents[2] / "docs" / "operator.md"
"""Its examples of why, depart and report are what this night answers, word for word."""


def evening() -> Scenario:
    """The night."""
    scenario = night(7, quiet=True)
    start = scenario.start_wall_s
    visits = []
    for visit in scenario.visits:
        arrives = start + 3_600.0 * 2.5 if visit.vehicle == LATE else start + 120.0
        departs = start + 3_600.0 * 4.0 if visit.vehicle == LATE else visit.departs_wall_s
        charge = {"soc_pct": 25.0, "target_soc_pct": 95.0} if visit.vehicle == LATE else {}
        visits.append(replace(visit, arrives_wall_s=arrives, departs_wall_s=departs, **charge))
    faults = (
        Fault("offline", "CS03", start + 1.5 * HOUR_S, 13 * HOUR_S),
        Fault("ignore", "CS05", start + 2.0 * HOUR_S, 12 * HOUR_S),
    )
    return slowed(replace(scenario, visits=tuple(visits), faults=faults), TICK_S)


class Kept(SnapshotTaker):
    """Pictures of which the last is kept."""

    def __init__(self, scenario: Scenario, site: Site, depot: Depot, seen: list[Snapshot]) -> None:
        super().__init__(scenario, site, depot)
        self._seen = seen

    def take(self, *what: Any, **more: Any) -> Snapshot:
        """See ``Pictures``."""
        self._seen[:] = [super().take(*what, **more)]
        return self._seen[0]


class Night(PureRun):
    """A run that plans by price, keeps its pictures, and adds up what the vehicles' energy cost."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.state = DepotState(self.site)
        self.cost = 0.0
        self.charges: dict[str, list[float]] = {}
        self.seen: list[Snapshot] = []
        self._pictures = Kept(self.scenario, self.site, self.depot, self.seen)
        self.depot.watchers.append(lambda depot, dt_s: self._pay(dt_s))

    def _plan_for(self, faults: list[Fault], wall_s: float) -> Plan | None:
        if wall_s - self._planned_s >= REPLAN_S:
            settings = PriceSettings(wear_per_kwh=0.05)
            self._plan = plan_from_prices(self.site, self.seen[0], self.scenario.prices, settings, wall_s)
            self._planned_s = wall_s
        return self._plan

    def price_at(self, wall_s: float) -> float:
        """The hour's."""
        return [each for each in self.scenario.prices if each.start_wall_s <= wall_s][-1].per_kwh

    def _pay(self, dt_s: float) -> None:
        wall_s = self.depot.wall_s
        silent = (
            {"E03"} if wall_s > self.scenario.faults[0].start_wall_s else set()
        )  # nobody can know its power
        power_w = sum(c.power_w for evse, c in self.depot.chargers.items() if evse not in silent)
        self.cost += power_w * dt_s / 3.6e6 * self.price_at(wall_s)

    async def run_to(self, wall_s: float, journal: Journal) -> None:
        """Tick by tick, kept as the daemon keeps them."""
        while self.depot.wall_s < wall_s:
            before, outcome = self.memory, self.tick()
            assert outcome is not None
            seen = self.seen[0]
            self.state.tick, self.state.memory = Tick(seen, self._plan, outcome), outcome.memory
            self.state.events.extend(outcome.events)
            journal.record(
                seen,
                self._plan,
                outcome.permits,
                outcome.events,
                memory_before=before,
                memory_after=outcome.memory,
            )
            for evse, charger in self.depot.chargers.items():
                if charger.power_w > 1_000.0:
                    self.charges.setdefault(evse, []).append(self.depot.wall_s)
            await asyncio.sleep(0)


class Desk:
    """The depot's control socket, and commands typed at it."""

    def __init__(self, run: Night, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.said: dict[str, str] = {}
        stations = {s.identity: tuple(o.evse for o in s.outlets) for s in run.scenario.stations}
        status = StatusApi(run.state, lambda: run.scenario.prices, stations)
        orders = TonightApi(
            run.state, OperatorFile(folder / "operator.json"), run.state.events.append, lambda: None
        )
        handlers = {"status": status.status, "why": status.why, **orders.handlers()}
        self.socket = ControlSocket(str(self.path), handlers)

    async def asks(self, *words: str) -> tuple[int, str]:
        """The exit code, and what one screen shows."""
        out = io.StringIO()
        where = () if words[0] == "report" else ("--socket", str(self.path))
        with contextlib.redirect_stdout(out):
            code = await asyncio.to_thread(main, [*words, *where])
        lines = out.getvalue().splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
        self.said[" ".join(words).partition(" --night")[0]] = out.getvalue()
        return code, out.getvalue()


def words_of(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


@pytest.mark.slow
async def test_each_question_has_its_answer_on_one_screen(tmp_path: Path) -> None:
    run = Night(evening())
    journal = Journal.open(tmp_path / "journal.db", run.site, "test", sync="normal", keep_days=30.0)
    await run.run_to(ASKED_WALL_S, journal)
    desk = Desk(run, tmp_path)
    await desk.socket.start()
    try:
        await ready_or_not(desk)
        await waiting(desk, run)
        await exporting(desk, run)
        await an_hour_earlier(desk, run)
        await run.run_to(run.scenario.end_wall_s, journal)
    finally:
        await desk.socket.stop()
        await journal.close()
    run.panel.finish(run.depot)
    after = [wall_s for wall_s in run.charges["E10"] if wall_s > ASKED_WALL_S]
    assert run.price_at(after[0]) < 0.5 * run.price_at(ASKED_WALL_S), "it waited for a cheap hour, as it said"
    left = {each.vehicle: each for each in run.panel.departures}
    assert left["BUS01"].is_met, "an hour earlier, as was said"
    assert left["BUS10"].is_met
    await last_night(desk, run, tmp_path)
    manual = MANUAL.read_text(encoding="utf-8")
    for asked, said in desk.said.items():
        if not asked.startswith("status"):  # which `test_glance.py` holds
            assert f"$ v2g-edge {asked}\n{said}" in manual, f"docs/operator.md is to show:\n$ {asked}\n{said}"


async def ready_or_not(desk: Desk) -> None:
    """BUS12 and BUS03 cannot be, and two chargers need a person, each with since when and what to do."""
    _, text = await desk.asks("status", "--once")
    needs = words_of(text.partition("vehicle ")[0])
    assert re.search(r"! BUS03, BUS12: NOT READY", needs)
    assert re.search(r"! E03: The charger is silent since 18:0\d\.", needs)
    assert re.search(r"! E05: The charger does not follow its setpoint since 18:3\d\.", needs)
    assert "`v2g-edge retry E05`" in needs
    late = {line.split()[0] for line in text.splitlines() if " LATE " in line}
    assert late == {LATE, "BUS03"}, "BUS03 stands at the silent charger, which gives it its fallback"
    assert re.search(r"BUS05 .* \+\d\d\.\d  does not obey", text)


async def waiting(desk: Desk, run: Night) -> None:
    """Until a cheaper hour, by the prices of the night."""
    code, text = await desk.asks("why", "bus10")
    told = re.search(
        r"BUS10 waits until (\d\d):(\d\d) \((0\.\d\d) instead of (0\.\d\d) per kWh\)", words_of(text)
    )
    assert code == 0
    assert told is not None, text
    now = datetime.fromtimestamp(ASKED_WALL_S, START.tzinfo)
    starts = now.replace(hour=int(told[1]), minute=int(told[2]), second=0)
    starts += timedelta(days=starts < now)
    assert float(told[3]) == pytest.approx(run.price_at(starts.timestamp()), abs=0.006)
    assert float(told[4]) == pytest.approx(run.price_at(ASKED_WALL_S), abs=0.006)
    assert float(told[3]) < float(told[4])


async def exporting(desk: Desk, run: Night) -> None:
    """How much flows and who takes it on site, who is kept in by what, and what a person can do."""
    _, text = await desk.asks("why", "export")
    says, tick = words_of(text), run.state.last_tick()
    out_kw = sum(max(-permit.power_w, 0.0) for permit in tick.outcome.permits) / 1_000.0
    assert f"{out_kw:.1f} kW may flow out of 12 vehicles" in says
    stubborn_kw = run.depot.chargers["E05"].power_w / 1_000.0
    assert f"BUS05 {stubborn_kw:.1f} kW" in says
    assert "The charger is silent: BUS03." in says
    assert "The charger does not follow its setpoint: BUS05. What to do: `v2g-edge retry E05`." in says


async def an_hour_earlier(desk: Desk, run: Night) -> None:
    """What would break before it is ordered; then BUS01 does leave an hour earlier."""
    visit = run._plugged["E01"]
    earlier = datetime.fromtimestamp(visit.departs_wall_s - HOUR_S, START.tzinfo)
    code, text = await desk.asks("depart", "BUS01", f"{earlier:%H:%M}", "--by", "anna", "--try")
    assert code == 0
    assert "every departure is still proven" in words_of(text)
    code, text = await desk.asks("depart", "BUS01", "20:15", "--soc", "95", "--by", "anna", "--try")
    battery = run.depot.chargers["E01"].battery
    assert battery is not None
    lacks_wh = (95.0 - battery.soc_pct) / 100.0 * battery.capacity_wh
    assert lacks_wh > 0.75 * run.depot.chargers["E01"].evse.max_charge_w, "in 45 minutes, at full power"
    assert code == 1
    assert "! BUS01 would" in text
    run._plugged["E01"] = replace(visit, departs_wall_s=earlier.timestamp())


async def last_night(desk: Desk, run: Night, folder: Path) -> None:
    """What it earned and cost, by the energy that flowed; who left short, and by how much."""
    write_prices(run.scenario.prices, folder / "prices.csv")
    site = folder / "site.toml"
    site.write_text(dump(night(7, quiet=True).settings(folder, price_file=str(folder / "prices.csv"))))
    asked = (
        "report",
        "--night",
        "2026-01-14",
        "--journal",
        str(folder / "journal.db"),
        "--config",
        str(site),
    )
    code, text = await desk.asks(*asked)
    seen = [each for each in run.panel.departures if each.vehicle != "BUS03"]  # its charger is silent
    short = [each for each in seen if not each.is_met]
    assert [each.vehicle for each in short] == [LATE]
    assert code == 1
    for each in short:
        lacked_pct = each.target_soc_pct - each.soc_pct
        told = re.search(rf"{each.vehicle} lacked (\d+) %", words_of(text))
        assert told is not None, text
        assert float(told[1]) == pytest.approx(lacked_pct, abs=1.5)
    cost = re.search(r"cost (-?\d+\.\d\d) \(paid (\d+\.\d\d), earned (\d+\.\d\d)\)", words_of(text))
    assert cost is not None
    assert float(cost[1]) == pytest.approx(run.cost, rel=0.05, abs=2.0)
    assert float(cost[2]) - float(cost[3]) == pytest.approx(float(cost[1]), abs=0.02)
