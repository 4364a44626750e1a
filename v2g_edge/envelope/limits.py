"""The limits of a feeder: in all and on each phase, either way, and the phase imbalance that
its single-phase chargers may make.
"""

from typing import Literal, NamedTuple

from v2g_edge.envelope.facts import Context
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.orders import set_by
from v2g_edge.model.reading import Measured, fresh_or
from v2g_edge.model.site import CurrentLimit, Feeder
from v2g_edge.model.snapshot import MeterState
from v2g_edge.model.tree import phase_base_w, phase_voltage

Way = Literal["import", "export"]


class Limit(NamedTuple):
    """All outlets under a feeder may use ``limit_w`` less ``base_w`` and what was metered beyond both, one
    way.

    ``phase``: of this grid phase (0 is L1), None: of all together. ``single``: what flows to or from
    single-phase outlets alone counts. ``metered`` is what the feeder's meter says of it, None where nothing
    is measured. ``words`` say where the number comes from.
    """

    limit_w: float
    base_w: float
    metered: Measured | None
    phase: int | None
    single: bool
    words: str

    def metered_w(self, c: Context, sign: float, unknown_w: float) -> float:
        """What is metered in the direction of ``sign``; 0 without a meter, ``unknown_w`` without a fresh
        value.
        """
        if self.metered is None:
            return 0.0
        return sign * fresh_or(
            self.metered, c.snapshot.now_s, c.site.safety.meter_max_age_s, sign * unknown_w
        )


class Limits(NamedTuple):
    """All limits of one feeder, in the two directions."""

    charging: tuple[Limit, ...]
    export: tuple[Limit, ...]


def limits_of(c: Context, bases_w: tuple[float, ...]) -> tuple[Limits, ...]:
    """All limits of every feeder, in the tree's order. ``bases_w``: the base loads to reckon with when
    charging; for export the least that was commissioned counts.
    """
    return tuple(_limits(c, place, base_w) for place, base_w in enumerate(bases_w))


def _limits(c: Context, place: int, base_w: float) -> Limits:
    feeder = c.frame.tree.feeders[place]
    state = c.snapshot.meters[c.site.meters.index(feeder.meter)] if feeder.meter else None
    least_w = -c.frame.tree.base_min_w[place]
    free, power = 1.0 - c.site.safety.feeder_margin_pct / 100.0, state.power_w if state else None
    charging = [_whole(c, feeder, "import", feeder.import_limit_w, base_w, power)]
    export = [_whole(c, feeder, "export", feeder.export_limit_w, least_w, power)]
    if feeder.current is not None:
        part = c.frame.tree.imbalance[place]
        for phase in range(3):
            volts = phase_voltage(c.site, state or c.grid_meter, c.snapshot.now_s, phase)
            charging += _on_phase(feeder, feeder.current, "import", phase, volts, base_w, state, free, part)
            export += _on_phase(feeder, feeder.current, "export", phase, volts, least_w, state, free, part)
    return Limits(tuple(charging), tuple(export))


def _whole(
    c: Context, feeder: Feeder, way: Way, limit_w: float, base_w: float, power: Measured | None
) -> Limit:
    snapshot, free = c.snapshot, 1.0 - c.site.safety.feeder_margin_pct / 100.0
    by = "" if feeder.parent else set_by(snapshot.operator.limits, way, limit_w, snapshot.wall_s)
    words = f"feeder {feeder.id}: {way} limit {limit_w:.0f} W{by}, base load {base_w:.0f} W"
    return Limit(limit_w * free, base_w, power, None, False, words)


def _on_phase(
    feeder: Feeder,
    current: CurrentLimit,
    way: Way,
    phase: int,
    volts: float,
    base_w: float,
    state: MeterState | None,
    free: float,
    part: float,
) -> list[Limit]:
    limit_a = current.import_a if way == "import" else current.export_a
    on_phase_w = phase_base_w(current, base_w, volts)
    words = (
        f"feeder {feeder.id}: {limit_a:g} A {way} on L{phase + 1} at {volts:.0f} V, base load"
        f" {on_phase_w:.0f} W"
    )
    power = state.phase_power_w[phase] if state else None
    found = [Limit(limit_a * volts * free, on_phase_w, power, phase, False, words)]
    if current.imbalance_a < ANY_W:
        shared = ", half for each direction" if part < 1.0 else ""
        words = f"feeder {feeder.id}: imbalance of {current.imbalance_a:g} A{shared}, on L{phase + 1}"
        found.append(Limit(current.imbalance_a * volts * free * part, 0.0, None, phase, True, words))
    return found


def over_limit(c: Context, limits: tuple[Limits, ...]) -> frozenset[int]:
    """The feeders whose meter shows more than a limit, in all or on a phase, either way."""
    return frozenset(
        place
        for place, (charging, export) in enumerate(limits)
        if any(limit.metered_w(c, 1.0, 0.0) > limit.limit_w for limit in charging)
        or any(limit.metered_w(c, -1.0, 0.0) > limit.limit_w for limit in export)
    )
