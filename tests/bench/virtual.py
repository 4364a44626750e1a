"""The simulator's own speed: played seconds a second of one core, daemon and protocols included, and nights
of the pure tick.

Processor time counts: other work on a shared machine only ever adds.
"""

import time

from msgspec.structs import replace

from sim.runners.pure import PureRun, slowed
from sim.runners.runner import run_scenario
from sim.scenarios.night import night

Row = tuple[str, float, str, str, float, float, str]
PLAYED_S = 900.0


def _times_real(chargers: int) -> float:
    """Played over processor seconds of a quarter hour in the evening, all buses in."""
    base = night(7, chargers=chargers, quiet=True)
    start_wall_s = base.start_wall_s + 5_400.0
    visits = tuple(replace(visit, arrives_wall_s=start_wall_s + 5.0) for visit in base.visits)
    begun_s = time.process_time()
    run_scenario(replace(base, start_wall_s=start_wall_s, duration_s=PLAYED_S, visits=visits))
    return PLAYED_S / (time.process_time() - begun_s)


def _year_minutes() -> float:
    """Two cores' minutes for 365 nights of fifty chargers on the pure tick, from one night."""
    begun_s = time.process_time()
    PureRun(slowed(night(7, chargers=50, quiet=True), 60.0)).play()
    return 365 * (time.process_time() - begun_s) / 2.0 / 60.0


def rows() -> list[Row]:
    """Three rows."""
    twelve, fifty, year = _times_real(12), _times_real(50), _year_minutes()
    return [
        ("virtual time with protocols, 12 chargers", twelve, "×", "real time", 1.0, twelve, "≥ 800"),
        ("virtual time with protocols, 50 chargers", fifty, "×", "real time", 1.0, fifty, "≥ 200"),
        (
            "a year of nights of 50 chargers, pure tick at one minute, two cores",
            year,
            "min",
            "goal",
            10.0,
            year / 10.0,
            "≤ 10",
        ),
    ]
