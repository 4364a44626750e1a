"""``v2g-edge run --config FILE``: the daemon."""

import argparse
import asyncio
import errno
import gc
import importlib.util
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from v2g_edge.app import Daemon
from v2g_edge.cli.live.why import wall_of
from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.cli.site.loading import Loaded, load_for_start, source_of
from v2g_edge.envelope import InvariantBroken
from v2g_edge.host.child import Child
from v2g_edge.host.clock import LoopClock, SystemClock
from v2g_edge.host.faults import StallWatch
from v2g_edge.host.logs import set_up_logs
from v2g_edge.host.records import JournalError
from v2g_edge.host.site_source import SiteFileError
from v2g_edge.host.systemd_notify import Watchdog
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings
from v2g_edge.wiring.dayplan import worker

log = structlog.get_logger()


BOUND: Final = re.compile(r"\('([^']*)', (\d+)")
"""The address in asyncio's words for one that it cannot bind."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("run", help="run the daemon")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument(
        "--log",
        choices=("auto", "console", "json", "journal"),
        default="auto",
        help="style of the log (default auto)",
    )
    demo = parser.add_argument_group(
        "demonstrations", "a clock that is not the machine's; never with real chargers"
    )
    demo.add_argument("--clock-start", metavar="TIME", help="begin at this time (ISO 8601)")
    demo.add_argument(
        "--clock-scale",
        type=float,
        default=1.0,
        metavar="N",
        help="run N times as fast (needs --clock-start)",
    )
    demo.add_argument(
        "--clock-origin",
        type=float,
        metavar="S",
        help="CLOCK_MONOTONIC at the start, to share it between processes",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT (0), or until the daemon cannot go on (1). A bad site file starts
    nothing (2).
    """
    if arguments.clock_scale != 1.0 and not arguments.clock_start:
        raise CommandError(
            "--clock-scale needs --clock-start: only a demonstration's clock can run faster", BAD_INPUT
        )
    if not 0.0 < arguments.clock_scale <= 1_000.0:
        raise CommandError(f"--clock-scale {arguments.clock_scale:g}: above 0, at most 1000", BAD_INPUT)
    try:
        loaded = load_for_start(arguments.config)
    except SiteFileError as error:
        raise CommandError(f"nothing is started, the site file has problems:\n{error}", BAD_INPUT) from error
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(loaded, arguments))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: OCPP messages cost it a third less."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


def _clock(arguments: argparse.Namespace) -> ClockPort:
    if not arguments.clock_start:
        return SystemClock()
    loop = asyncio.get_running_loop()
    return LoopClock(loop, wall_of(arguments.clock_start), arguments.clock_scale, arguments.clock_origin)


def _optimiser(settings: Settings) -> Child | None:
    """The optimiser's process, where there are prices and its solver is installed."""
    wanted = (settings.prices.file or settings.prices.feed) and settings.prices.planner == "optimiser"
    return worker(settings.site, settings.prices) if wanted and importlib.util.find_spec("highspy") else None


async def _serve(loaded: Loaded, arguments: argparse.Namespace) -> int:
    clock, settings = _clock(arguments), loaded.settings
    set_up_logs(
        settings.host.log_level,
        lambda: datetime.fromtimestamp(clock.wall_s(), tz=UTC).isoformat(timespec="milliseconds"),
        arguments.log,
        clock.now_s,
    )
    for warning in loaded.warnings:
        log.warning("site_file_odd", text=warning)
    try:
        daemon = Daemon(
            settings, clock, Watchdog(), _optimiser(settings), source_of(arguments.config, loaded)
        )
    except ValueError as error:  # devices and register maps that cannot be used, all of them
        raise CommandError(f"nothing is started: {error}", BAD_INPUT) from error
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    stalls = StallWatch()
    stalls.start()
    try:
        await daemon.start()
        gc.freeze()  # what lives from start to end is not looked through again
        await daemon.run()
    except InvariantBroken as error:
        log.critical("invariant_broken", text=str(error), consequence="leases end at the chargers")
        return FAILED
    except (JournalError, OSError) as error:
        text = in_words(error)
        log.critical("cannot_run", text=text)
        print(f"v2g-edge run: {text}", file=sys.stderr)
        return FAILED
    finally:
        await daemon.close()
        stalls.stop()
    return DONE


def in_words(error: Exception) -> str:
    """Why the daemon cannot run, and the mend where it is an address that it cannot listen on."""
    bound = BOUND.search(str(error))
    if not isinstance(error, OSError) or bound is None:
        return str(error)
    host, port = bound.groups()
    where = f"nothing can listen on {host}:{port}"
    if error.errno == errno.EADDRINUSE:
        asked = f"ss -ltnp 'sport = :{port}'"
        return f"{where}: another program does ({asked} names it); end it, or give another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: no network of this machine has that address (ip addr lists them); correct the host"
    if error.errno == errno.EACCES:
        return f"{where}: ports below 1024 are root's; give one above"
    return str(error)
