"""Key figures of a time, each with its definition beside it."""

import math
from collections.abc import Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.study.insight.features import local_day
from v2g_edge.study.insight.incidents import Incident
from v2g_edge.study.ledger.lines import INTERVAL_S, Line, SocCycle, Stay
from v2g_edge.study.ledger.store import Store
from v2g_edge.study.ready import READY_PCT
from v2g_edge.study.wear.cost import END_OF_LIFE, fleet_loss
from v2g_edge.study.wear.model import WearModel

CLOSE_PCT: Final = 2.0
"""A departure within this of its target was close to failing."""
DAY_S: Final = 86_400.0


class Income(Struct):
    """A vehicle's money under one service.

    Attributes:
        vehicle: The vehicle.
        service: The service.
        earned: Energy given, at the price of its quarter hour.
        paid: Energy charged, at the price of its quarter hour.
        wear: What its giving wore, by the model.
        unpriced_kwh: Energy in quarter hours without a price: it counts in neither.
    """

    vehicle: str
    service: str
    earned: float = 0.0
    paid: float = 0.0
    wear: float = 0.0
    unpriced_kwh: float = 0.0


class Figure(Struct, frozen=True):
    """One key figure. ``value`` None: it cannot be said, and ``definition`` says what is missing."""

    name: str
    value: float | None
    unit: str
    definition: str


def incomes_of(
    lines: Iterable[Line], prices: Mapping[float, float], sell_add: float, wear_per_kwh: Mapping[str, float]
) -> list[Income]:
    """Money by vehicle and service."""
    found: dict[tuple[str, str], Income] = {}
    for line in lines:
        if not line.in_wh and not line.out_wh:
            continue
        key = (line.vehicle or "not known", line.service)
        income = found.get(key)
        if income is None:
            income = found[key] = Income(*key)
        price = prices.get(line.start_wall_s)
        income.wear += line.out_wh / 1e3 * wear_per_kwh.get(line.vehicle, 0.0)
        if price is None:
            income.unpriced_kwh += (line.in_wh + line.out_wh) / 1e3
            continue
        income.earned += line.out_wh / 1e3 * (price + sell_add)
        income.paid += line.in_wh / 1e3 * price
    return [found[key] for key in sorted(found)]


def wear_by_vehicle(
    store: Store, model: WearModel, pack_price: float, from_s: float, until_s: float
) -> dict[str, float]:
    """Cost of a kWh cycled by vehicle: what cycling took beyond rest, over the energy cycled."""
    turns: dict[str, list[SocCycle]] = {}
    for turn in store.turns(from_s, until_s):
        turns.setdefault(turn.vehicle, []).append(turn)
    costs = {}
    for name, account in store.accounts().items():
        loss = fleet_loss(model, account, turns.get(name, []), (until_s - from_s) / DAY_S)
        if loss.efc:
            costs[name] = max(loss.used - loss.rested, 0.0) / (1.0 - END_OF_LIFE) * pack_price / loss.efc
    return costs


def stays_of(store: Store, from_s: float, until_s: float) -> list[Stay]:
    """Stays that touch a time, each with all of its energy: what flowed before and after the time too."""
    stays, outlets = store.stays(from_s, until_s), set(store.site.outlets)
    first_s = min((stay.arrived_wall_s for stay in stays), default=from_s)
    last_s = max((stay.left_wall_s or until_s for stay in stays), default=until_s)
    sums: dict[tuple[str, str], list[float]] = {}
    for line in store.lines(first_s - INTERVAL_S, last_s + INTERVAL_S):
        if line.meter in outlets and line.session:
            row = sums.setdefault((line.meter, line.session), [0.0, 0.0])
            row[0] += line.in_wh
            row[1] += line.out_wh
    found = []
    for stay in stays:
        in_wh, out_wh = sums.get((stay.meter, stay.session), (0.0, 0.0))
        found.append(replace(stay, in_wh=in_wh, out_wh=out_wh))
    return found


def ended_in(stays: Iterable[Stay], from_s: float, until_s: float) -> list[Stay]:
    """The stays that ended in a time: each departure counts in one month."""
    return [stay for stay in stays if stay.left_wall_s is not None and from_s <= stay.left_wall_s < until_s]


