"""A ledger's statement of a time: by vehicle, outlet, service and interval, held against the grid meter."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from v2g_edge.study.ledger.lines import INTERVAL_S, METHODS, Line, Remark, SocCycle, Stay, VehicleAccount
from v2g_edge.study.ledger.store import Store

METER_CLASS: Final = 0.02
"""Grid meter and charger meters may each be off by a class of 1 % (IEC 62053-21)."""
REPORT_S: Final = 60.0
"""Chargers report up to this long apart: where their power swings, so much may fall beside its interval."""
LEAST_REST_WH: Final = 50.0
"""Less than this in an interval is the resolution of registers."""
NOT_KNOWN: Final = "not known"
DEPTHS_PCT: Final = (10.0, 20.0, 40.0, 60.0, 80.0, 100.0)
"""Upper ends of the classes of depth in a statement."""


class Sum(Struct):
    """Energy under one heading.

    Attributes:
        name: The heading.
        in_wh: Charged, or imported.
        out_wh: Given, or exported.
        discharge_h: Hours of giving.
        methods: Share of the energy by how it is known.
    """

    name: str
    in_wh: float = 0.0
    out_wh: float = 0.0
    discharge_h: float = 0.0
    methods: dict[str, float] = {}

    def add(self, line: Line) -> None:
        """One more line."""
        self.in_wh += line.in_wh
        self.out_wh += line.out_wh
        self.discharge_h += line.discharge_s / 3_600.0
        self.methods[line.method] = self.methods.get(line.method, 0.0) + line.in_wh + line.out_wh


class VehicleRow(Struct):
    """A vehicle in a statement.

    Attributes:
        energy: Its energy in the time.
        efc_rainflow: Equivalent full cycles by rainflow that closed in the time, the residue as of now.
        deepest_pct: Deepest fall of SoC within a stay.
        cycles: Cycles by class of depth (upper end in %).
        life: Its whole life in the ledger; None for a vehicle that is not known.
    """

    energy: Sum
    efc_rainflow: float
    deepest_pct: float
    cycles: dict[str, float]
    life: VehicleAccount | None


class Balance(Struct):
    """The chargers against the grid meter.

    Attributes:
        metered: Whether there is a grid meter with lines.
        grid_in_wh: Imported by the grid meter.
        grid_out_wh: Exported.
        outlets_wh: Net energy of all outlets.
        rest_wh: Grid's net less the outlets': the building, and what is lost on the way.
        off: Intervals in which the rest is outside what was commissioned, meters' class allowed: (start, Wh).
    """

    metered: bool
    grid_in_wh: float = 0.0
    grid_out_wh: float = 0.0
    outlets_wh: float = 0.0
    rest_wh: float = 0.0
    off: list[tuple[float, float]] = []


class Statement(Struct):
    """The whole.

    Attributes:
        site: The site's name.
        timezone: Its time zone.
        from_wall_s: Beginning.
        until_wall_s: End.
        vehicles: By vehicle.
        outlets: By outlet.
        services: By service.
        intervals: (start, in Wh, out Wh, grid in Wh, grid out Wh) of each interval.
        balance: Against the grid meter.
        missing: Intervals of which nothing is recorded, as (from, until).
        remarks: What was not plainly metered.
    """

    site: str
    timezone: str
    from_wall_s: float
    until_wall_s: float
    vehicles: list[VehicleRow]
    outlets: list[Sum]
    services: list[Sum]
    intervals: list[tuple[float, float, float, float, float]]
    balance: Balance
    missing: list[tuple[float, float]]
    remarks: list[Remark]


def statement_of(store: Store, from_wall_s: float, until_wall_s: float) -> Statement:
    """What the ledger says of a time."""
    place = store.site
    lines = list(store.lines(from_wall_s, until_wall_s))
    outlets = [line for line in lines if line.meter in place.outlets]
    grid = [line for line in lines if line.meter == place.grid_meter]
    remarks = store.remarks(from_wall_s, until_wall_s)
    intervals = _intervals(outlets, grid, from_wall_s, until_wall_s)
    return Statement(
        site=place.name,
        timezone=place.timezone,
        from_wall_s=from_wall_s,
        until_wall_s=until_wall_s,
        vehicles=_vehicles(store, outlets, from_wall_s, until_wall_s),
        outlets=_sums(outlets, lambda line: line.meter),
        services=_sums(outlets, lambda line: line.service),
        intervals=intervals,
        balance=_balance(intervals, bool(grid), (place.base_min_w, place.base_max_w)),
        missing=missing_of(store, remarks, from_wall_s, until_wall_s),
        remarks=remarks,
    )


def missing_of(
    store: Store, remarks: Sequence[Remark], from_wall_s: float, until_wall_s: float
) -> list[tuple[float, float]]:
    """Pauses of the record, and what is asked for before its beginning and after its end."""
    first, last = store.span()
    found = [(from_wall_s, min(first, until_wall_s))] if first - from_wall_s >= INTERVAL_S else []
    found += [
        (max(each.wall_s, from_wall_s), min(each.until_wall_s, until_wall_s))
        for each in remarks
        if each.kind == "missing" and each.subject == "site"
    ]
    if until_wall_s - last >= INTERVAL_S:
        found.append((max(last, from_wall_s), until_wall_s))
    return [(start, end) for start, end in found if end > start]


def _sums(lines: Iterable[Line], name_of: Callable[[Line], str]) -> list[Sum]:
    sums: dict[str, Sum] = {}
    for line in lines:
        name = name_of(line) or NOT_KNOWN
        if name not in sums:
            sums[name] = Sum(name)
        sums[name].add(line)
    return [sums[name] for name in sorted(sums)]


def _vehicles(store: Store, lines: list[Line], from_s: float, until_s: float) -> list[VehicleRow]:
    accounts = store.accounts()
    turns: dict[str, list[SocCycle]] = {}
    for turn in store.turns(from_s, until_s):
        turns.setdefault(turn.vehicle, []).append(turn)
    stays: dict[str, list[Stay]] = {}
    for stay in store.stays(from_s, until_s):
        stays.setdefault(stay.vehicle, []).append(stay)
    moved = [line for line in lines if line.in_wh or line.out_wh]
    energies = {each.name: each for each in _sums(moved, lambda line: line.vehicle)}
    rows = []
    for name in sorted(energies):
        mine = turns.get(name, [])
        deepest_pct = max((stay.deepest_pct for stay in stays.get(name, [])), default=0.0)
        efc = sum(turn.depth_pct * turn.count for turn in mine) / 100.0
        rows.append(VehicleRow(energies[name], efc, deepest_pct, by_depth(mine), accounts.get(name)))
    return rows


def by_depth(turns: Iterable[SocCycle]) -> dict[str, float]:
    """Cycles by class of depth."""
    found: dict[str, float] = {}
    for turn in turns:
        name = next((f"{top:.0f}" for top in DEPTHS_PCT if turn.depth_pct <= top), f"{DEPTHS_PCT[-1]:.0f}")
        found[name] = found.get(name, 0.0) + turn.count
    return dict(sorted(found.items(), key=lambda item: float(item[0])))


def _intervals(
    outlets: list[Line], grid: list[Line], from_s: float, until_s: float
) -> list[tuple[float, float, float, float, float]]:
    sums: dict[float, list[float]] = {}
    for lines, at in ((outlets, 0), (grid, 2)):
        for line in lines:
            row = sums.setdefault(line.start_wall_s, [0.0] * 4)
            row[at] += line.in_wh
            row[at + 1] += line.out_wh
    return [(start, *sums[start]) for start in sorted(sums) if from_s <= start < until_s]  # type: ignore[misc]


def _balance(
    intervals: list[tuple[float, float, float, float, float]], metered: bool, base_w: tuple[float, float]
) -> Balance:
    balance = Balance(metered)
    if not metered:
        return balance
    hours = INTERVAL_S / 3_600.0
    net_wh = {start: in_wh - out_wh for start, in_wh, out_wh, *_ in intervals}
    for start, in_wh, out_wh, grid_in_wh, grid_out_wh in intervals:
        rest_wh = grid_in_wh - grid_out_wh - in_wh + out_wh
        balance.grid_in_wh += grid_in_wh
        balance.grid_out_wh += grid_out_wh
        balance.outlets_wh += in_wh - out_wh
        balance.rest_wh += rest_wh
        beside = (net_wh.get(start - INTERVAL_S, 0.0), net_wh.get(start + INTERVAL_S, 0.0))
        swing_wh = max(abs(net_wh[start] - each) for each in beside) * REPORT_S / INTERVAL_S
        room_wh = METER_CLASS * (grid_in_wh + grid_out_wh + in_wh + out_wh) + LEAST_REST_WH + swing_wh
        if not base_w[0] * hours - room_wh <= rest_wh <= base_w[1] * hours + room_wh:
            balance.off.append((start, rest_wh))
    return balance


def how_known(each: Sum) -> str:
    """How an energy is known, in words: "register", or shares where it is mixed."""
    whole = sum(each.methods.values())
    parts = [(name, each.methods[name] / whole) for name in METHODS if whole and each.methods.get(name)]
    if len(parts) == 1:
        return parts[0][0]
    return ", ".join(f"{name} {100.0 * share:.1f} %" for name, share in parts)
