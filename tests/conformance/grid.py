"""A grid connection in virtual time: hold voltages and frequency for some seconds, and see what the
envelope makes of it.
"""

from collections.abc import Callable
from functools import cache

from v2g_edge.config.gridcode import check_code
from v2g_edge.envelope.enter_service import ServiceMemory, ServiceVerdict, service_step
from v2g_edge.envelope.gridtrip import Trip, TripMemory, describe, trip_step
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import GridSample

CODES = (
    "en50549_example",
    "g99",
    "ieee1547_2018_cat1",
    "ieee1547_2018_cat2",
    "ieee1547_2018_cat3",
    "rule21",
    "vde_ar_n_4105_2018",
)
MAX_AGE_S = 2.0
RATE_HZ = 50
"""Sampling of the conformance runs; a hold may ask for another."""

Volts = tuple[float, float, float]
Corrupt = Callable[[GridSample, int], GridSample]


@cache
def code_of(name: str, **overrides: float) -> GridCode:
    """A code that arms, drafts signed for. ``UV1__time_s=50`` stands for the key ``UV1.time_s``."""
    keys = tuple((key.replace("__", "."), value) for key, value in overrides.items())
    code, problems = check_code(name, keys, "the test", None, "test")
    assert code is not None
    assert not problems
    return code


def nominal_v(code: GridCode) -> float:
    """230/400 V in the 50 Hz world, 277/480 V in the other."""
    return 230.0 if code.nominal_hz == 50.0 else 277.0


class Rig:
    """The two step functions called as the pipeline calls them: once a tick of ``tick_s`` with all samples
    since the last.
    """

    def __init__(self, code: GridCode, tick_s: float = 1.0, *, running: bool = False) -> None:
        self.code = code
        self.nominal_v = nominal_v(code)
        self.tick_s = tick_s
        self.trip_memory = TripMemory()
        self.service_memory = ServiceMemory(state="in_service", cause="") if running else ServiceMemory()
        self.permitted = True
        self.chance = 0.5
        self.now_s = 1000.0
        self.trips: dict[str, Trip] = {}
        self.ceased: list[str] = []
        self.verdicts: list[tuple[float, ServiceVerdict]] = []

    def hold(
        self,
        seconds: float,
        v: float | Volts = 1.0,
        hz: float | None = None,
        rate_hz: float = RATE_HZ,
        corrupt: Corrupt | None = None,
    ) -> None:
        """Samples at ``rate_hz`` over ``seconds``, the first one now. ``v`` in pu."""
        volts = v if isinstance(v, tuple) else (v, v, v)
        frequency = self.code.nominal_hz if hz is None else hz
        self.play([(volts, frequency)] * max(1, round(seconds * rate_hz)), seconds, rate_hz, corrupt)

    def play(
        self,
        course: list[tuple[Volts, float]],
        seconds: float,
        rate_hz: float,
        corrupt: Corrupt | None = None,
    ) -> None:
        """One sample after the other, 1/``rate_hz`` apart; the tick comes when its time is over, and at
        the end.
        """
        start_s, tick_at_s = self.now_s, self.now_s + self.tick_s
        batch: list[GridSample] = []
        for index, (volts, hz) in enumerate(course):
            sample = self.sample(start_s + index / rate_hz, volts, hz)
            while sample.at_s >= tick_at_s:
                self.tick(batch, tick_at_s)
                batch, tick_at_s = [], tick_at_s + self.tick_s
            batch.append(corrupt(sample, index) if corrupt else sample)
        self.now_s = start_s + seconds
        self.tick(batch, self.now_s)

    def silence(self, seconds: float) -> None:
        """The meter says nothing."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + self.tick_s)
            self.tick([], self.now_s)

    def sample(self, at_s: float, volts: Volts, hz: float) -> GridSample:
        phases: list[Measured] = [Reading(v * self.nominal_v, at_s) for v in volts]
        return GridSample(at_s, (phases[0], phases[1], phases[2]), Reading(hz, at_s))

    def tick(self, samples: list[GridSample], now_s: float) -> None:
        """Both steps, as in the pipeline; trips, cessation and service are written down."""
        batch = tuple(samples)
        self.trip_memory, verdict = trip_step(
            self.code, self.nominal_v, self.trip_memory, batch, now_s, MAX_AGE_S
        )
        for trip in verdict.trips:
            self.trips.setdefault(trip.element, trip)
        if verdict.cease:
            self.ceased.append(verdict.cease)
        self.service_memory, service = service_step(
            self.code,
            self.nominal_v,
            self.service_memory,
            batch,
            now_s,
            MAX_AGE_S,
            trip="; ".join(describe(trip) for trip in verdict.trips),
            permitted=self.permitted,
            chance=self.chance,
        )
        self.verdicts.append((now_s, service))

    @property
    def share(self) -> float:
        """Of the export, as the last tick left it."""
        return self.verdicts[-1][1].share
