"""Every order of an operator on a real daemon with simulated stations: it acts, survives ``kill -9``, ends
at its time or is taken back, and stands in the journal and in the report with who gave it and why.

Real processes and real sockets; the clock runs ten times as fast as life.
"""

import asyncio
import contextlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from sim.runners.demo import free_ports
from sim.runners.world import World
from sim.scenarios.fault import Fault
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.stations.station import Station
from sim.virtual.clock import LoopClock, stamp
from tests.sim.runners.test_kill import PATIENCE_S, SCALE, daemon_of, played, until
from v2g_edge.cli.client import ask
from v2g_edge.cli.main import main
from v2g_edge.cli.outcome import CommandError

LATER_S = 13 * 3_600.0
"""After every order of the evening has ended by itself (twelve hours)."""


def evening() -> Scenario:
    """Six buses, all in, in the dearest hour: they give. CS03 is soon away."""
    scenario = night(3, chargers=6, quiet=True)
    start_wall_s = scenario.start_wall_s + 5_400.0
    safety = replace(
        scenario.site.safety,
        meter_max_age_s=20.0,
        contact_max_age_s=20.0,
        charger_max_age_s=120.0,
        obey_within_s=30.0,
        balance_within_s=600.0,
        frozen_reads=500,
        lease_s=120.0,  # a lease that ran out sooner would end what it does not obey
    )
    feeders = tuple(replace(each, import_limit_w=1e6, export_limit_w=1e6) for each in scenario.site.feeders)
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s, soc_pct=70.0) for visit in scenario.visits)
    return replace(
        scenario,
        start_wall_s=start_wall_s,
        visits=visits,
        site=replace(scenario.site, safety=safety, feeders=feeders),
        faults=(Fault("offline", "CS03", start_wall_s + 60.0, 40_000.0),),
    )


class Depot:
    """The commands of a person at this depot's socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "control.sock")
        self.said = ""

    def status(self) -> dict[str, Any]:
        """Empty while no daemon answers."""
        with contextlib.suppress(CommandError):
            return ask(self.socket, "status")
        return {}

    def row(self, evse: str) -> dict[str, Any]:
        """The line of an outlet, empty while no daemon answers."""
        return next((row for row in self.status().get("evses", ()) if row["id"] == evse), {})

    async def types(self, *words: str) -> int:
        """A command in a thread, as a person's terminal is another process."""
        out = io.StringIO()
        where = () if words[0] == "report" else ("--socket", self.socket)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = await asyncio.to_thread(main, [*words, *where])
        self.said = out.getvalue()
        return code

    async def sees(self, what: str, condition: Callable[[], bool]) -> None:
        """Fails with the daemon's last words, where something does not come true."""
        seen = await until(lambda: bool(self.status()) and condition(), PATIENCE_S)
        log = (self.folder / "daemon.log").read_text(errors="replace")[-2_000:]
        rows = self.status().get("evses", ())
        told = [(x["id"], x["wish_w"], x["permit_w"], x["power_w"], x["bound_by"]) for x in rows]
        assert seen, f"{what}: {self.said}\n{told}\n{log}"


class Given(NamedTuple):
    """An order as it is typed, and how it is seen to act."""

    words: tuple[str, ...]
    acts: Callable[[Depot], bool]


def limit_of(depot: Depot) -> str:
    """The first sentence about the feeder `yard`."""
    return str(ask(depot.socket, "why", {"subject": "yard"})["answer"][0])


ORDERS: tuple[Given, ...] = (
    Given(("boost", "bus02"), lambda d: d.row("E02")["wish_w"] > 0.0),
    Given(("boost", "E04"), lambda d: d.row("E04")["wish_w"] > 0.0),
    Given(("limit", "yard", "30kW"), lambda d: "Feeder yard, 30.0 kW in" in limit_of(d)),
    Given(("priority", "BUS04"), lambda d: d.row("E04")["permit_w"] > d.row("E02")["permit_w"] + 5_000.0),
    Given(("no-v2g", "BUS06"), lambda d: d.row("E06")["permit_w"] >= 0.0),
    Given(("depart", "BUS01", "04:45", "--soc", "90"), lambda d: d.row("E01")["target_soc_pct"] == 90.0),
    Given(
        ("skip", "BUS05"),
        lambda d: (d.row("E05")["departure_wall_s"] or 0.0) > d.status()["wall_s"] + 6 * 86_400.0,
    ),
    Given(
        ("mute", "charger_silent:E03"),
        lambda d: "charger_silent" not in {need["kind"] for need in d.status()["attention"]},
    ),
)


def acting(depot: Depot) -> dict[str, bool]:
    """Rows of the safety table that act; whether the cause lasts."""
    return {f"{row['row']}:{row['subject']}": row["present"] for row in depot.status()["acting"]}