def figures_of(
    stays: list[Stay], turns: list[SocCycle], incomes: list[Income], months: float, zone: ZoneInfo
) -> list[Figure]:
    """The depot's key figures; ``stays`` are those that ended in the time."""
    vehicles = len({each.vehicle for each in incomes}) or 1
    wear = sum(each.wear for each in incomes)
    net = sum(each.earned - each.paid for each in incomes)
    earned = sum(each.earned for each in incomes)
    efc = sum(turn.depth_pct * turn.count for turn in turns) / 100.0
    return [
        Figure(
            "earned by giving, a vehicle and month", earned / vehicles / months, "money",
            "energy given at the price of its quarter hour, over vehicles and months (30.44 days)",
        ),
        Figure(
            "the same less wear", (earned - wear) / vehicles / months, "money",
            "wear of the energy given, by the model and each vehicle's own cycles, taken off",
        ),
        Figure("energy, all in all", -net, "money", "charged less given, at the price of its quarter hour"),
        Figure("full cycles a vehicle and month", efc / vehicles / months, "EFC", "by rainflow, with rides"),
        Figure("wear of giving", wear, "money", "what giving wore beyond rest, over the whole time"),
        *_departures(stays, zone),
        _round_trip(stays),
    ]  # fmt: skip


def security_figures(incidents: list[Incident] | None) -> list[Figure]:
    """Security incidents, with the time until each was told and until it was over."""
    names = ("security incidents", "time to detect", "time to resolve")
    if incidents is None:
        text = "no log was named: --security-log FILE, from `journalctl -u v2g-edge -o json`"
        return [Figure(name, None, "", text) for name in names]
    count = len(incidents)
    detect = sum(each.detect_s for each in incidents) / count if count else None
    resolve = sum(each.resolve_s for each in incidents) / count / 60.0 if count else None
    kinds = ", ".join(sorted({each.kind for each in incidents})) or "none"
    return [
        Figure(names[0], float(count), "", f"lines of one kind and subject within an hour are one: {kinds}"),
        Figure(names[1], detect, "s", "mean, from the act to its first line in the log"),
        Figure(names[2], resolve, "min", "mean, from the act to its last line; then an hour was quiet"),
    ]


def _departures(stays: list[Stay], zone: ZoneInfo) -> list[Figure]:
    left = [
        (stay, stay.last_pct - stay.target_pct)
        for stay in stays
        if stay.left_wall_s is not None and stay.last_pct is not None and stay.target_pct is not None
    ]
    text = "of the departures with a known target"
    if not left:
        none = f"no {text.removeprefix('of the ')} was recorded"
        return [Figure("mission availability", None, "%", none), Figure("mission risk", None, "%", none)]
    harmed = sum(margin < -READY_PCT and stay.out_wh > 0.0 for stay, margin in left)
    days = [(local_day(stay.left_wall_s or 0.0, zone), margin) for stay, margin in left]
    close = {day for day, margin in days if margin < CLOSE_PCT}
    return [
        Figure(
            "mission availability", 100.0 * (1.0 - harmed / len(left)), "%",
            f"{text}, share unharmed by V2G: harmed is what lacked over 0.5 % after a stay that gave",
        ),
        Figure(
            "mission risk", 100.0 * len(close) / len({day for day, _ in days}), "%",
            f"share of days on which a departure came within {CLOSE_PCT:.0f} % of its target, or below",
        ),
    ]  # fmt: skip


def _round_trip(stays: list[Stay]) -> Figure:
    """One-way efficiency η solves: stored = in × η − out ÷ η, over all stays that ended."""
    name = "round-trip efficiency"
    known = [
        stay
        for stay in stays
        if stay.capacity_wh and stay.first_pct is not None and stay.last_pct is not None and stay.left_wall_s
    ]
    in_wh, out_wh = sum(stay.in_wh for stay in known), sum(stay.out_wh for stay in known)
    if not in_wh or not out_wh:
        return Figure(name, None, "%", "no stay that gave and whose SoC and capacity are known")
    stored = sum(
        ((stay.last_pct or 0.0) - (stay.first_pct or 0.0)) / 100.0 * (stay.capacity_wh or 0.0)
        for stay in known
    )
    one_way = (stored + math.sqrt(stored**2 + 4.0 * in_wh * out_wh)) / (2.0 * in_wh)
    text = "meter to battery and back: η² where energy stored = in × η − out ÷ η over all stays"
    return Figure(name, 100.0 * one_way**2, "%", text)
