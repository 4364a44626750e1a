"""From a solver's powers to what chargers can do: one direction at a time, least powers, steps; then the
energies again.

A rounded schedule never falls behind the planned energy where there is room not to: what is below a charger's
least power is charged at the least power, earlier, and made up by charging less later. So a departure that
the solver met is still met.
"""

from typing import Final, NamedTuple

import numpy as np

from v2g_edge.planner.problem import FAR_KWH, Floats, Pack, Problem, energies, path_of

CRUMB_KW: Final = 0.02
"""Less than 20 W is a solver's tolerance, no power."""
SHORT_KWH: Final = 0.05
"""A departure is met when less than this lacks: a second or two of a depot charger."""


SPARED: Final = 0.0025
"""A quarter of what is planned above each target may lack where a least power would make a peak of it."""


class Rounded(NamedTuple):
    """Powers (packs, T) in kW, + into the vehicle, and the energies at each slot's end that follow from them.

    ``told_kw``: what chargers are told, which is more where a vehicle should take all it can and its battery
    ends it.
    """

    power_kw: Floats
    energy_kwh: Floats
    told_kw: Floats


def rounded(problem: Problem, charge_kw: Floats, discharge_kw: Floats) -> Rounded:
    """What chargers do of a schedule. The order of departures decides which gets what is left of a feeder."""
    count = len(problem)
    free_in, free_out = problem.charge_cap_kw + 1e-6, problem.export_cap_kw + 1e-6
    power = np.zeros((len(problem.packs), count))
    energy, told = np.zeros((2, len(problem.packs), count))
    order = sorted(
        range(len(problem.packs)), key=lambda n: (problem.packs[n].deadline < 0, problem.packs[n].deadline, n)
    )
    nets = [_one_way(problem, n, charge_kw[n], discharge_kw[n]) for n in range(len(problem.packs))]
    used_in, used_out = _used(problem, nets, 1.0), _used(problem, nets, -1.0)
    site_kw = problem.base_kw + np.sum(nets, axis=0) if nets else problem.base_kw
    most_kw = _site_most(problem, site_kw)
    # What is planned below a charger's least power will not be so: it keeps no room from the others.
    counted = [_possible(pack, net) for pack, net in zip(problem.packs, nets, strict=True)]
    site_kw = problem.base_kw + np.sum(counted, axis=0) if counted else problem.base_kw
    for n in order:
        pack, path = problem.packs[n], list(path_of(problem.parent, problem.packs[n].feeder))
        room_in = np.min(free_in[path] - used_in[path], axis=0) + np.maximum(nets[n], 0.0)
        room_out = np.min(free_out[path] - used_out[path], axis=0) + np.maximum(-nets[n], 0.0)
        below_peak = np.minimum(room_in, np.maximum(most_kw - site_kw + counted[n], 0.0))
        needed_out = np.maximum(site_kw - counted[n] - most_kw, 0.0)
        power[n] = _round(pack, nets[n], below_peak, room_out, needed_out, problem.hours)
        power[n] = _make_up(pack, power[n], below_peak, problem.hours)
        if _lacks(pack, power[n], problem.hours) > spared_kwh(pack):
            # A departure is never risked for a peak.
            free = _round(pack, nets[n], room_in, room_out, needed_out, problem.hours)
            for other in (
                _make_up(pack, power[n], room_in, problem.hours),
                _make_up(pack, free, room_in, problem.hours),
            ):
                lacks = _lacks(pack, other, problem.hours)
                if lacks < _lacks(pack, power[n], problem.hours) - SHORT_KWH:
                    power[n] = other
        site_kw = site_kw + power[n] - counted[n]
        energy[n] = _energy(pack, power[n], problem.hours)
        told[n] = (
            np.where(power[n] > 0.0, np.minimum(pack.charge_kw, room_in), power[n])
            if pack.hurry
            else power[n]
        )
        used_in[path] += np.maximum(told[n], 0.0) - np.maximum(nets[n], 0.0)
        used_out[path] += np.maximum(-power[n], 0.0) - np.maximum(-nets[n], 0.0)
    return Rounded(power, energy, told)


def spared_kwh(pack: Pack) -> float:
    """What may lack of a floor after rounding: it is not noticed, as more than that is planned above it."""
    return max(SPARED * pack.full_kwh if pack.full_kwh < FAR_KWH else 0.0, SHORT_KWH)


def _lacks(pack: Pack, power: Floats, hours: Floats) -> float:
    return float(np.max(pack.floor_kwh - _energy(pack, power, hours)))


def _possible(pack: Pack, net: Floats) -> Floats:
    return np.where((net >= pack.min_charge_kw) | (net <= -pack.min_discharge_kw), net, 0.0)


def _site_most(problem: Problem, site_kw: Floats) -> Floats:
    """By slot the net power of the connection that adds to no demand charge beyond the plan, in kW."""
    most = problem.import_kw.copy()
    for peak in problem.peaks:
        level = peak.level_kw(site_kw)
        for window in peak.windows:
            for t, _share in window:
                most[t] = min(most[t], level)
    return np.maximum(most, site_kw)


def _energy(pack: Pack, power: Floats, hours: Floats) -> Floats:
    return energies(pack, np.maximum(power, 0.0), np.maximum(-power, 0.0), hours)


def _used(problem: Problem, nets: list[Floats], sign: float) -> Floats:
    used = np.zeros((len(problem.feeders), len(problem)))
    for pack, net in zip(problem.packs, nets, strict=True):
        used[list(path_of(problem.parent, pack.feeder))] += np.maximum(sign * net, 0.0)
    return used


