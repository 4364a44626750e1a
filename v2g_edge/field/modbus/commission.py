"""What a commissioning step test shows: phases, CT direction, sign, response, and what the meter can resolve.
Pure.

One charger at a time makes known steps while the others rest; the grid meter is sampled all the while. Powers
in W, + into the vehicle and import from the grid.
"""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

Three = tuple[float, float, float]

PHASE_MAPS: Final = ("L1L2L3", "L2L3L1", "L3L1L2", "L1", "L2", "L3")

SETTLED_SHARE: Final = 0.4
"""The last 40 % of a hold count as settled; before that chargers ramp and meters average."""

CLEAR_SHARE: Final = 0.25
"""A fit must leave less than a quarter of the step unexplained, and be better than the next by as much, to
be believed.
"""

RESPONSE_SHARE: Final = 0.9
"""Response is the time to 90 % of the settled step."""

DROOP_RESOLUTION_HZ: Final = 0.010
"""Frequency services need 10 mHz (SO GL 2017/1485 annex V; the deadbands are 10-36 mHz)."""


class Sample(Struct, frozen=True, gc=False):
    """One look at the board. ``commanded_w`` is what the writer had sent; ``charger_w`` what the charger
    measures of itself.
    """

    at_s: float
    commanded_w: float
    charger_w: float
    phase_w: Three
    total_w: float
    hz: float


class PhaseFit(Struct, frozen=True):
    """``phases`` "" when the step does not tell. ``signs`` by grid phase: −1 where the meter counts the
    wrong way round.
    """

    phases: str
    signs: tuple[int, int, int]
    unexplained_w: float
    why: str = ""


class StepFit(Struct, frozen=True):
    """One step: commanded and found change in W, how long to 90 %, and the phases."""

    commanded_w: float
    charger_w: float
    grid_w: float
    response_s: float
    fit: PhaseFit


class MeterFit(Struct, frozen=True):
    """The meter's real refresh time, and the smallest steps that its frequency and power made (0: none
    seen).
    """

    refresh_s: float
    frequency_step_hz: float
    power_step_w: float


class Finding(Struct, frozen=True):
    """What one charger's test gave. ``refusals`` are services that this site must not sell, with the
    reason.
    """

    evse: str
    charge: StepFit | None
    discharge: StepFit | None
    meter: MeterFit
    problems: tuple[str, ...]
    refusals: tuple[str, ...]


def shares_of(phase_map: str) -> Three:
    """How a charger with this map spreads its power over the grid phases: a third each, or all on one."""
    if len(phase_map) == 2:
        return tuple(1.0 if phase_map == f"L{phase}" else 0.0 for phase in (1, 2, 3))  # type: ignore[return-value]
    return (1 / 3, 1 / 3, 1 / 3)


def fit_phases(step_w: float, grid_step_w: Three, charger_phase_w: Three | None = None) -> PhaseFit:
    """The phase map and CT directions that explain a step of ``step_w`` best.

    Without ``charger_phase_w`` (the charger's own phases L1-L3) a three-phase charger shows CT directions,
    but not its rotation: all rotations of equal thirds look alike. With unequal phases it shows both.
    """
    if abs(step_w) < 1.0:
        return PhaseFit("", (1, 1, 1), 0.0, "the charger did not move")
    candidates: list[tuple[float, str, tuple[int, ...]]] = []
    for phase_map in PHASE_MAPS:
        expected = _expected(phase_map, step_w, charger_phase_w)
        if expected is None:
            continue
        for signs in itertools.product((1, -1), repeat=3):
            error = sum(
                abs(found - sign * want)
                for found, sign, want in zip(grid_step_w, signs, expected, strict=True)
            )
            candidates.append((error + 1e-6 * signs.count(-1), phase_map, signs))
    candidates.sort(key=lambda row: row[0])
    error, phase_map, signs = candidates[0]
    used = {index for index, want in enumerate(_expected(phase_map, step_w, charger_phase_w) or ()) if want}
    tidy = tuple(sign if index in used else 1 for index, sign in enumerate(signs))
    if error > CLEAR_SHARE * abs(step_w):
        return PhaseFit("", tidy, error, "the meter does not see the step")  # type: ignore[arg-type]
    rivals = [row for row in candidates if row[1] != phase_map and row[0] - error < CLEAR_SHARE * abs(step_w)]
    if rivals:
        return PhaseFit("", tidy, error, "all rotations look alike: the step loads the phases equally")  # type: ignore[arg-type]
    return PhaseFit(phase_map, tidy, error)  # type: ignore[arg-type]


def _expected(phase_map: str, step_w: float, charger_phase_w: Three | None) -> Three | None:
    if charger_phase_w is None:
        first, second, third = shares_of(phase_map)
        return step_w * first, step_w * second, step_w * third
    if len(phase_map) == 2:
        return None
    order = [int(phase_map[index]) - 1 for index in (1, 3, 5)]
    grid = [0.0, 0.0, 0.0]
    for own, phase in enumerate(order):
        grid[phase] = charger_phase_w[own]
    return grid[0], grid[1], grid[2]


