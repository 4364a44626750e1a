"""The local plan: charge when energy is cheap, export when it is dear and pays, and leave charged whatever it
costs.

A plain rule, not an optimum: departures first (earliest first, cheapest slots, feeders shared), then export
for each dear quarter hour, each piece together with the cheaper piece that buys it back. Pure and
deterministic.
"""

from collections.abc import Mapping
from typing import Final

from v2g_edge.model.orders import Ahead
from v2g_edge.model.plan import Plan, Price, Slot
from v2g_edge.model.settings import PriceSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.planner.slots import Caps, Room, TimeGrid, caps_by_slot, grid_of
from v2g_edge.planner.stay import MARGIN_S, NOTHING, Past, Stay, stays_of

FEEDER_SHARE: Final = 0.8
"""Departures are planned into four fifths of each feeder: the rules press a whole fleet when more is
needed.
"""

ROUNDS: Final = 4
"""How often those that came out short are moved to the front of the queue and all are planned again."""

GAIN_PER_KWH: Final = 0.005
"""Least profit of a kWh exported, in the site's currency: half a cent, below which forecast and rounding
decide.
"""

LEAST_PCT: Final = 0.1
"""Less SoC than this is not worth a move of its own: a few seconds of a depot charger's work."""

SHORT_S: Final = 1.0
"""A vehicle that lacks less than a second of charging is on time."""


def plan_from_prices(
    site: Site,
    snapshot: Snapshot,
    prices: tuple[Price, ...],
    settings: PriceSettings,
    wall_s: float,
    pasts: Mapping[str, Past] = NOTHING,
    ahead: tuple[Ahead, ...] = (),
) -> Plan:
    """The plan from ``wall_s`` (UTC) on for everything that is plugged in. Never raises; without prices it
    charges at once.

    ``revision`` is the second it was made in. A vehicle without departure, SoC or capacity charges at once
    and never exports. ``pasts``, by outlet: what was already taken out of its vehicle, and what that was seen
    to draw. ``ahead``: lower limits of feeders, and when they hold.
    """
    stays = stays_of(site, snapshot.evses, wall_s, pasts)
    known = [stay.deadline_s for stay in stays if not stay.at_once]
    grid = grid_of(prices, settings, wall_s, max(known, default=wall_s) + MARGIN_S)
    if not prices:
        grid = TimeGrid(grid.edges, grid.buy, grid.sell, grid.later, tuple(range(len(grid))), ())
    caps = caps_by_slot(site, grid.edges, ahead)
    room, on_time = _charge_all(caps, stays, grid)
    if on_time:
        able = sorted((stay for stay in stays if stay.may_export), key=lambda s: (-s.deadline_s, s.evse.id))
        for slot in grid.dear:
            backs = {path: room.open_after(slot, grid.cheap, path) for path in {stay.path for stay in able}}
            for stay in able:
                _export(stay, slot, backs[stay.path], grid, room, settings.wear_per_kwh)
    room.widen(1.0 - FEEDER_SHARE if on_time else 0.0)
    for stay in stays:
        if stay.at_once:
            _charge(stay, range(len(grid)), grid, room, grid.edges[-1])
    return _plan(stays, grid, wall_s)


def _charge_all(caps: tuple[Caps, ...], stays: list[Stay], grid: TimeGrid) -> tuple[Room, bool]:
    """Place what every known departure needs. False when together they stay short of feeder, though each
    alone had the time.
    """
    known = sorted((stay for stay in stays if not stay.at_once), key=lambda s: (s.deadline_s, s.evse.id))
    # Best effort, never zeros (FlexMeasures #1001): a vehicle that is late even alone charges from now on,
    # past its departure, before all.
    hopeless = [stay for stay in known if stay.lack_s > stay.deadline_s - grid.edges[0]]
    queue = [stay for stay in known if stay.lack_s <= stay.deadline_s - grid.edges[0]]
    room, short = _attempt(caps, stays, hopeless, queue, grid, FEEDER_SHARE)
    for share in (FEEDER_SHARE, 1.0):
        for _ in range(ROUNDS):
            if not short:
                return room, share == FEEDER_SHARE
            late = {stay.evse.id for stay in short}
            queue = short + [stay for stay in queue if stay.evse.id not in late]
            room, short = _attempt(caps, stays, hopeless, queue, grid, share)
    if short:
        late = {stay.evse.id for stay in short}
        room, _ = _attempt(
            caps, stays, short + hopeless, [stay for stay in queue if stay.evse.id not in late], grid, 1.0
        )
    return room, False


def _attempt(
    caps: tuple[Caps, ...],
    stays: list[Stay],
    first: list[Stay],
    queue: list[Stay],
    grid: TimeGrid,
    share: float,
) -> tuple[Room, list[Stay]]:
    """Plan anew: ``first`` at once with all of the feeders, the ``queue`` cheaply with ``share`` of them.
    Also: which are short.
    """
    room = Room(caps, 1.0)
    for stay in stays:
        stay.power_w = [0.0] * len(grid)
        stay.soc_pct = [stay.soc_now_pct] * len(grid)
        stay.lowest_pct = stay.soc_now_pct
    for stay in first:
        _charge(stay, range(len(grid)), grid, room, grid.edges[-1])
        stay.may_export = False
    room.widen(share - 1.0)
    return room, [stay for stay in queue if _charge(stay, grid.cheap, grid, room, stay.deadline_s) > SHORT_S]


