"""A bad night drawn from its seed: the night of that seed, and a mix of faults of which the mix itself is
drawn.

Faults begin after the depot is up and are over before the last part of the night, in which it must converge;
a charger that disobeys for ever does not end. The same seed gives the same scenario.
"""

import math
import random
from typing import Final

from msgspec.structs import replace

from sim.scenarios.by_phase import by_phase
from sim.scenarios.fault import CLOUD, CONTACT, CONTROLLER, METER, Fault, FaultKind
from sim.scenarios.night import night
from sim.scenarios.scenario import Scenario
from sim.scenarios.visit import Visit

MINUTE: Final = 60.0
HOUR: Final = 3_600.0

UP_S: Final = 10 * MINUTE
"""After this the depot is up."""

CALM: Final = 0.35
"""The last part of the night without faults, as a share of it."""

FAULTS_MOST: Final = 8

BY_PHASE: Final = 5
"""Each fifth seed is a depot of vans with limits by phase."""

VALUES: Final[dict[FaultKind, tuple[float, float]]] = {
    "late": (2.0, 25.0), "slow_link": (0.2, 4.0), "wrong_clock": (-3_600.0, 3_600.0),
    "wrong_soc": (-20.0, 20.0),
    "overdraw": (1.1, 1.5), "underdraw": (5_000.0, 25_000.0), "flood": (50.0, 300.0),
    "meter_slow": (0.2, 3.0),
    "meter_spike": (1e6, 6.55e7), "meter_scaled": (0.5, 10.0), "meter_shifted": (-40_000.0, 40_000.0),
    "clock_step": (-1_800.0, 1_800.0), "clock_drift": (-500.0, 500.0), "load": (5_000.0, 40_000.0),
    "pack_c": (-10.0, 60.0),
}  # fmt: skip
"""Least and most of a drawn value, for kinds that have one."""

BRIEF_S: Final[dict[FaultKind, tuple[float, float]]] = {
    "stall": (1.0, 60.0), "suspend": (5.0, 120.0), "restart": (3.0, 120.0), "reboot_host": (30.0, 240.0),
    "reboot": (20.0, 120.0), "vanish": (1.0, 10.0), "meter_spike": (0.9, 1.1), "meter_reset": (1.0, 60.0),
    "flood": (10.0, 120.0), "nonsense": (5.0, 60.0), "contact_open": (2.0, 120.0),
}  # fmt: skip
"""Least and most duration, for kinds that are short by nature; the others last from seconds to an hour."""

LASTING: Final[tuple[FaultKind, ...]] = ("wrong_soc", "quiet_soc", "underdraw")
"""Faults of a vehicle: they last as long as it stays."""

DISOBEDIENT: Final[tuple[FaultKind, ...]] = (
    "ignore",
    "reject",
    "reject_negative",
    "overdraw",
    "wrong_sign",
    "turned_meter",
)
FOR_A_WHILE: Final = (MINUTE, HOUR, math.inf)
"""A charger disobeys for a minute, for an hour, or for ever."""

AT_STATIONS: Final[tuple[FaultKind, ...]] = (
    *DISOBEDIENT, *LASTING, "mute", "late", "reboot", "offline", "half_open", "slow_link", "vanish",
    "duplicate", "wrong_clock",
    "stuck_meter", "flood", "nonsense", "ghost",
)  # fmt: skip

BLIND_TO_TRUTH: Final[frozenset[str]] = frozenset({"contact_welded"})
"""Never drawn with a disturbance: a relay shown closed that is open, on a grid that looks well, is beyond
software.
"""


def drawn(seed: int, *, hours: float = 14.0, chargers: int = 12) -> Scenario:
    """The bad night of a seed; ``hours`` shorter than fourteen squeeze stays and departures into them."""
    dice = random.Random(f"drawn {seed}")
    base = squeezed(night(seed, chargers=chargers, quiet=dice.random() < 0.5), hours)
    if seed % BY_PHASE == 0:
        base = by_phase(base, random.Random(f"by phase {seed}"))
    first_s = base.start_wall_s + UP_S
    last_s = base.start_wall_s + (1.0 - CALM) * base.duration_s
    faults: list[Fault] = []
    for _ in range(dice.randint(1, FAULTS_MOST)):
        fault = _fault(dice, base, first_s, last_s)
        if not any(fault.kind == f.kind and fault.target == f.target for f in faults):
            faults.append(fault)
    if any(fault.kind in BLIND_TO_TRUTH for fault in faults):
        base = replace(base, disturbances=())
    visits = tuple(_changed(dice, visit) for visit in base.visits)
    return replace(base, name="drawn", seed=seed, visits=visits, faults=tuple(faults))


