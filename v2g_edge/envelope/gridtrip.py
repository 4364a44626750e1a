"""Grid-code trips from meter samples: the second line behind certified protection, never in its place.

Each must-trip element is an on-delay: it picks up with the first sample strictly beyond its threshold, resets
with the first known sample back inside, and trips when it has been up for longer than ``pickup_s``. An
unknown value never starts a timer (silence is the caller's stale rule) and never stops one: with a timer
running it counts as still beyond.

The caller hands in all samples since its last tick. Nothing latches here: a trip puts ``enter_service`` back
to its start, and that is the latch. Momentary cessation lasts only as long as the voltage is in its band.
"""

from math import isfinite
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.envelope.gridmean import MeanMemory, mean_add
from v2g_edge.model.gridcode import Element, GridCode, Rocof
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.snapshot import GridSample

ACTUATION_S: Final = 1.0
"""What we leave of a clearing time for the order to reach the chargers: the gap that Cat III itself leaves
after ride-through.
"""
ACTUATION_SHARE: Final = 0.1
"""… but never more than this share of the clearing time: 0.16 s is the inverter's to keep, we only confirm
it.
"""
FLOAT_NOISE_S: Final = 1e-6
"""Differences of monotonic seconds carry rounding; a microsecond is far below any cycle."""
ROCOF_POINTS: Final = 6
"""Three samples at each end of the rate's window, so that the median of each end outvotes one bad sample."""
ROCOF_POINTS_MAX: Final = 64
"""Bound of the rate's memory; at more than 300 samples/s the window gets shorter than five cycles and no
rate is taken.
"""
BLIND: Final = Unknown("no sample")


class Timer(Struct, frozen=True, array_like=True, gc=False):
    """A running on-delay: first seen beyond at ``since_s``; ``value`` is the last known one (V or Hz, or
    Hz/s).
    """

    since_s: float
    value: float


class Trip(Struct, frozen=True, gc=False):
    """What tripped: ``value`` and ``threshold`` in ``unit``, beyond for ``elapsed_s`` at ``at_s``;
    ``delay_s`` was allowed.
    """

    element: str
    value: float
    threshold: float
    unit: str
    elapsed_s: float
    delay_s: float
    at_s: float


class TripMemory(Struct, frozen=True):
    """``timers`` stand in the order of the code's elements. ``ceasing`` is the band of momentary cessation
    we are in, or "".
    """

    last_s: float | None = None
    timers: tuple[Timer | None, ...] = ()
    rate: Timer | None = None
    points: tuple[tuple[float, float], ...] = ()
    mean: MeanMemory = MeanMemory()
    ceasing: str = ""


class GridVerdict(Struct, frozen=True):
    """``trips``: each element that tripped in these samples, first trip of each. ``cease``: why export
    must be 0 now, or "".
    """

    trips: tuple[Trip, ...]
    cease: str


def describe(trip: Trip) -> str:
    """The trip in words: element, value, threshold, time."""
    return (
        f"{trip.element}: {trip.value:.3f} {trip.unit} beyond {trip.threshold:.3f} {trip.unit} "
        f"for {trip.elapsed_s:.2f} s (allowed {trip.delay_s:.2f} s)"
    )


def pickup_s(code: GridCode, element: Element) -> float:
    """On-delay of the supervisory element in s: as late as the clearing time leaves room, never inside
    ride-through.
    """
    return max(
        code.ride_through_s(element), element.time_s - min(ACTUATION_S, ACTUATION_SHARE * element.time_s)
    )


def trip_step(
    code: GridCode,
    nominal_v: float,
    memory: TripMemory,
    samples: tuple[GridSample, ...],
    now_s: float,
    max_age_s: float,
) -> tuple[TripMemory, GridVerdict]:
    """Judge ``samples`` (oldest first) at ``now_s``; ``nominal_v`` is phase to neutral in V.

    A sample from the future, or not newer than the last one, is no sample: a stale reply must not reset a
    timer. When the newest sample is older than ``max_age_s``, running timers are judged at ``now_s`` as if
    still beyond. A memory of another code, or from before the clock was set back, is dropped
    (``service_step`` then waits anew).
    """
    if len(memory.timers) != len(code.elements) or (memory.last_s is not None and memory.last_s > now_s):
        memory = TripMemory(timers=(None,) * len(code.elements))
    trips: dict[str, Trip] = {}
    for sample in samples:
        if sample.at_s <= now_s and (memory.last_s is None or sample.at_s > memory.last_s):
            memory = _judge(code, nominal_v, memory, sample, max_age_s, trips)
    if memory.last_s is not None and now_s - memory.last_s > max_age_s:
        _judge(code, nominal_v, memory, GridSample(now_s, (BLIND, BLIND, BLIND), BLIND), max_age_s, trips)
    return memory, GridVerdict(tuple(trips.values()), memory.ceasing)


