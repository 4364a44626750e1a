"""The daemon and its depot in one process, in virtual time: the same code and the same protocol bytes,
only faster.
"""

import asyncio
import contextlib
import gc
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog

from sim.modbus.rtu import serial_in_memory
from sim.runners.controller import Controller
from sim.runners.injector import Injector
from sim.runners.listen import Listener
from sim.runners.own_site import OwnSiteWorld, at_simulator
from sim.runners.report import make_report
from sim.runners.world import World
from sim.scenarios.check import check
from sim.scenarios.scenario import METER_PORT, RELAY_PORT, Scenario, write_prices
from sim.virtual.clock import LoopClock
from sim.virtual.loop import run_virtual
from sim.world.depot import Depot
from v2g_edge.model.settings import Settings
from v2g_edge.tasks import end

OCPP_PORT = 8081
"""On the virtual network only."""

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of an unguessable name is made in it
MEMORY_FREE: Final = 4 << 30
"""Octets that must be free in a file system in memory, so that it takes what is thrown away after the run: a
night's journal has some megabytes, and each restart of the controller leaves a copy. A disk is synced as
often as the daemon asks, and others wait for it.
"""


def _nothing(_logger: Any, _method: str, _event: MutableMapping[str, Any]) -> NoReturn:
    """A processor that lets no line through."""
    raise structlog.DropEvent


@contextlib.contextmanager
def logged(*, nothing: bool) -> Iterator[None]:
    """The daemon's log in a run: ``nothing``, or from info on. Others of this process keep a log of their
    own.
    """
    before = structlog.get_config()
    level = logging.CRITICAL if nothing else logging.INFO
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    if nothing:
        structlog.configure(processors=[_nothing])
    try:
        yield
    finally:
        structlog.configure(**before)


def run_scenario(
    scenario: Scenario,
    state_dir: Path | None = None,
    *,
    quiet: bool = True,
    own: Settings | None = None,
    watch: Callable[[Depot, float], None] | None = None,
) -> dict[str, Any]:
    """Play a scenario to its end and report. ``state_dir`` keeps the journal; without one it is thrown away.
    ``own``, ``watch``: see ``play``.

    ``quiet`` keeps the daemon's log out of sight: a night has ten thousand lines, and the journal holds what
    counts. Raises ``BadWorld`` for what cannot be played.
    """
    check(scenario)
    if state_dir is not None:
        state_dir.mkdir(parents=True, exist_ok=True)
        return _run(scenario, state_dir, quiet, own, watch)
    with tempfile.TemporaryDirectory(prefix="v2g-edge-sim-", dir=_in_memory()) as folder:
        inside = Path(folder) / "state"  # a restart leaves copies beside it
        inside.mkdir()
        return _run(scenario, inside, quiet, own, watch)


def _in_memory() -> Path | None:
    """A file system in memory with room enough; None where there is none."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    roomy = found.f_bavail * found.f_frsize >= MEMORY_FREE
    return MEMORY if roomy and os.access(MEMORY, os.W_OK) else None


def _run(
    scenario: Scenario,
    state_dir: Path,
    quiet: bool,
    own: Settings | None,
    watch: Callable[[Depot, float], None] | None,
) -> dict[str, Any]:
    if (state_dir / "journal.db").exists():
        raise FileExistsError(
            f"{state_dir / 'journal.db'} is there already: a run begins with an empty journal"
        )
    gc.freeze()
    with logged(nothing=quiet), serial_in_memory():
        world = run_virtual(play(scenario, state_dir, watch, own))
    return make_report(world, state_dir / "journal.db")


def _unheard() -> None:
    """Nobody listens."""


async def play(
    scenario: Scenario,
    state_dir: Path,
    watch: Callable[[Depot, float], None] | None = None,
    own: Settings | None = None,
) -> World:
    """Daemon and depot on the running loop, from the scenario's beginning to its end. ``watch`` sees every
    physical step. ``own``: the settings of a site file, whose devices are then played.
    """
    clock = LoopClock(scenario.start_wall_s)
    prices = state_dir / "prices.csv"
    write_prices(scenario.prices, prices)
    if own is None:
        settings = scenario.settings(state_dir, ocpp_port=OCPP_PORT, price_file=str(prices))
        world = World(scenario, clock, meter_port=METER_PORT, relay_port=RELAY_PORT)
    else:
        settings = at_simulator(own, state_dir, OCPP_PORT, str(prices))
        world = OwnSiteWorld(scenario, settings, clock)
    world.depot.watchers += [watch] if watch else []
    controller = Controller(settings, clock)
    world.watchers.append(Injector(world, controller).look)
    listener = Listener(controller, world.panel.hear)
    controller.ticked = lambda: listener.look(clock.wall_s())
    await world.start()
    await controller.start()
    world.join(f"ws://127.0.0.1:{OCPP_PORT}")
    ending = asyncio.create_task(controller.wait(), name="controller")
    playing = asyncio.create_task(world.play(scenario.end_wall_s), name="world")
    try:
        await asyncio.wait({ending, playing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, playing):
            if task.done():
                task.result()
        world.panel.finish(world.depot)
    finally:
        controller.ticked = _unheard  # what it says while the depot is taken down
        await end(ending, playing)
        await world.stop()
        await controller.stop()
    return world
