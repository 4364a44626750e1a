"""Every order of an operator on a real daemon with simulated stations: it acts, survives ``kill -9``, ends
at its time or is taken back, and stands in the journal and in the report with who gave it and why.

Real processes and real sockets; the clock runs ten times as fast as life.
"""

import asyncio
import contextlib
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sim.runners.demo import free_ports
from sim.runners.world import World
from sim.scenarios.fault import Fault
from sim.scenarios.night import ZONE, night
from sim.scenarios.scenario import Scenario
from sim.virtual.clock import LoopClock
from tests.sim.runners.test_kill import PATIENCE_S, SCALE, daemon_of, played, until
from v2g_edge.cli.client import ask
from v2g_edge.cli.live.tonight import give
from v2g_edge.cli.main import main, parser
from v2g_edge.cli.outcome import CommandError

WEEK_S = 7 * 86_400.0


def evening() -> Scenario:
    """Four buses, all in, in the dearest hour: they give. CS03 is away, CS04 does not obey at first."""
    scenario = night(3, chargers=4, quiet=True)
    start_wall_s = scenario.start_wall_s + 5_400.0
    safety = replace(
        scenario.site.safety,
        meter_max_age_s=20.0,
        contact_max_age_s=20.0,
        charger_max_age_s=120.0,
        obey_within_s=60.0,
        balance_within_s=600.0,
        frozen_reads=500,
        lease_s=60.0,
        retry_after_s=6 * 3_600.0,
    )
    feeders = tuple(replace(each, import_limit_w=1e6, export_limit_w=1e6) for each in scenario.site.feeders)
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s, soc_pct=70.0) for visit in scenario.visits)
    return replace(
        scenario,
        start_wall_s=start_wall_s,
        visits=visits,
        site=replace(scenario.site, safety=safety, feeders=feeders),
        faults=(
            Fault("offline", "CS03", start_wall_s + 60.0, 40_000.0),
            Fault("ignore", "CS04", start_wall_s + 90.0, 300.0),
        ),
    )


def test_it() -> None:
    print(evening().site.safety)