def _judge(
    code: GridCode,
    nominal_v: float,
    memory: TripMemory,
    sample: GridSample,
    max_age_s: float,
    trips: dict[str, Trip],
) -> TripMemory:
    """One sample through every element. First trips are added to ``trips``."""
    volts = tuple(known(phase, sample.at_s, max_age_s) for phase in sample.v)
    hz = known(sample.hz, sample.at_s, max_age_s)
    window_s = max((element.mean_window_s for element in code.elements), default=0.0)
    mean = mean_add(memory.mean, sample.at_s, volts, window_s) if window_s else memory.mean
    timers: list[Timer | None] = []
    for element, before in zip(code.elements, memory.timers, strict=True):
        is_volt = element.quantity.startswith("voltage")
        values = mean.means if element.mean_window_s else volts if is_volt else (hz,)
        threshold = element.threshold * nominal_v if is_volt else element.threshold
        timer = _ran(before, values, threshold, sample.at_s, low=element.quantity.endswith("low"))
        timers.append(timer)
        if timer is not None and element.id not in trips:
            elapsed_s, delay_s = sample.at_s - timer.since_s, pickup_s(code, element)
            if elapsed_s > delay_s + FLOAT_NOISE_S:
                unit = "V" if is_volt else "Hz"
                trips[element.id] = Trip(
                    element.id, timer.value, threshold, unit, elapsed_s, delay_s, sample.at_s
                )
    ceasing = _ceasing(code, nominal_v, memory.ceasing, volts)
    memory = replace(memory, last_s=sample.at_s, timers=tuple(timers), mean=mean, ceasing=ceasing)
    return _rate(code.rocof, memory, sample.at_s, hz, trips) if code.rocof is not None else memory


def known(measured: Reading | Unknown, at_s: float, max_age_s: float) -> float | None:
    """A channel's value in a sample of ``at_s``; None when unknown, not a number, or older than
    ``max_age_s`` at that time.
    """
    if (
        isinstance(measured, Reading)
        and isfinite(measured.value)
        and 0.0 <= at_s - measured.at_s <= max_age_s
    ):
        return measured.value
    return None


def _ran(
    timer: Timer | None, values: tuple[float | None, ...], threshold: float, at_s: float, *, low: bool
) -> Timer | None:
    """The timer after a sample. The worst phase decides; a reset needs every phase known and inside."""
    seen = [value for value in values if value is not None]
    worst = (min(seen) if low else max(seen)) if seen else None
    if worst is not None and (worst < threshold if low else worst > threshold):
        return Timer(timer.since_s if timer is not None else at_s, worst)
    return timer if len(seen) < len(values) else None


def _ceasing(code: GridCode, nominal_v: float, before: str, volts: tuple[float | None, ...]) -> str:
    """The band of momentary cessation that any phase is in, in words. An unknown phase keeps what was."""
    for band in code.ride_through:
        if band.mode == "momentary_cessation":
            low = band.quantity == "voltage_low"
            for phase, value in zip(("L1", "L2", "L3"), volts, strict=True):
                # The far edge is the trip element's; until it has tripped, what is further out ceases too.
                if value is not None and (
                    value < band.hi * nominal_v if low else value > band.lo * nominal_v
                ):
                    return (
                        f"{phase} {value:.1f} V in momentary cessation {band.lo:g}-{band.hi:g} pu"
                        f" ({code.name}, {band.source})"
                    )
    return before if None in volts else ""


def _rate(
    rocof: Rocof, memory: TripMemory, at_s: float, hz: float | None, trips: dict[str, Trip]
) -> TripMemory:
    """Loss of mains by rate of change. Fewer than six samples within the time of the element measure no
    rate, and claim none.
    """
    timer, points = memory.rate, memory.points
    if hz is not None:
        if points and at_s - points[-1][0] > rocof.time_s:
            points = ()
        points = (*points, (at_s, hz))[-ROCOF_POINTS_MAX:]
        while len(points) > ROCOF_POINTS and points[-2][0] - points[2][0] >= rocof.window_s:
            points = points[1:]
        slope = _slope(points, rocof.window_s)
        if slope is not None:
            since_s = timer.since_s if timer is not None and timer.value * slope > 0.0 else at_s
            timer = Timer(since_s, slope) if abs(slope) > rocof.hz_per_s else None
    if timer is not None and at_s - timer.since_s > rocof.time_s + FLOAT_NOISE_S:
        elapsed_s = at_s - timer.since_s
        trips.setdefault(
            "ROCOF", Trip("ROCOF", timer.value, rocof.hz_per_s, "Hz/s", elapsed_s, rocof.time_s, at_s)
        )
    return replace(memory, rate=timer, points=points)


def _slope(points: tuple[tuple[float, float], ...], window_s: float) -> float | None:
    """Hz/s between the medians of the first and last three points; None while they span less than
    ``window_s``.
    """
    if len(points) < ROCOF_POINTS or points[-2][0] - points[1][0] < window_s - FLOAT_NOISE_S:
        return None
    first = sorted(hz for _, hz in points[:3])[1]
    last = sorted(hz for _, hz in points[-3:])[1]
    return (last - first) / (points[-2][0] - points[1][0])