def _charge(stay: Stay, order: range | tuple[int, ...], grid: TimeGrid, room: Room, until_s: float) -> float:
    """Fill the slots in ``order`` until the vehicle has what it lacks; the seconds at full power that
    found no place.
    """
    lack_s = stay.lack_s if stay.capacity_wh > 0.0 else float("inf")
    if lack_s <= 0.0 or stay.full_w <= 0.0:
        return 0.0
    rate_pct_per_s = (stay.goal_pct - stay.soc_now_pct) / lack_s
    for slot in order:
        usable_s = grid.seconds(slot, until_s)
        free_w = min(stay.full_w, *(room.charge[node][slot] for node in stay.path))
        least_w = max(stay.evse.min_charge_w, 1.0)
        if usable_s <= 0.0 or free_w < least_w:
            continue
        power_w = min(free_w, max(stay.full_w * lack_s / usable_s, least_w))
        done_s = min(power_w / stay.full_w * usable_s, lack_s)
        _take(stay, slot, power_w, room)
        _move(stay, slot, done_s * rate_pct_per_s)
        lack_s -= done_s
        if lack_s <= 0.0:
            break
    return lack_s if stay.capacity_wh > 0.0 else 0.0


def _take(stay: Stay, slot: int, power_w: float, room: Room) -> None:
    stay.power_w[slot] += power_w
    for node in stay.path:
        room.charge[node][slot] -= power_w


def _move(stay: Stay, first: int, by_pct: float, last: int | None = None) -> None:
    for slot in range(first, len(stay.soc_pct) if last is None else last):
        stay.soc_pct[slot] += by_pct


def _export(stay: Stay, slot: int, backs: list[int], grid: TimeGrid, room: Room, wear_per_kwh: float) -> None:
    """Export in ``slot`` as far as it pays: first what the vehicle has above its goal, then what ``backs``
    buy back later.
    """
    sell, seconds = grid.sell[slot], grid.seconds(slot, stay.deadline_s)
    if stay.power_w[slot] > 0.0 or sell is None or seconds < grid.edges[slot + 1] - grid.edges[slot]:
        return
    start_s = grid.edges[slot]
    if min(stay.left_pct(start_s), stay.soc_pct[slot] - stay.floor_pct) < LEAST_PCT:
        return
    efficiency = stay.evse.efficiency
    worth = sell - wear_per_kwh / efficiency - GAIN_PER_KWH
    pct_per_w = seconds / 3_600.0 / efficiency / stay.capacity_wh * 100.0
    budget_w = min(stay.export_w, *(room.export[node][slot] for node in stay.path))
    if budget_w < max(stay.evse.min_discharge_w, 1.0):
        return
    given_w = 0.0
    if grid.later / efficiency**2 < worth:
        spare_pct = min(stay.soc_pct[-1] - stay.goal_pct, _spare(stay, slot, len(grid), start_s))
        given_w = max(min(budget_w, spare_pct / pct_per_w), 0.0)
        _move(stay, slot, -given_w * pct_per_w)
        stay.spend(start_s, given_w * pct_per_w)
    for back in backs:
        if (
            given_w >= budget_w
            or stay.left_pct(start_s) < LEAST_PCT
            or grid.buy[back] / efficiency**2 >= worth
        ):
            break
        given_w += _swap(stay, slot, back, grid, room, (budget_w - given_w) * pct_per_w) / pct_per_w
    stay.power_w[slot] = -given_w
    for node in stay.path:
        room.export[node][slot] -= given_w


def _spare(stay: Stay, first: int, last: int, start_s: float) -> float:
    """How far the SoC may fall from slot ``first`` up to ``last`` (not included): to the floor, and by
    what the depth leaves.
    """
    return min(min(stay.soc_pct[first:last]) - stay.floor_pct, stay.left_pct(start_s))


def _swap(stay: Stay, slot: int, back: int, grid: TimeGrid, room: Room, wanted_pct: float) -> float:
    """Move charge (at most ``wanted_pct`` of SoC) out in ``slot`` and in again in the later slot ``back``:
    percent moved.
    """
    usable_s = grid.seconds(back, stay.deadline_s)
    if usable_s <= 0.0 or stay.power_w[back] < 0.0:
        return 0.0
    free_w = min(stay.full_w - stay.power_w[back], *(room.charge[node][back] for node in stay.path))
    least_w = max(stay.evse.min_charge_w - stay.power_w[back], 1.0)
    if free_w < least_w:
        return 0.0
    slope_s = stay.slope_s(stay.lowest_pct)
    moved_pct = min(
        wanted_pct, free_w / stay.full_w * usable_s / slope_s, _spare(stay, slot, back, grid.edges[slot])
    )
    if moved_pct < LEAST_PCT:
        return 0.0
    _take(stay, back, min(max(moved_pct * slope_s / usable_s * stay.full_w, least_w), free_w), room)
    _move(stay, slot, -moved_pct, back)
    stay.spend(grid.edges[slot], moved_pct)
    return moved_pct


def _plan(stays: list[Stay], grid: TimeGrid, wall_s: float) -> Plan:
    slots = []
    for slot in range(len(grid)):
        pairs = []
        for stay in sorted(stays, key=lambda s: s.evse.id):
            power_w = round(stay.power_w[slot], 1) + 0.0  # no negative zero
            # A crumb that the charger cannot do is dropped; what would have bought it back only fills the
            # vehicle earlier.
            pairs.append((stay.evse.id, 0.0 if -stay.evse.min_discharge_w < power_w < 0.0 else power_w))
        slots.append(Slot(grid.edges[slot], grid.edges[slot + 1], tuple(pairs)))
    return Plan(int(wall_s), "local", wall_s, wall_s, grid.edges[-1], tuple(slots))
