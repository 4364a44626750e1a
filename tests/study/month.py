"""``python -m tests.study.month FOLDER``: a month of a simulated depot, as a journal, a site file and prices.

The pure simulator plays it, a tick each quarter hour; the worked examples of ``docs/energy-manager.md`` read
it. The same seed gives the same month.
"""

import asyncio
import json
import random
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.scenarios.fault import Fault
from sim.scenarios.night import PRICE_SHAPE, ZONE, night
from sim.scenarios.scenario import Scenario, Visit, write_prices
from v2g_edge import __version__
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.host.journal import Journal
from v2g_edge.model.plan import Plan, Price
from v2g_edge.model.site import Feeder, SafetySettings
from v2g_edge.model.snapshot import Snapshot

FIRST: Final = datetime(2026, 1, 1, tzinfo=ZONE)
DAYS: Final = 31
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
CHARGERS: Final = 4
TICK_S: Final = 900.0
PHYSICS_S: Final = 60.0
"""The longest step of the physics: powers change at ticks alone."""
HOUR_S: Final = 3_600.0
HOT: Final = "E03"
HOT_AT: Final = timedelta(days=20, hours=21)
"""One evening a pack's cooling fails: the example of an anomaly."""
SEEN_S: Final = 36 * HOUR_S
ROUND: Final = 500
"""Ticks between two moments in which the journal may write."""


def month(seed: int = 17, *, days: int = DAYS, chargers: int = CHARGERS, tick_s: float = TICK_S) -> Scenario:
    """Buses: out on working days from about six to about five, seldom on Saturdays; the grid at peace."""
    dice = random.Random(f"month {seed}")
    base = night(seed, chargers=chargers, quiet=True)
    vehicles = [vehicle.id for vehicle in base.site.vehicles]
    visits = [
        visit
        for evse, vehicle in zip(base.site.evses, vehicles, strict=True)
        for visit in _visits(dice, evse.id, vehicle, days)
    ]
    whole = replace(
        base,
        name="month",
        start_wall_s=FIRST.timestamp(),
        duration_s=days * 86_400.0 + 1.0,  # its last tick ends the last quarter hour
        visits=tuple(visits),
        prices=tuple(_prices(dice, days)),
        faults=(Fault("pack_c", HOT, (FIRST + HOT_AT).timestamp(), 2.0 * HOUR_S, 44.0),),
        site=replace(
            base.site,
            name="Example-depot",
            safety=SafetySettings(soc_max_age_s=2.0 * tick_s),
            feeders=tuple(_wide(feeder) for feeder in base.site.feeders),
        ),
    )
    return slowed(whole, tick_s)


def _wide(feeder: Feeder) -> Feeder:
    """Room for all of them in a morning: ticks of a quarter hour are late for a narrow connection."""
    return replace(
        feeder, import_limit_w=2.0 * feeder.import_limit_w, export_limit_w=2.0 * feeder.export_limit_w
    )


def _visits(dice: random.Random, evse: str, vehicle: str, days: int) -> Iterator[Visit]:
    """From one evening to the next morning of service; ``route_pct`` is the ride between."""
    arrives, first = FIRST + timedelta(hours=16, minutes=dice.uniform(20, 200)), True
    for day in range(1, days):
        morning = FIRST + timedelta(days=day)
        rides = morning.weekday() < 5 or (morning.weekday() == 5 and dice.random() < 0.3)
        if not rides:
            continue
        departs = morning + timedelta(hours=5, minutes=dice.uniform(10, 95))
        soc_pct = round(dice.uniform(45, 70), 1) if first else None
        route = () if first else (round(-dice.uniform(25, 50), 1),)
        yield Visit(
            evse, vehicle, round(arrives.timestamp()), round(departs.timestamp()),
            float(dice.randint(85, 92)), soc_pct=soc_pct, route_pct=route,
        )  # fmt: skip
        arrives, first = morning + timedelta(hours=16, minutes=dice.uniform(20, 200)), False
    yield Visit(
        evse,
        vehicle,
        round(arrives.timestamp()),
        round((FIRST + timedelta(days=days + 1, hours=6)).timestamp()),
        88.0,
        route_pct=(-30.0,),
    )


