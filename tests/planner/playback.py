"""A rounded plan of a bare problem on the simulator's chargers and batteries: what each reaches, and what
each feeder carries.
"""

from typing import Final, NamedTuple

import numpy as np

from sim.world.physics import Battery, Charger
from tests.depot import small_evse
from v2g_edge.model.site import CurvePoint
from v2g_edge.planner.problem import Pack, Problem, path_of
from v2g_edge.planner.rounding import Rounded

RAMP_STEPS_S: Final = (1.0,) * 8
"""A change of setpoint is played second by second: 150 kW at 25 kW/s take six of them."""
MARGIN_PCT: Final = 1.0
"""What every departure is planned above its target (``stay.TARGET_MARGIN_PCT``); ramps may use it up."""
FLAT_W: Final = 1e7


class Played(NamedTuple):
    """``missed``: departures that the physics did not reach. ``broken``: limits that it passed, in words.
    ``worst_pct``: the most that any departure lacks of its planned energy, in percent of its battery.
    """

    missed: tuple[str, ...]
    broken: tuple[str, ...]
    worst_pct: float


def play(calm: Problem, done: Rounded) -> Played:
    """Each charger is told its power at the beginning of each slot; the physics does the rest."""
    chargers = [_charger(each) for each in calm.packs]
    paths = [path_of(calm.parent, each.feeder) for each in calm.packs]
    missed, broken, worst_pct = [], [], 0.0
    for t, hours in enumerate(calm.hours.tolist()):
        for each, charger, power in zip(calm.packs, chargers, done.power_kw[:, t].tolist(), strict=True):
            battery = charger.battery
            assert battery is not None
            battery.soc_pct -= 100.0 * float(each.drain_kwh[t]) / each.full_kwh
            charger.command_w = power * 1e3
        for dt_s in (*RAMP_STEPS_S, hours * 3_600.0 - len(RAMP_STEPS_S)):
            for charger in chargers:
                charger.step(dt_s)
        total_in, total_out = np.zeros((2, len(calm.feeders)))
        for charger, path in zip(chargers, paths, strict=True):
            total_in[list(path)] += max(charger.power_w, 0.0) / 1e3
            total_out[list(path)] += max(-charger.power_w, 0.0) / 1e3
        broken += _passed(calm, t, total_in, total_out)
        for each, charger in zip(calm.packs, chargers, strict=True):
            assert charger.battery is not None
            lacks_pct = 100.0 * float(each.floor_kwh[t]) / each.full_kwh - charger.battery.soc_pct
            worst_pct = max(worst_pct, lacks_pct)
            if lacks_pct > MARGIN_PCT:
                missed.append(f"{each.name} lacks {lacks_pct:.2f} % at the end of slot {t}")
    return Played(tuple(missed), tuple(broken), worst_pct)


def _charger(pack: Pack) -> Charger:
    most_in, most_out = float(np.max(pack.charge_kw)), float(np.max(pack.discharge_kw))
    evse = small_evse(
        pack.name,
        max_charge_w=most_in * 1e3,
        max_discharge_w=most_out * 1e3,
        min_charge_w=pack.min_charge_kw * 1e3,
        min_discharge_w=pack.min_discharge_kw * 1e3,
    )
    charger = Charger(evse, efficiency=pack.efficiency)
    start_pct = 100.0 * pack.start_kwh / pack.full_kwh
    charger.plug(Battery(pack.name, pack.full_kwh * 1e3, start_pct, (CurvePoint(0, FLAT_W),), FLAT_W, 1.0))
    return charger


def _passed(calm: Problem, t: int, total_in: np.ndarray, total_out: np.ndarray) -> list[str]:
    return [
        f"feeder {name} carries {carried[node]:.1f} kW {way} in slot {t}, {caps[node, t]:.1f} kW are allowed"
        for node, name in enumerate(calm.feeders)
        for way, carried, caps in (
            ("in", total_in, calm.charge_cap_kw),
            ("out", total_out, calm.export_cap_kw),
        )
        if carried[node] > caps[node, t] + 1e-3
    ]
