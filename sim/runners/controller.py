"""The controller's machine in virtual time: the daemon as a process that can stand still, die, and be started
again.

A stalled daemon gets no time while the world goes on. A killed one says no last word: its sockets are reset,
and its successor finds the state folder as it stood at that instant (what the dying one still writes goes to
a folder that is not read again).
"""

import asyncio
import contextvars
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from sim.scenarios.aggregator import Asked
from sim.scenarios.fault import Fault
from sim.virtual.clock import FaultyClock, LoopClock
from sim.virtual.loop import OWNER, VirtualLoop
from v2g_edge.app import Daemon
from v2g_edge.config.dump import dump
from v2g_edge.config.load import load
from v2g_edge.config.problems import ConfigError
from v2g_edge.host.site_source import SiteFileError, SiteSource
from v2g_edge.model.plan import Plan
from v2g_edge.model.service import Signal
from v2g_edge.model.settings import Settings

NO_ROOM: Final = 1
"""Octets that a file may grow to while the disk is full (RLIMIT_FSIZE): no write that lengthens a file
succeeds.
"""


class _NoServiceManager:
    """Stands where systemd's watchdog would be fed, once at the end of each tick."""

    def __init__(self, ticked: Callable[[], None]) -> None:
        self.fed = 0
        self._ticked = ticked

    def ready(self) -> None:
        """Nobody waits."""

    def feed(self, status: str) -> None:
        """Count the ticks, and tell of each."""
        self.fed += 1
        self._ticked()

    def stopping(self) -> None:
        """Nobody waits."""


