"""A month of quarter-hourly loads under a demand charge: what is billed, beside the best with what was known.

`python -m tests.planner.weeks.peaks`. A building that peaks in the evening, when the vehicles come home. Each
quarter hour is planned anew: its own load is known, those to come are the mean of the evenings before, scaled
by how this one began. The best with what was known is the optimum of the same knowledge for chargers that can
hold any power; beside it stands what one would be billed who knew each evening from its beginning.
"""

import sys
from typing import Final, NamedTuple

import numpy as np

from v2g_edge.planner.highs import solve
from v2g_edge.planner.problem import Floats, Pack, Peak, Problem, energies, settled
from v2g_edge.planner.rounding import rounded

EVENINGS: Final = 30
HISTORY: Final = 10
"""Evenings before the month, of which the journal tells."""
SLOTS: Final = 56
"""From 16:00 to 06:00."""
RATE: Final = 15.0
MOST_OVER: Final = 1.02
CARS: Final = 4
CAPACITY_KWH: Final = 300.0
RATED_KW: Final = 88.0
NEED_KWH: Final = 180.0
FULL: Final = 0.995
"""What is less than a charger can give at all in a quarter hour may lack."""
ETA: Final = 0.94


class Month(NamedTuple):
    """Billed peaks in kW: as it went, as the best with what was known, as one who knows all, of charging at
    once, of the building alone.
    """

    billed: float
    best: float
    omniscient: float
    at_once: float
    building: float


def loads_of(seed: int, evenings: int = EVENINGS) -> Floats:
    """The building by evening and quarter hour, kW."""
    rng = np.random.default_rng(seed)
    hours = 16.0 + np.arange(SLOTS) / 4.0
    shape = 180.0 + 220.0 * np.exp(-(((hours - 18.5) / 2.0) ** 2))
    by_day = rng.uniform(0.85, 1.15, (evenings, 1))
    return np.asarray(shape * by_day * rng.normal(1.0, 0.05, (evenings, SLOTS)))


def month_of(seed: int, evenings: int = EVENINGS) -> Month:
    """Play it."""
    loads = loads_of(seed, HISTORY + evenings)
    billed = best = omniscient = at_once = 0.0
    for evening in range(HISTORY, HISTORY + evenings):
        known = loads[:evening].mean(axis=0)
        billed = max(billed, _evening(loads[evening], known, billed, possible=True))
        best = max(best, _evening(loads[evening], known, best, possible=False))
        omniscient = max(omniscient, _peak_of(loads[evening], omniscient))
        at_once = max(at_once, float((loads[evening] + _charged_at_once()).max()))
    return Month(billed, best, omniscient, at_once, float(loads[HISTORY:].max()))


def _evening(load: Floats, known: Floats, billed: float, *, possible: bool) -> float:
    """One evening, planned anew in each quarter hour; its highest one. ``possible``: rounded to what chargers
    can hold.
    """
    start = np.full(CARS, CAPACITY_KWH - NEED_KWH)
    highest = 0.0
    for slot in range(SLOTS):
        expected = known[slot:].copy()
        # An evening that begins above the usual stays above it.
        expected *= load[: slot + 1].mean() / max(known[: slot + 1].mean(), 1.0)
        expected[0] = load[slot]
        calm = _problem(expected, start, max(billed, highest))
        found = solve(calm)
        power = found.charge_kw[:, 0] - found.discharge_kw[:, 0]
        if possible:
            power = rounded(calm, found.charge_kw, found.discharge_kw).power_kw[:, 0]
        for n, pack in enumerate(calm.packs):
            flow = np.array([power[n]])
            moved = energies(pack, flow.clip(min=0.0), (-flow).clip(min=0.0), np.array([0.25]))
            start[n] = float(moved[0])
        highest = max(highest, load[slot] + float(power.sum()))
    assert np.all(start >= FULL * CAPACITY_KWH), "every vehicle leaves full"
    return highest


def _peak_of(load: Floats, billed: float) -> float:
    """The least peak of an evening whose loads are all known."""
    calm = _problem(load, np.full(CARS, CAPACITY_KWH - NEED_KWH), billed)
    found = solve(calm)
    return float((load + found.charge_kw.sum(axis=0) - found.discharge_kw.sum(axis=0)).max())


def _charged_at_once() -> Floats:
    hours = NEED_KWH / ETA / RATED_KW
    return np.asarray(CARS * RATED_KW * np.clip(hours * 4.0 - np.arange(SLOTS), 0.0, 1.0))


def _problem(load: Floats, start: Floats, billed: float) -> Problem:
    count = len(load)
    floor = np.full(count, 0.15 * CAPACITY_KWH)
    floor[-1] = CAPACITY_KWH
    rated = np.full(count, RATED_KW)
    packs = tuple(
        Pack(
            name=f"v{n}",
            feeder=0,
            efficiency=ETA,
            start_kwh=float(start[n]),
            charge_kw=rated,
            discharge_kw=rated,
            floor_kwh=floor,
            ceiling_kwh=np.full(count, CAPACITY_KWH),
            drain_kwh=np.zeros(count),
            wear=0.03,
            deadline=count - 1,
            min_charge_kw=4.14,
            min_discharge_kw=1.0,
            full_kwh=CAPACITY_KWH,
        )
        for n in range(CARS)
    )
    wide, windows = np.full((1, count), 1e3), tuple(((t, 1.0),) for t in range(count))
    return settled(
        Problem(
            start_wall_s=0.0,
            hours=np.full(count, 0.25),
            buy=np.full(count, 0.25),
            sell=np.full(count, 0.08),
            base_kw=load,
            import_kw=wide[0],
            export_kw=wide[0],
            parent=(-1,),
            feeders=("main",),
            charge_cap_kw=wide,
            export_cap_kw=wide,
            packs=packs,
            peaks=(Peak("month", RATE, billed, windows, (0.0,) * count),),
        )
    )[0]


def main() -> int:
    """0 when the billed peak is within 2 % of the best."""
    month = month_of(7)
    over_pct = 100.0 * (month.billed / month.best - 1.0)
    sys.stdout.write(
        f"billed {month.billed:.1f} kW, {over_pct:.2f} % above the best with what was known"
        f" ({month.best:.1f} kW)\n"
        f"knowing all {month.omniscient:.1f} kW; charging at once {month.at_once:.1f} kW; the building alone"
        f" {month.building:.1f} kW\n"
    )
    return 0 if month.billed <= MOST_OVER * month.best else 1


if __name__ == "__main__":
    sys.exit(main())