def settled(samples: Sequence[Sample]) -> Sample:
    """The median of the settled part of a hold. ValueError without samples."""
    if not samples:
        raise ValueError("no samples: the meter or the charger was never read")
    part = samples[-max(1, int(len(samples) * SETTLED_SHARE)) :]
    middle = statistics.median

    def of(values: Sequence[float]) -> float:
        return middle(values)

    phases = tuple(of([sample.phase_w[index] for sample in part]) for index in range(3))
    return Sample(
        part[-1].at_s,
        of([sample.commanded_w for sample in part]),
        of([sample.charger_w for sample in part]),
        phases,  # type: ignore[arg-type]
        of([sample.total_w for sample in part]),
        of([sample.hz for sample in part]),
    )


def fit_step(before: Sequence[Sample], during: Sequence[Sample]) -> StepFit:
    """A hold at rest and the hold after the step."""
    base, end = settled(before), settled(during)
    step_w = end.charger_w - base.charger_w
    grid = tuple(found - rest for found, rest in zip(end.phase_w, base.phase_w, strict=True))
    wanted = RESPONSE_SHARE * abs(step_w)
    arrived = next(
        (s.at_s for s in during if abs(s.charger_w - base.charger_w) >= wanted > 0.0), during[-1].at_s
    )
    return StepFit(
        end.commanded_w - base.commanded_w,
        step_w,
        end.total_w - base.total_w,
        arrived - during[0].at_s,
        fit_phases(step_w, grid),  # type: ignore[arg-type]
    )


def fit_meter(samples: Sequence[Sample]) -> MeterFit:
    """How often the meter's picture really changes, and in which steps. Needs samples faster than the
    meter refreshes.
    """
    changed = [samples[0].at_s] if samples else []
    for earlier, later in itertools.pairwise(samples):
        if (earlier.phase_w, earlier.total_w, earlier.hz) != (later.phase_w, later.total_w, later.hz):
            changed.append(later.at_s)
    gaps = [later - earlier for earlier, later in itertools.pairwise(changed)]
    return MeterFit(
        statistics.median(gaps) if gaps else 0.0,
        _least_step([sample.hz for sample in samples]),
        _least_step([sample.total_w for sample in samples]),
    )


def _least_step(values: Sequence[float]) -> float:
    levels = sorted({round(value, 6) for value in values})
    return min((high - low for low, high in itertools.pairwise(levels)), default=0.0)


def judge(
    evse: str,
    configured: str,
    charge: StepFit | None,
    discharge: StepFit | None,
    meter: MeterFit,
    denied: Mapping[str, str] = MappingProxyType({}),
) -> Finding:
    """Everything that an installer must mend or know, in sentences. ``denied`` says why a step was not
    made.
    """
    problems: list[str] = []
    for name, step in (("charge", charge), ("discharge", discharge)):
        if step is None:
            problems.append(f"{name}: {denied.get(name, 'not tested')}")
            continue
        problems += _step_problems(name, step)
    told = charge or discharge
    if told is not None and told.fit.phases and told.fit.phases != configured:
        problems.append(f"phases: the site file says {configured}, the meter says {told.fit.phases}")
    refusals = []
    if not 0.0 < meter.frequency_step_hz <= DROOP_RESOLUTION_HZ + 1e-9:
        found = (
            f"{1000 * meter.frequency_step_hz:.0f} mHz steps" if meter.frequency_step_hz else "no change seen"
        )
        refusals.append(
            f"frequency services (droop, FCR): the meter's frequency has {found}, 10 mHz are needed"
        )
    return Finding(evse, charge, discharge, meter, tuple(problems), tuple(refusals))


def _step_problems(name: str, step: StepFit) -> list[str]:
    problems = []
    if step.charger_w * step.commanded_w <= 0.0 or abs(step.charger_w) < 0.5 * abs(step.commanded_w):
        problems.append(
            f"{name}: commanded {step.commanded_w:.0f} W, the charger moved {step.charger_w:.0f} W"
        )
        return problems
    if step.fit.why and not step.fit.phases and "alike" not in step.fit.why:
        problems.append(f"{name}: {step.fit.why} ({step.fit.unexplained_w:.0f} W unexplained)")
    return problems


def directions(findings: Sequence[Finding]) -> Three:
    """By grid phase: +1 counts right, −1 the wrong way round, 0 not tested or contradictory."""
    seen: list[set[int]] = [set(), set(), set()]
    for finding in findings:
        for step in (finding.charge, finding.discharge):
            if step is None or "not" in step.fit.why:
                continue
            for index, share in enumerate(shares_of(step.fit.phases or "L1L2L3")):
                if share:
                    seen[index].add(step.fit.signs[index])
    first, second, third = (float(next(iter(signs))) if len(signs) == 1 else 0.0 for signs in seen)
    return first, second, third


def meter_verdict(found: Three) -> tuple[bool, tuple[str, ...]]:
    """(turn ``invert`` of the meter's device, what to mend). All three phases reversed is a setting; a
    single one is a CT.
    """
    wrong = [f"L{phase}" for phase, sign in enumerate(found, 1) if sign < 0.0]
    if len(wrong) == 3:
        return True, ("the whole meter counts the wrong way round: turn invert of its device",)
    problems = [
        f"the CT of phase {phase} is reversed: turn it round, no setting can mend a single one"
        for phase in wrong
    ]
    if wrong and not any(sign > 0.0 for sign in found):
        problems.append(
            "or the whole meter is: no phase that counts right was tested; test a charger on the others"
        )
    return False, tuple(problems)