def _one_way(problem: Problem, n: int, charge_kw: Floats, discharge_kw: Floats) -> Floats:
    """The power in one direction that moves the battery as both together would: netting them would
    overfill it.
    """
    pack, eta = problem.packs[n], problem.packs[n].efficiency
    charge_kw, discharge_kw = (
        np.minimum(charge_kw, pack.charge_kw),
        np.minimum(discharge_kw, pack.discharge_kw),
    )
    into_kw = eta * charge_kw - discharge_kw / eta
    net = np.where(into_kw > 0.0, into_kw / eta, into_kw * eta)
    return np.where(np.abs(net) < CRUMB_KW, 0.0, net)


def _round(
    pack: Pack, wanted: Floats, room_in: Floats, room_out: Floats, needed_out: Floats, hours: Floats
) -> Floats:
    """Slot by slot; ``owed`` is the energy (kWh) that the planned schedule is ahead of this one, below 0
    when it is behind. ``needed_out``: what must be given for a peak not to grow; where that is less than the
    charger can, it gives its least.
    """
    result = np.zeros(len(wanted))
    owed, energy, eta = 0.0, pack.start_kwh, pack.efficiency
    for t in range(len(wanted)):
        hour, plan = float(hours[t]), float(wanted[t])
        energy -= float(pack.drain_kwh[t])
        plan_into = eta * hour * plan if plan > 0.0 else hour * plan / eta
        into = plan_into + owed
        power = 0.0
        if into > eta * hour * CRUMB_KW and plan >= 0.0:
            power = _charging(pack, t, into / (eta * hour), float(room_in[t]), energy, hour)
        elif plan < 0.0 and into < 0.0:
            above_kwh = max(energy - float(pack.floor_kwh[t]), 0.0)
            can = min(float(pack.discharge_kw[t]), float(room_out[t]), above_kwh * eta / hour)
            most, least = min(can, -into * eta / hour), max(pack.min_discharge_kw, CRUMB_KW)
            if most >= least:
                power = -_down(pack, most)
            elif can >= least and needed_out[t] > CRUMB_KW:
                power = -least
        moved = eta * hour * power if power > 0.0 else hour * power / eta
        owed, energy = into - moved, energy + moved
        result[t] = power
    return result


def _charging(pack: Pack, t: int, wanted_kw: float, room_kw: float, energy: float, hour: float) -> float:
    """The least setpoint that is possible and gives what is wanted; 0 where even the least one does not
    fit.
    """
    most = min(_most_kw(pack, t, energy, hour), room_kw)
    power = _up(pack, max(wanted_kw, pack.min_charge_kw))
    if power > most:
        power = _down(pack, most)
    least = max(pack.min_charge_kw, CRUMB_KW)
    return (
        power
        if power >= least and energy + pack.efficiency * hour * power <= pack.full_kwh + SHORT_KWH
        else 0.0
    )


def _most_kw(pack: Pack, t: int, energy: float, hour: float) -> float:
    """What the battery still takes all through a slot that begins with ``energy``."""
    most = float(pack.charge_kw[t])
    for taper in pack.tapers:
        slope = 1.0 + taper.per_kwh * pack.efficiency * hour
        most = min(most, (taper.at_empty_kw - taper.per_kwh * energy) / slope)
    return most


def _up(pack: Pack, power: float) -> float:
    return power if pack.step_kw <= 0.0 else float(np.ceil(power / pack.step_kw - 1e-9)) * pack.step_kw


def _down(pack: Pack, power: float) -> float:
    return power if pack.step_kw <= 0.0 else float(np.floor(power / pack.step_kw + 1e-9)) * pack.step_kw


def _make_up(pack: Pack, power: Floats, room_in: Floats, hours: Floats) -> Floats:
    """What the first unmet floor still lacks after rounding, in the latest slots before it that have room:
    nearest to what was planned; then the next one.
    """
    if pack.deadline < 0:
        return power
    power, done = power.copy(), -1
    energy = _energy(pack, power, hours)
    while True:
        unmet = np.flatnonzero((pack.floor_kwh - energy)[done + 1 :] > SHORT_KWH)
        if not len(unmet):
            return power
        done += 1 + int(unmet[0])
        for t in range(done, -1, -1):
            lacks = float(pack.floor_kwh[done] - energy[done])
            if lacks <= SHORT_KWH:
                break
            more = _more(pack, t, power, energy, (float(room_in[t]), float(hours[t])), lacks)
            if more > 0.0:
                power[t] += more
                energy = _energy(pack, power, hours)


def _more(
    pack: Pack, t: int, power: Floats, energy: Floats, room_hours: tuple[float, float], lacks_kwh: float
) -> float:
    """How much more a slot can charge, in kW, towards what lacks; at least what its charger can do at all."""
    room_kw, hour = room_hours
    before = float(energy[t - 1]) if t else pack.start_kwh
    space_kw = (pack.full_kwh + SHORT_KWH - float(np.max(energy[t:]))) / (pack.efficiency * hour)
    most = min(_most_kw(pack, t, before, hour), room_kw, float(power[t]) + max(space_kw, 0.0))
    most = _down(pack, most)
    told = _up(pack, max(float(power[t]) + lacks_kwh / (pack.efficiency * hour), pack.min_charge_kw))
    more = min(told, most) - float(power[t])
    return more if power[t] >= 0.0 and more > CRUMB_KW and most >= pack.min_charge_kw else 0.0
