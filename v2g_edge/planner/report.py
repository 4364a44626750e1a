"""What a plan is expected to do, as people read it: money by component, energy by vehicle, when each is
ready, what binds.
"""

from msgspec import Struct

from v2g_edge.planner.problem import Pack, Problem, Shortfall, Solution
from v2g_edge.planner.rounding import Rounded, spared_kwh


class Money(Struct, frozen=True):
    """Expected money over the plan, in the site's currency; costs +, income −. ``peaks`` is what demand
    charges grow by.
    """

    energy: float = 0.0
    export: float = 0.0
    wear: float = 0.0
    peaks: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.energy + self.export + self.wear + self.peaks


class Ready(Struct, frozen=True):
    """One vehicle. ``ready_wall_s``: when its need is met (UTC), None where it never is or its need is
    unknown.

    ``soc_pct``: at each slot's end, () where its capacity is unknown. ``lacks_kwh``: short at departure.
    ``promise_per_kwh``: what the last kWh of its departure costs.
    """

    evse: str
    soc_now_pct: float
    target_pct: float
    leaves_wall_s: float | None
    ready_wall_s: float | None
    leaves_with_pct: float
    charged_kwh: float
    exported_kwh: float
    soc_pct: tuple[float, ...] = ()
    lacks_kwh: float = 0.0
    promise_per_kwh: float = 0.0


class Price(Struct, frozen=True):
    """Worth of one more kW (a departure: of one kWh less) of what binds, summed over the slots from …
    until.
    """

    kind: str
    name: str
    from_wall_s: float
    until_wall_s: float
    worth: float


class Report(Struct, frozen=True):
    """``solver`` names what made the plan: "highs-ipm", "greedy", "last plan" … ``why`` says why it was
    not a better one.

    ``not_held``: what was sold and is not there, as (service, "up" or "down", from, until, kW).
    ``base_error_kw``: what the forecast of the building was off by in the mean of the last week, None without
    one.
    """

    solver: str
    made_wall_s: float
    money: Money = Money()
    vehicles: tuple[Ready, ...] = ()
    prices: tuple[Price, ...] = ()
    edges: tuple[float, ...] = ()
    site_kw: tuple[float, ...] = ()
    base_kw: tuple[float, ...] = ()
    buy: tuple[float, ...] = ()
    sell: tuple[float, ...] = ()
    reserved: tuple[tuple[str, float], ...] = ()
    not_held: tuple[tuple[str, str, float, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    why: str = ""
    took_s: float = 0.0
    base_error_kw: float | None = None


def money_of(problem: Problem, done: Rounded) -> Money:
    """The bill of a rounded schedule at the problem's prices."""
    net = done.power_kw.sum(axis=0) + problem.base_kw
    hours = problem.hours
    out = (-done.power_kw.clip(max=0.0)) * hours
    return Money(
        energy=float((problem.buy * net.clip(min=0.0) * hours).sum()),
        export=float((problem.sell * net.clip(max=0.0) * hours).sum()),
        wear=sum(_wear(pack, row) for pack, row in zip(problem.packs, out, strict=True)),
        peaks=sum(peak.rate * (peak.level_kw(net) - max(peak.billed_kw, 0.0)) for peak in problem.peaks),
    )


def _wear(pack: Pack, out_kwh: object) -> float:
    total = pack.wear * float(out_kwh.sum())  # type: ignore[attr-defined]
    for depth in pack.depths:
        left = float(out_kwh[depth.first : depth.end].sum()) / pack.efficiency  # type: ignore[index]
        for width, cost in depth.pieces:
            total += min(left, width) * cost
            left -= min(left, width)
    return total


def prices_of(problem: Problem, solution: Solution, edges: tuple[float, ...]) -> tuple[Price, ...]:
    """Shadow prices by what binds, summed over neighbouring slots, dearest first."""
    found: list[Price] = []
    for kind, name, slot, worth in sorted(solution.prices):
        old = found[-1] if found else None
        if old is not None and (old.kind, old.name, old.until_wall_s) == (kind, name, edges[slot]):
            found[-1] = Price(kind, name, old.from_wall_s, edges[slot + 1], old.worth + worth)
        else:
            found.append(Price(kind, name, edges[slot], edges[slot + 1], worth))
    return tuple(sorted(found, key=lambda each: (-each.worth, each.kind, each.name)))


def ready_of(
    pack: Pack, done: Rounded, place: int, problem: Problem, solution: Solution, missed: Shortfall | None
) -> Ready:
    """One vehicle's forecast. Energies are those of the rounded schedule."""
    power, energy = done.power_kw[place], done.energy_kwh[place]
    known = pack.full_kwh > 0.0 and pack.full_kwh < 1e5
    goal = (
        missed.wanted_kwh if missed else float(pack.floor_kwh[pack.deadline]) if pack.deadline >= 0 else None
    )
    edges = [problem.start_wall_s, *(problem.start_wall_s + 3_600.0 * problem.hours.cumsum()).tolist()]
    ready: float | None = None
    if goal is not None:
        met = energy >= goal - spared_kwh(pack)
        for slot in range(len(met) - 1, -1, -1):
            if not met[slot]:
                ready = edges[slot + 1] + 0.0 if slot + 1 < len(met) and met[slot + 1] else None
                if ready is not None:
                    ready = _crossing(pack, problem, done, place, slot + 1, goal, ready)
                break
        else:
            ready = edges[0]
    worth = next((p[3] for p in solution.prices if p[:2] == ("departure", pack.name)), 0.0)
    hours, per = problem.hours, 100.0 / pack.full_kwh if known else 0.0
    at = pack.deadline if pack.deadline >= 0 else len(energy) - 1
    lacks = 0.0 if goal is None else goal - float(energy[at])
    return Ready(
        evse=pack.name,
        soc_now_pct=pack.start_kwh * per,
        target_pct=(goal or 0.0) * per,
        leaves_wall_s=float(edges[pack.deadline + 1]) if pack.deadline >= 0 else None,
        ready_wall_s=ready,
        leaves_with_pct=float(energy[at]) * per,
        charged_kwh=float((power.clip(min=0.0) * hours).sum()),
        exported_kwh=float((-power.clip(max=0.0) * hours).sum()),
        soc_pct=tuple(round(float(value) * per, 2) for value in energy) if known else (),
        lacks_kwh=lacks if lacks > spared_kwh(pack) else 0.0,
        promise_per_kwh=worth,
    )


def _crossing(
    pack: Pack, problem: Problem, done: Rounded, place: int, slot: int, goal: float, start_s: float
) -> float:
    """When within a slot the goal is reached."""
    power, energy = float(done.power_kw[place][slot]), done.energy_kwh[place]
    if power <= 0.0:
        return start_s
    return (
        start_s
        + min(
            max((goal - float(energy[slot - 1])) / (pack.efficiency * power), 0.0), float(problem.hours[slot])
        )
        * 3_600.0
    )