async def give_all(depot: Depot) -> None:
    """Each order acts before the next is given."""
    assert await depot.types("hold", "--by", "anna", "--why", "heat test") == 0
    await depot.sees("hold", lambda: all(row["permit_w"] >= 0.0 for row in depot.status()["evses"]))
    await depot.sees("E05 does not obey", lambda: "disobedient:E05" in acting(depot))
    assert await depot.types("release", "hold", "--by", "anna") == 0
    for words, acts in ORDERS:
        assert await depot.types(*words, "--by", "anna", "--why", f"tour {words[0]}", "--yes") == 0, (
            depot.said
        )
        await depot.sees(" ".join(words), partial(acts, depot))


async def retried(depot: Depot, station: Station) -> None:
    """Refused while its cause lasts, and taken once the charger follows again."""
    words = ("retry", "e05", "--by", "ben", "--why", "cable moved")
    assert await depot.types(*words) == 2
    assert "has its cause still" in depot.said
    station.faults = ()

    async def ask_again() -> None:
        while await depot.types(*words) != 0:
            assert "has its cause still" in depot.said
            await asyncio.sleep(0.02)  # between two looks at another process

    await asyncio.wait_for(ask_again(), PATIENCE_S)
    await depot.sees("E05 is tried again", lambda: "disobedient:E05" not in acting(depot))


@pytest.mark.slow
async def test_every_order_acts_survives_kill_9_ends_and_is_reported(tmp_path: Path) -> None:
    scenario, ports, depot = evening(), free_ports(3), Depot(tmp_path)
    clock = LoopClock(scenario.start_wall_s, SCALE)
    world = World(scenario, clock, meter_port=ports[1], relay_port=ports[2])
    async with played(world, ports[0], scenario.end_wall_s):
        with daemon_of(scenario, tmp_path, ports, clock.origin_s) as daemon:
            await depot.sees("E03 is silent", lambda: not depot.row("E03")["connected"])
            # Beyond the small step of a first discharge, which ends by itself: it must give when it stops
            # obeying.
            await depot.sees("E05 gives", lambda: (depot.row("E05")["power_w"] or 0.0) < -10_000.0)
            ignores = Fault("ignore", "CS05", clock.wall_s(), 40_000.0)
            world.stations["CS05"].faults = (ignores,)
            await depot.sees("CS05 ignores", world.stations["CS05"].ignores_profiles)
            assert await depot.types("retry", "E06", "--by", "ben") == 2
            assert "E06 is not held for disobedience" in depot.said
            await give_all(depot)
            await retried(depot, world.stations["CS05"])
            await depot.types("orders")
            before = depot.said
            assert before.count("(anna: tour ") == len(ORDERS)
            daemon.kill()
            daemon.wait()
        with daemon_of(scenario, tmp_path, ports, clock.origin_s) as daemon:
            await depot.sees("a new start", lambda: depot.row("E02")["connected"])
            await depot.types("orders")
            assert depot.said == before
            for words, acts in ORDERS:
                await depot.sees(f"after kill -9: {words}", partial(acts, depot))
            number = next(line.split()[0] for line in before.splitlines() if "yard" in line)
            assert await depot.types("undo", number, "--by", "ben", "--why", "all well") == 0
            await depot.sees("undone", lambda: "Feeder yard, 1000.0 kW in" in limit_of(depot))
            soon = stamp(clock.wall_s() + 90.0)
            assert await depot.types("limit", "yard", "50kW", "--until", soon, "--by", "eva") == 0
            await depot.sees("a short order", lambda: "Feeder yard, 50.0 kW in" in limit_of(depot))
            await depot.sees("its end", lambda: "Feeder yard, 1000.0 kW in" in limit_of(depot))
            await depot.types("stop", "--wait-s", "0.5", "--by", "eva", "--why", "work at E02")
            await depot.sees("stop", lambda: all(row["permit_w"] == 0.0 for row in depot.status()["evses"]))
            assert await depot.types("release", "stop", "--by", "eva") == 0
            daemon.kill()
            daemon.wait()
    later = replace(scenario, start_wall_s=scenario.start_wall_s + LATER_S)
    with daemon_of(later, tmp_path, ports, LoopClock(later.start_wall_s, SCALE).origin_s) as daemon:
        await depot.sees("the morning", lambda: not depot.status()["orders"])
        daemon.terminate()
        daemon.wait()
    await read_back(depot)


async def read_back(depot: Depot) -> None:
    """The journal has each order as an event with who and why, and its end; the report names each."""
    journal = str(depot.folder / "journal.db")
    assert await depot.types("events", "--journal", journal) == 0
    events = depot.said
    given = [line for line in events.splitlines() if "order_given" in line]
    ended = [line for line in events.splitlines() if "order_ended" in line]
    for words, _ in ORDERS:
        assert any(f"(anna: tour {words[0]})" in line for line in given), words
        assert any(f"(anna: tour {words[0]}): " in line for line in ended), words
    assert any("stop, 0 W both ways at every outlet, until released (eva: work at E02)" in x for x in given)
    assert any("retry E05 (ben: cable moved)" in line for line in given)
    assert any("taken back by ben: all well" in line for line in ended)
    await depot.types("report", "--night", "2026-01-14", "--journal", journal, "--config", "none")
    report = " ".join(depot.said.split())
    for words, _ in ORDERS:
        assert f"(anna: tour {words[0]})" in report, words
    assert "(eva: work at E02)" in report
