"""The day plan as one problem: pure data in kW and kWh, the same for every solver. + is into the vehicle, and
import.

Charging is summed without crediting anybody's discharge, and export without crediting anybody's charging, as
the envelope does: a plan that netted the two would be cut. Only the connection's own power, which the bill is
made of, is net.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FAR_KWH: Final = 1e6
"""No bound on an energy: a thousand times the largest battery."""


@dataclass(frozen=True, slots=True)
class Depth:
    """At most ``most_kwh`` leave a battery in slots ``first`` ≤ t < ``end``. ``pieces``: (kWh, cost of
    each), cost rising.
    """

    first: int
    end: int
    most_kwh: float
    pieces: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Taper:
    """Charging at most ``at_empty_kw`` − ``per_kwh`` × (energy at the slot's end), grid side: one line of a
    concave curve.

    At the end, so that what is planned can be held all through the slot.
    """

    at_empty_kw: float
    per_kwh: float


@dataclass(frozen=True, slots=True)
class Pack:
    """One vehicle's battery, or a stationary one (``stationary``). Arrays go by slot.

    ``charge_kw`` and ``discharge_kw``: most at the grid side, 0 where it is not plugged in. ``floor_kwh`` ≤
    energy at the slot's end ≤ ``ceiling_kwh``; a departure is a floor at its last slot. ``drain_kwh`` leaves
    on a trip that begins with the slot. ``bonus``: worth of each kWh charged, beside its price (a vehicle
    whose departure is unknown charges at once). ``deadline``: the slot at whose end the departure's energy
    must be there, −1 without one. ``full_kwh``: what the battery can hold, where ``ceiling_kwh`` says what it
    should. ``wanted_kwh``: what the departure asks, where that is more than the floor. ``hurry``: it should
    take all it can, from now on. ``proof_kwh``: the energy at the slot's end above which the proof of
    departures admits discharging in it (``proof``).
    """

    name: str
    feeder: int
    efficiency: float
    start_kwh: float
    charge_kw: Floats
    discharge_kw: Floats
    floor_kwh: Floats
    ceiling_kwh: Floats
    drain_kwh: Floats
    tapers: tuple[Taper, ...] = ()
    depths: tuple[Depth, ...] = ()
    wear: float = 0.0
    end_value: float = 0.0
    bonus: Floats | None = None
    deadline: int = -1
    stationary: bool = False
    min_charge_kw: float = 0.0
    min_discharge_kw: float = 0.0
    step_kw: float = 0.0
    full_kwh: float = FAR_KWH
    wanted_kwh: float = 0.0
    hurry: bool = False
    proof_kwh: Floats | None = None


@dataclass(frozen=True, slots=True)
class Peak:
    """A demand charge: ``rate`` per kW of the highest mean import over any of ``windows`` above
    ``billed_kw``.

    A window is (slot, share of the window) pairs; ``fixed_kw`` stands beside it for what is already measured
    of it.
    """

    name: str
    rate: float
    billed_kw: float
    windows: tuple[tuple[tuple[int, float], ...], ...]
    fixed_kw: tuple[float, ...]

    def level_kw(self, net_kw: Floats) -> float:
        """What is billed at these powers of the connection: at least what is billed already."""
        means = (
            fixed_kw + sum(share * max(float(net_kw[slot]), 0.0) for slot, share in window)
            for window, fixed_kw in zip(self.windows, self.fixed_kw, strict=True)
        )
        return max(self.billed_kw, 0.0, *means)


@dataclass(frozen=True, slots=True)
class Caution:
    """What the batteries hold in each slot against loads that come higher than expected: so much that the
    peak ``name`` stays at a level of which each kW costs ``share`` of its rate, should the connection carry
    ``load_kw`` from the next slot on.
    """

    name: str
    share: float
    load_kw: Floats


@dataclass(frozen=True, slots=True)
class Reserve:
    """Power held for a service in slots ``first`` ≤ t < ``end``, with energy for ``hours`` of it in each
    direction.
    """

    name: str
    first: int
    end: int
    up_kw: float
    down_kw: float
    hours: float


@dataclass(frozen=True, slots=True)
class Owed:
    """What ``packs`` (numbers) take together in slots ``first`` ≤ t < ``end``, with what refills what they
    give, is at most ``most_kwh`` at the grid side: no more may be left for those slots (``spare``).
    """

    packs: tuple[int, ...]
    first: int
    end: int
    most_kwh: float


@dataclass(frozen=True, slots=True)
class Problem:
    """T slots, K feeders, children anywhere; ``parent`` −1 at the root. Prices are per kWh; ``sell`` never
    exceeds ``buy``.

    ``charge_cap_kw`` and ``export_cap_kw``, (K, T): what all packs below a feeder may charge, and export.
    ``import_kw`` and ``export_kw`` bound the net power of the connection. ``base_kw`` is the building less
    what the sun gives.
    """

    start_wall_s: float
    hours: Floats
    buy: Floats
    sell: Floats
    base_kw: Floats
    import_kw: Floats
    export_kw: Floats
    parent: tuple[int, ...]
    feeders: tuple[str, ...]
    charge_cap_kw: Floats
    export_cap_kw: Floats
    packs: tuple[Pack, ...]
    peaks: tuple[Peak, ...] = ()
    cautions: tuple[Caution, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    owed: tuple[Owed, ...] = ()

    def __len__(self) -> int:
        return len(self.hours)

    @property
    def connected(self) -> int:
        """Slots in which some pack can move: what a solver's work grows with."""
        return int(
            sum(np.count_nonzero((pack.charge_kw > 0.0) | (pack.discharge_kw > 0.0)) for pack in self.packs)
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """Powers (packs, T) in kW at the grid side, both ≥ 0. ``solver`` names what found it; ``cost`` is the
    problem's objective.

    ``prices`` holds shadow prices of limits: (kind, name, slot, worth of one more kW or kWh), each above a
    tenth of a cent. ``short_kwh``: (pack, kWh) of departures and reserves that all together do not fit.
    """

    solver: str
    cost: float
    charge_kw: Floats
    discharge_kw: Floats
    prices: tuple[tuple[str, str, int, float], ...] = ()
    short_kwh: tuple[tuple[str, float], ...] = ()
    iterations: int = 0


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A departure that even full power from now on does not meet: wanted and reachable energy at its slot."""

    pack: str
    wanted_kwh: float
    reachable_kwh: float


def path_of(parent: tuple[int, ...], feeder: int) -> tuple[int, ...]:
    """A feeder and all above it."""
    path = []
    while feeder >= 0:
        path.append(feeder)
        feeder = parent[feeder]
    return tuple(path)


def energies(pack: Pack, charge_kw: Floats, discharge_kw: Floats, hours: Floats) -> Floats:
    """Energy at each slot's end."""
    flow = pack.efficiency * charge_kw * hours - discharge_kw * hours / pack.efficiency - pack.drain_kwh
    return pack.start_kwh + np.cumsum(flow)


def open_bounds(pack: Pack, slots: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Floors and ceilings at the open slots; those of closed slots count at the open slot before, where
    energy can still move.
    """
    if not len(slots):
        return np.zeros(0), np.zeros(0)
    drained = np.cumsum(pack.drain_kwh)
    edges = np.append(slots[1:], len(pack.floor_kwh))
    floor = [
        float(np.max(pack.floor_kwh[a:b] + drained[a:b] - drained[a]))
        for a, b in zip(slots, edges, strict=True)
    ]
    ceiling = [
        float(np.min(pack.ceiling_kwh[a:b] + drained[a:b] - drained[a]))
        for a, b in zip(slots, edges, strict=True)
    ]
    return np.array(floor), np.maximum(np.array(ceiling), np.array(floor))


def reach(pack: Pack, hours: Floats) -> Floats:
    """The most energy that full charging from now on can have at each slot's end."""
    energy, result = pack.start_kwh, np.empty(len(hours))
    for t, hour in enumerate(hours.tolist()):
        energy -= float(pack.drain_kwh[t])
        power = float(pack.charge_kw[t])
        for taper in pack.tapers:
            slope = 1.0 + taper.per_kwh * pack.efficiency * hour
            power = min(power, (taper.at_empty_kw - taper.per_kwh * energy) / slope)
        energy = max(
            min(energy + pack.efficiency * hour * max(power, 0.0), float(pack.ceiling_kwh[t])), energy
        )
        result[t] = energy
    return result


KEPT: Final = 0.05
"""What a schedule may pass a limit by, in kW or kWh: rounding takes it back."""


def broken_limit(p: Problem, charge: Floats, discharge: Floats) -> str:
    """Which feeder, taper or depth a schedule does not keep (by more than rounding takes back), "" when it
    keeps them all.
    """
    for place in range(len(p.feeders)):
        below = [n for n, pack in enumerate(p.packs) if place in path_of(p.parent, pack.feeder)]
        total_in, total_out = charge[below].sum(axis=0), discharge[below].sum(axis=0)
        if np.any(total_in > p.charge_cap_kw[place] + KEPT) or np.any(
            total_out > p.export_cap_kw[place] + KEPT
        ):
            return f"feeder {p.feeders[place]} nets charging with export"
    for n, pack in enumerate(p.packs):
        if not pack.tapers and not pack.depths:
            continue
        energy = energies(pack, charge[n], discharge[n], p.hours)
        for taper in pack.tapers:
            if np.any(charge[n] > np.maximum(taper.at_empty_kw - taper.per_kwh * energy, 0.0) + KEPT):
                return f"{pack.name} tapers"
        out = discharge[n] * p.hours / pack.efficiency
        for depth in pack.depths:
            gone = float(out[depth.first : depth.end].sum())
            if gone > depth.most_kwh + KEPT:
                return f"{pack.name} goes deep"
    return ""


SLACK_KWH: Final = 1e-6
"""Less than this is rounding: a thousandth of a watt-hour."""


def settled(problem: Problem) -> tuple[Problem, tuple[Shortfall, ...]]:
    """The problem with every bound that alone cannot hold clipped to what can, and the departures among them.

    Also: sell is clipped to buy, and nothing discharges where energy costs less than nothing: charging and
    discharging at once would burn it for money (reference: 86 kWh in 9 slots on 2 July 2023, and netting it
    afterwards overfills a battery).
    """
    shortfalls = []
    packs = []
    for pack in problem.packs:
        most = reach(pack, problem.hours)
        floor = np.minimum(pack.floor_kwh, most - SLACK_KWH)
        wanted = max(pack.wanted_kwh, float(pack.floor_kwh[pack.deadline])) if pack.deadline >= 0 else 0.0
        if pack.deadline >= 0 and wanted > most[pack.deadline] + SLACK_KWH:
            shortfalls.append(Shortfall(pack.name, wanted, float(most[pack.deadline])))
        idle = pack.start_kwh - np.cumsum(pack.drain_kwh)
        ceiling = np.maximum(pack.ceiling_kwh, np.maximum(floor, idle))
        discharge = np.where(problem.buy < 0.0, 0.0, pack.discharge_kw)
        packs.append(replace(pack, floor_kwh=floor, ceiling_kwh=ceiling, discharge_kw=discharge))
    base = problem.base_kw
    return (
        replace(
            problem,
            packs=tuple(packs),
            sell=np.minimum(problem.sell, problem.buy),
            import_kw=np.maximum(problem.import_kw, base),
            export_kw=np.maximum(problem.export_kw, -base),
            charge_cap_kw=np.maximum(problem.charge_cap_kw, 0.0),
            export_cap_kw=np.maximum(problem.export_cap_kw, 0.0),
        ),
        tuple(shortfalls),
    )