class Controller:
    """See the module. ``daemon`` is the running one, None while there is none; ``starts`` counts them.
    ``ticked`` is called at the end of each of its ticks.
    """

    def __init__(
        self, settings: Settings, true: LoopClock, started: Callable[[Daemon], None] | None = None
    ) -> None:
        self.clock = FaultyClock(true)
        self.daemon: Daemon | None = None
        self.starts = 0
        self.ticked: Callable[[], None] = lambda: None
        self._settings = settings
        self._state_dir = Path(settings.host.state_dir)
        self._site_file = self._state_dir.with_suffix(".toml")
        self._site_file.write_text(dump(settings), encoding="utf-8")
        self._started = started
        self._running: asyncio.Task[None] | None = None
        self._ending: list[asyncio.Task[Any]] = []
        self._starting: asyncio.Task[None] | None = None
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def start(self) -> None:
        """Start a daemon in the state folder as it is."""
        self.starts += 1
        context = contextvars.copy_context()
        context.run(OWNER.set, self._owner)
        await asyncio.get_running_loop().create_task(self._bring_up(), context=context)

    async def wait(self) -> None:
        """Wait until a daemon ends by itself, which none should; raises what ended it."""
        while True:
            running = self._running
            if running is not None and running.done() and not running.cancelled():
                running.result()
                raise RuntimeError("the daemon ended before the scenario did")
            await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """End everything, politely."""
        self._room(full=False)
        loop = _virtual()
        if loop is not None:
            loop.release(self._owner)
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        daemon, self.daemon = self.daemon, None
        if daemon is not None and self._running is not None:
            daemon.stop()
            await asyncio.gather(self._running, return_exceptions=True)
            await daemon.close()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def take_plan(self, plan: Plan) -> None:
        """Hand the daemon a plan of the cloud, as its session does with one that it has accepted."""
        if self.daemon is not None:
            self.daemon._take_cloud_plan(plan)

    def order(self, *, stop: bool, export_hold: bool) -> None:
        """What stands ordered on site; as the control socket leaves it."""
        if self.daemon is not None:
            self.daemon.state.operator = replace(
                self.daemon.state.operator, stop=stop, export_hold=export_hold
            )

    def dispatch(self, asked: Asked, wall_s: float) -> None:
        """What an aggregator asks, as the control socket leaves it."""
        if self.daemon is None:
            return
        now_s, operator = self.clock.now_s(), self.daemon.state.operator
        signals = tuple(
            (service, Signal(value, now_s - (wall_s - at_wall_s), every_s))
            for service, value, at_wall_s, every_s in asked.signals
        )
        self.daemon.state.operator = replace(operator, signals=signals, limits=asked.limits)
        self.daemon._wake.set()

    def begin(self, fault: Fault) -> None:
        """A fault of the machine begins."""
        loop, kind = _virtual(), fault.kind
        if kind in {"stall", "suspend"} and loop is not None:
            loop.hold(self._owner)
        elif kind in {"restart", "reboot_host"} and loop is not None:
            self._kill(loop)
        elif kind == "disk_full":
            self._room(full=True)
        elif kind == "clock_step":
            self.clock.step_s += fault.value
        elif kind == "clock_drift":
            self.clock.drift(fault.value)
        elif kind == "clock_unsynced":
            self.clock.is_synced = False
        elif kind == "bad_site_file":
            self._reload(dump(self._settings).replace("import_limit_w = ", "import_limit_w = -", 1))

    def end(self, fault: Fault) -> None:
        """It is over."""
        loop, kind = _virtual(), fault.kind
        if kind in {"stall", "suspend"} and loop is not None:
            if kind == "suspend":
                self.clock.skip_s(fault.duration_s)
            loop.release(self._owner)
        elif kind in {"restart", "reboot_host"} and self.daemon is None and self._starting is None:
            if kind == "reboot_host":
                self.clock.boot()
            self._starting = asyncio.get_running_loop().create_task(self._start_again())
        elif kind == "disk_full":
            self._room(full=False)
        elif kind == "clock_step":
            self.clock.step_s -= fault.value
        elif kind == "clock_drift":
            self.clock.drift(0.0)
        elif kind == "clock_unsynced":
            self.clock.is_synced = True
        elif kind == "bad_site_file":
            self._reload(dump(self._settings))

    @property
    def _owner(self) -> str:
        return f"daemon {self.starts}"

    async def _bring_up(self) -> None:
        source = SiteSource(str(self._site_file), self._check_site_file, lambda _settings: None)
        manager = cast(Any, _NoServiceManager(self._tell_tick))
        self.daemon = Daemon(self._settings, self.clock, manager, source=source)
        await self.daemon.start()
        self._running = asyncio.create_task(self.daemon.run(), name="daemon")
        if self._started is not None:
            self._started(self.daemon)

    def _tell_tick(self) -> None:
        self.ticked()

    async def _start_again(self) -> None:
        try:
            await self.start()
        finally:
            self._starting = None

    def _kill(self, loop: VirtualLoop) -> None:
        if self.daemon is None:
            return
        after, before = (
            self._state_dir.with_suffix(".after"),
            self._state_dir.with_suffix(f".before{self.starts}"),
        )
        shutil.copytree(self._state_dir, after)
        self._state_dir.rename(before)
        after.rename(self._state_dir)
        self._ending += loop.kill(self._owner)
        self.daemon, self._running = None, None

    def _reload(self, text: str) -> None:
        """Somebody writes the site file and has it taken into use."""
        self._site_file.write_text(text, encoding="utf-8")
        if self.daemon is not None:
            self.daemon.reload()

    async def _check_site_file(self, _text: str | None) -> Settings:
        """As a process of its own does for the installed daemon."""
        try:
            return load(self._site_file)
        except ConfigError as error:
            raise SiteFileError(str(error)) from error

    def _room(self, *, full: bool) -> None:
        """The kernel itself refuses the writes, with EFBIG instead of ENOSPC: no root and no small file
        system are needed.
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (NO_ROOM, self._limit[1]) if full else self._limit)


def _virtual() -> VirtualLoop | None:
    """The running loop where it is a virtual one: the machine of a real daemon is not ours to stop."""
    loop = asyncio.get_running_loop()
    return loop if isinstance(loop, VirtualLoop) else None