def _prices(dice: random.Random, days: int) -> Iterator[Price]:
    """The shape of a winter day, another level each day, flatter at weekends."""
    for day in range(days + 1):
        level = dice.uniform(0.8, 1.25)
        for hour in range(24):
            moment = FIRST + timedelta(days=day, hours=hour)
            shape = PRICE_SHAPE[hour] if moment.weekday() < 5 else 0.6 * PRICE_SHAPE[hour] + 0.05
            yield Price(moment.timestamp(), round(shape * level * dice.uniform(0.95, 1.05), 5))


class Recorder(Cycle):
    """The product's cycle, with every tick put down."""

    def __init__(self, run: PureRun) -> None:
        super().__init__(run.site)
        self.ticks: list[tuple[Snapshot, Plan | None, Outcome, Memory]] = []

    def tick(self, snapshot: Snapshot, plan: Plan | None, memory: Memory) -> Outcome:
        """As the cycle decides."""
        outcome = super().tick(snapshot, plan, memory)
        self.ticks.append((snapshot, plan, outcome, memory))
        return outcome


class Months(PureRun):
    """A run whose trader sees a day and a half of prices, as a market shows them."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.depot.max_step_s = PHYSICS_S

    def _plan_for(self, faults: list[Fault], wall_s: float) -> Plan | None:
        whole = self.scenario
        seen = tuple(p for p in whole.prices if wall_s - HOUR_S < p.start_wall_s < wall_s + SEEN_S)
        self.scenario = replace(whole, prices=seen)
        try:
            return super()._plan_for(faults, wall_s)
        finally:
            self.scenario = whole


async def record(run: PureRun, path: Path) -> None:
    """Play the run into a journal."""
    recorder = run._cycle = Recorder(run)
    journal = Journal.open(path, run.site, __version__, sync="normal", keep_days=3_650.0)
    scenario = run.scenario
    run.depot.watchers.remove(run.panel.look)  # the judges have their own nights
    while run.depot.wall_s < scenario.end_wall_s:
        run.tick()
        for snapshot, plan, outcome, memory in recorder.ticks:
            journal.record(
                snapshot,
                plan,
                outcome.permits,
                outcome.events,
                memory_before=memory,
                memory_after=outcome.memory,
            )
        recorder.ticks.clear()
        if snapshot.seq % ROUND == 0 and journal._writing is not None:
            await journal._writing
    await journal.close()
    assert not journal.lost


def write_factors(path: Path, start_wall_s: float, duration_s: float) -> None:
    """Carbon of a grid with wind by night and gas in the evening, hour by hour."""
    rows = ["start,average_g_per_kwh,marginal_g_per_kwh"]
    for n in range(int(duration_s // 3_600)):
        moment = datetime.fromtimestamp(start_wall_s + 3_600 * n, UTC)
        shape = PRICE_SHAPE[moment.astimezone(ZONE).hour]
        rows.append(f"{moment:%Y-%m-%dT%H:%MZ},{180 + 700 * shape:.0f},{420 + 250 * shape:.0f}")
    path.write_text("\n".join(rows) + "\n")


def make(folder: Path, scenario: Scenario | None = None) -> PureRun:
    """Journal, prices and site file in ``folder``. Gives the run, whose depot knows what really flowed."""
    folder.mkdir(parents=True, exist_ok=True)
    scenario = scenario or month()
    for old in [*folder.glob("journal.db*"), *folder.glob("ledger.db*")]:
        old.unlink()
    run = Months(scenario)
    asyncio.run(record(run, folder / "journal.db"))
    write_prices(scenario.prices, folder / "prices.csv")
    write_factors(folder / "carbon.csv", scenario.start_wall_s, scenario.duration_s)
    for example in EXAMPLES.glob("*.toml"):
        shutil.copy(example, folder)
    truth = {name: (charger.import_wh, charger.export_wh) for name, charger in run.depot.chargers.items()}
    truth["grid"] = run.depot.import_wh["main"], run.depot.export_wh["main"]
    (folder / "physics.json").write_text(json.dumps(truth))
    return run


if __name__ == "__main__":
    make(Path(sys.argv[1]))
