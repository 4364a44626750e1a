"""A plan from three files, without a daemon: the site, prices, and who is plugged in."""

import argparse
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from v2g_edge.cli.live.plan_fleet import read_fleet
from v2g_edge.cli.live.why import wall_of
from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.config.load import load
from v2g_edge.config.problems import ConfigError
from v2g_edge.host.clock import SystemClock
from v2g_edge.market.price_file import plan_prices, read_prices
from v2g_edge.market.rows import BadPrices
from v2g_edge.model.plan import Price
from v2g_edge.model.reading import Reading
from v2g_edge.model.settings import Settings
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.day import plan_day
from v2g_edge.planner.highs import NoSolutionError
from v2g_edge.planner.report import Report

EARLIER_S = 3_600.0
Made = tuple[dict[str, Any] | None, Report, ZoneInfo, list[tuple[str, float]], str]


def plan_from_files(arguments: argparse.Namespace) -> Made:
    """Plan, report, the site's zone, what each departure an hour earlier would cost where that was asked
    for, and its name.
    """
    try:
        settings = load(arguments.site)
        prices = plan_prices(read_prices(arguments.prices, settings.prices))
    except (ConfigError, BadPrices) as fault:
        raise CommandError(str(fault), BAD_INPUT) from fault
    wall_s = wall_of(arguments.at) if arguments.at else SystemClock().wall_s()
    snapshot = read_fleet(arguments.fleet, settings.site, wall_s)
    try:
        plan, report = plan_day(settings.site, snapshot, prices, settings.prices, wall_s)
        promises = _promises(settings, snapshot, prices, report) if arguments.promises else []
    except NoSolutionError as fault:
        raise CommandError(f"no plan: {fault}") from fault
    return msgspec.to_builtins(plan), report, ZoneInfo(settings.site.timezone), promises, settings.site.name


def _promises(
    settings: Settings, snapshot: Snapshot, prices: tuple[Price, ...], report: Report
) -> list[tuple[str, float]]:
    """The optimum with one departure an hour earlier, less the optimum as it is; dearest first."""
    costs = []
    for place, (evse, state) in enumerate(zip(settings.site.evses, snapshot.evses, strict=True)):
        vehicle = state.vehicle
        if vehicle is None or not isinstance(vehicle.departure_wall_s, Reading):
            continue
        earlier = Reading(vehicle.departure_wall_s.value - EARLIER_S, vehicle.departure_wall_s.at_s)
        moved = replace(state, vehicle=replace(vehicle, departure_wall_s=earlier))
        evses = tuple(moved if n == place else each for n, each in enumerate(snapshot.evses))
        _, other = plan_day(
            settings.site, replace(snapshot, evses=evses), prices, settings.prices, snapshot.wall_s
        )
        costs.append((evse.id, other.money.total - report.money.total))
    return sorted(costs, key=lambda item: (-item[1], item[0]))