def squeezed(base: Scenario, hours: float) -> Scenario:
    """``base`` in ``hours``: times keep their share of the night, and what must be charged shrinks with
    it.
    """
    share = hours * HOUR / base.duration_s
    start_wall_s = base.start_wall_s

    def at(wall_s: float) -> float:
        return start_wall_s + (wall_s - start_wall_s) * share

    def lacks(visit: Visit) -> float:
        soc_pct = visit.soc_pct if visit.soc_pct is not None else visit.target_soc_pct
        return visit.target_soc_pct - (visit.target_soc_pct - soc_pct) * min(share, 1.0)

    visits = tuple(
        replace(
            visit, arrives_wall_s=round(at(visit.arrives_wall_s)),
            departs_wall_s=round(at(visit.departs_wall_s)),
            soc_pct=round(lacks(visit), 1),
        )
        for visit in base.visits
    )  # fmt: skip
    disturbances = tuple(replace(d, start_wall_s=at(d.start_wall_s)) for d in base.disturbances)
    return replace(base, duration_s=hours * HOUR, visits=visits, disturbances=disturbances)


def _fault(dice: random.Random, base: Scenario, first_s: float, last_s: float) -> Fault:
    part = dice.random()
    kinds: tuple[FaultKind, ...]
    if part < 0.5:
        kinds, target = AT_STATIONS, dice.choice(base.stations).identity
        if dice.random() < 0.1:
            kinds, target = ("offline", "vanish", "reboot", "slow_link"), "*"
    elif part < 0.7:
        kinds, target = tuple(sorted(METER)), "grid_meter"
    elif part < 0.78:
        kinds, target = tuple(sorted(CONTACT)), "grid_relay"
    elif part < 0.9:
        kinds, target = tuple(sorted(CONTROLLER)), "controller"
    elif part < 0.95:
        kinds, target = tuple(sorted(CLOUD)), "cloud"
    else:
        heats = dice.random() < 0.5
        kinds, target = (("pack_c",), dice.choice(base.site.evses).id) if heats else (("load",), "main")
    kind = dice.choice(kinds)
    start_wall_s = round(dice.uniform(first_s, last_s), 1)
    value = round(dice.uniform(*VALUES[kind]), 3) if kind in VALUES else 0.0
    return Fault(kind, target, start_wall_s, _duration_s(dice, base, kind, start_wall_s, last_s), value)


def _duration_s(
    dice: random.Random, base: Scenario, kind: FaultKind, start_wall_s: float, last_s: float
) -> float:
    if kind in LASTING:
        return base.end_wall_s - start_wall_s
    if kind in DISOBEDIENT:
        lasts_s = dice.choice(FOR_A_WHILE)
        return (
            base.end_wall_s - start_wall_s
            if math.isinf(lasts_s)
            else min(lasts_s, max(last_s - start_wall_s, MINUTE))
        )
    low_s, high_s = BRIEF_S.get(kind, (5.0, HOUR))
    lasts_s = math.exp(dice.uniform(math.log(low_s), math.log(high_s)))
    return round(min(lasts_s, max(last_s - start_wall_s, low_s)), 1)


def _changed(dice: random.Random, visit: Visit) -> Visit:
    """Now and then a driver comes earlier or later than planned."""
    if dice.random() < 0.05:
        return replace(visit, leaves_wall_s=visit.departs_wall_s - round(dice.uniform(5, 40)) * MINUTE)
    if dice.random() < 0.05:
        return replace(visit, leaves_wall_s=visit.departs_wall_s + round(dice.uniform(1, 5)) * MINUTE)
    return visit
