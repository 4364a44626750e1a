"""The day plan as a linear programme: what it promises, by hand-made problems and by seeded depots."""

from dataclasses import replace

import numpy as np
import pytest

from tests.planner.depots import deep, depot, varied
from v2g_edge.planner.highs import NoSolutionError, solve
from v2g_edge.planner.problem import (
    FAR_KWH,
    Depth,
    Floats,
    Pack,
    Peak,
    Problem,
    Reserve,
    Taper,
    energies,
    settled,
)
from v2g_edge.planner.rounding import SHORT_KWH, rounded, spared_kwh

HOUR = np.ones(4)


def pack(name: str = "a", **changes: object) -> Pack:
    """Four hours at 10 kW each way, half of 40 kWh in, 100 % efficient unless a test says otherwise."""
    base = Pack(
        name=name,
        feeder=0,
        efficiency=1.0,
        start_kwh=20.0,
        charge_kw=np.full(4, 10.0),
        discharge_kw=np.full(4, 10.0),
        floor_kwh=np.array([0.0, 0.0, 0.0, 20.0]),
        ceiling_kwh=np.full(4, 40.0),
        drain_kwh=np.zeros(4),
        deadline=3,
        full_kwh=40.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def problem(*packs: Pack, buy: tuple[float, ...] = (0.1, 0.3, 0.2, 0.1), **changes: object) -> Problem:
    caps = np.full((1, 4), 100.0)
    base = Problem(
        start_wall_s=0.0,
        hours=HOUR,
        buy=np.array(buy),
        sell=np.array(buy) - 0.01,
        base_kw=np.zeros(4),
        import_kw=np.full(4, 1e3),
        export_kw=np.full(4, 1e3),
        parent=(-1,),
        feeders=("main",),
        charge_cap_kw=caps,
        export_cap_kw=caps,
        packs=packs,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def net(found: Problem) -> Floats:
    solution = solve(found)
    total: Floats = (solution.charge_kw - solution.discharge_kw).sum(axis=0)
    return total


def test_a_battery_buys_cheap_and_sells_dear() -> None:
    assert net(problem(pack())) == pytest.approx([10.0, -10.0, -10.0, 10.0], abs=1e-6)


def test_wear_and_losses_keep_a_small_spread_from_being_traded() -> None:
    assert net(problem(pack(wear=0.3))) == pytest.approx([0.0] * 4, abs=1e-6)
    assert net(problem(pack(efficiency=0.5))) == pytest.approx([0.0] * 4, abs=1e-6)


def test_a_one_way_vehicle_charges_when_it_is_cheapest() -> None:
    floor = np.array([0.0, 0.0, 0.0, 35.0])
    one_way = pack(discharge_kw=np.zeros(4), floor_kwh=floor)
    assert net(problem(one_way, buy=(0.1, 0.3, 0.2, 0.05))) == pytest.approx([5.0, 0.0, 0.0, 10.0], abs=1e-6)


def test_both_directions_of_a_feeder_bind_without_crediting_the_other() -> None:
    """A limit of 15 kW passes 15 kW of charging, though another one on the same feeder exports 10."""
    caps = np.full((1, 4), 15.0)
    three = (
        pack("a", floor_kwh=np.array([0, 0, 0, 40.0])),
        pack("b", floor_kwh=np.array([0, 0, 0, 40.0])),
        pack("c"),
    )
    solution = solve(problem(*three, charge_cap_kw=caps, export_cap_kw=caps))
    assert solution.charge_kw.sum(axis=0).max() <= 15.0 + 1e-6
    assert solution.discharge_kw.sum(axis=0).max() <= 15.0 + 1e-6
    assert any(kind == "feeder import" and name == "main" for kind, name, _, _ in solution.prices)


def test_a_peak_that_is_billed_already_costs_nothing_and_one_above_it_is_shaved() -> None:
    windows = tuple(((t, 1.0),) for t in range(4))
    need = pack(discharge_kw=np.zeros(4), floor_kwh=np.array([0.0, 0.0, 0.0, 40.0]))
    free = Peak("month", 5.0, 10.0, windows, (0.0,) * 4)
    assert net(problem(need, peaks=(free,))).max() == pytest.approx(10.0, abs=1e-6)
    dear = Peak("month", 5.0, 0.0, windows, (0.0,) * 4)
    assert net(problem(need, peaks=(dear,))) == pytest.approx([5.0] * 4, abs=1e-6)


def test_a_window_of_two_slots_bills_their_mean_and_counts_what_was_measured() -> None:
    peak = Peak("month", 5.0, 0.0, (((0, 0.5),), ((1, 0.5), (2, 0.5))), (4.0, 0.0))
    need = pack(discharge_kw=np.zeros(4), floor_kwh=np.array([0.0, 0.0, 0.0, 40.0]))
    powers = net(problem(need, peaks=(peak,)))
    assert powers[3] == pytest.approx(10.0, abs=1e-6), "outside every window it costs nothing"
    assert max(4.0 + powers[0] / 2, (powers[1] + powers[2]) / 2) == pytest.approx(4.5, abs=1e-5)


def test_a_cap_on_depth_and_a_cost_that_rises_with_it() -> None:
    capped = pack(depths=(Depth(0, 4, 5.0),))
    assert solve(problem(capped)).discharge_kw.sum() == pytest.approx(5.0, abs=1e-6)
    dearer = pack(depths=(Depth(0, 4, FAR_KWH, ((6.0, 0.01), (FAR_KWH, 1.0))),))
    assert solve(problem(dearer)).discharge_kw.sum() == pytest.approx(6.0, abs=1e-6)


def test_a_taper_holds_at_the_end_of_every_slot() -> None:
    full = pack(discharge_kw=np.zeros(4), floor_kwh=np.array([0, 0, 0, 36.0]), tapers=(Taper(20.0, 0.5),))
    solution = solve(problem(full, buy=(0.3, 0.1, 0.1, 0.1)))
    energy = energies(full, solution.charge_kw[0], solution.discharge_kw[0], HOUR)
    assert np.all(solution.charge_kw[0] <= 20.0 - 0.5 * energy + 1e-6)


def test_a_departure_out_of_reach_is_clipped_and_named() -> None:
    late = pack(floor_kwh=np.array([0.0, 38.0, 0.0, 0.0]), deadline=1, start_kwh=10.0)
    calm, missed = settled(problem(late))
    assert [(each.pack, each.wanted_kwh, each.reachable_kwh) for each in missed] == [("a", 38.0, 30.0)]
    assert solve(calm).charge_kw[0][:2] == pytest.approx([10.0, 10.0], abs=1e-5)


def test_departures_that_do_not_fit_together_are_served_as_far_as_the_feeder_goes() -> None:
    both = [pack(name, floor_kwh=np.array([0, 0, 0, 40.0]), discharge_kw=np.zeros(4)) for name in "ab"]
    solution = solve(problem(*both, charge_cap_kw=np.full((1, 4), 8.0)))
    assert solution.charge_kw.sum() == pytest.approx(32.0, abs=1e-5), "all that the feeder passes"
    assert sum(kwh for _, kwh in solution.short_kwh) == pytest.approx(8.0, abs=1e-4)


def test_a_reserve_holds_power_and_energy_and_names_what_lacks() -> None:
    """6 kW up for two hours, of a battery that would rather sell all it has."""
    empty = pack(floor_kwh=np.zeros(4), deadline=-1)
    held = Reserve("fcr", 0, 4, 6.0, 0.0, 2.0)
    solution = solve(problem(empty, buy=(0.3, 0.3, 0.3, 0.3), reserves=(held,)))
    energy = energies(empty, solution.charge_kw[0], solution.discharge_kw[0], HOUR)
    assert energy.min() >= 12.0 - 1e-5
    assert np.all(10.0 - solution.discharge_kw[0] + solution.charge_kw[0] >= 6.0 - 1e-6)
    assert solution.short_kwh == ()
    much = solve(problem(empty, reserves=(replace(held, up_kw=30.0),)))
    assert {name for name, _ in much.short_kwh} == {"fcr"}


def test_one_kw_backs_one_service_at_a_time() -> None:
    two = (Reserve("fcr", 0, 4, 6.0, 0.0, 0.1), Reserve("backup", 0, 4, 6.0, 0.0, 0.1))
    only_out = pack(charge_kw=np.zeros(4), floor_kwh=np.zeros(4), deadline=-1)
    short = solve(problem(only_out, buy=(0.1,) * 4, reserves=two)).short_kwh
    assert sum(lacks for _, lacks in short) == pytest.approx(8.0, abs=1e-4), (
        "10 kW out of 10 kW are not 12, in four slots"
    )


@pytest.mark.parametrize("empty", [(), (pack(charge_kw=np.zeros(4), discharge_kw=np.zeros(4)),)])
def test_no_vehicle_and_one_that_cannot_move_are_problems_too(empty: tuple[Pack, ...]) -> None:
    calm, _ = settled(problem(*empty))
    assert solve(calm).charge_kw.shape == (len(empty), 4)


def test_a_building_above_its_limit_leaves_a_plan() -> None:
    calm, _ = settled(problem(pack(), base_kw=np.full(4, 50.0), import_kw=np.full(4, 20.0)))
    assert solve(calm).solver.startswith("highs")


def test_numbers_that_are_none_end_in_a_reason() -> None:
    with pytest.raises(NoSolutionError):
        solve(problem(pack(), buy=(0.1, float("nan"), 0.1, 0.1)))


@pytest.mark.parametrize("seed", range(12))
def test_simplex_and_interior_point_agree_and_the_rounded_plan_is_physical(seed: int) -> None:
    calm, missed = settled(varied(seed) if seed % 2 else deep(varied(seed)))
    assert missed == ()
    first, second = solve(calm, method="simplex"), solve(calm, method="ipm")
    assert second.cost == pytest.approx(first.cost, rel=1e-5, abs=1e-3)
    physical(calm, second.charge_kw, second.discharge_kw)


def test_where_energy_costs_less_than_nothing_no_battery_burns_it() -> None:
    calm, _ = settled(depot(3, 20, 96, day="2023-07-02"))
    dip = np.arange(len(calm.buy)) % 48 < 8  # two hours below zero, also where the real prices are not there
    calm = replace(calm, buy=np.where(dip, -0.2, calm.buy), sell=np.where(dip, -0.25, calm.sell))
    negative = calm.buy < 0.0
    assert negative.any()
    solution = solve(calm)
    assert np.minimum(solution.charge_kw, solution.discharge_kw)[:, negative].max() <= 1e-9


def physical(calm: Problem, charge_kw: Floats, discharge_kw: Floats) -> None:
    """Every rounded power can be told, every energy be held, every departure met (as near as a peak is spared
    for, well within what is planned above each target), every feeder passed.
    """
    done = rounded(calm, charge_kw, discharge_kw)
    for place, each in enumerate(calm.packs):
        power, energy = done.power_kw[place], done.energy_kwh[place]
        assert np.all(power <= each.charge_kw + 1e-6)
        assert np.all(-power <= each.discharge_kw + 1e-6)
        assert np.all(power[power > 0.0] >= each.min_charge_kw - 1e-6)
        assert np.all(-power[power < 0.0] >= each.min_discharge_kw - 1e-6)
        assert np.all(energy >= each.floor_kwh - spared_kwh(each) - 1e-6), each.name
        assert np.all(energy <= each.full_kwh + SHORT_KWH + 1e-6), each.name
    for node in range(len(calm.feeders)):
        below = [n for n, each in enumerate(calm.packs) if node in (each.feeder, calm.parent[each.feeder])]
        assert np.all(done.power_kw[below].clip(min=0.0).sum(axis=0) <= calm.charge_cap_kw[node] + 1e-4)
        assert np.all((-done.power_kw[below]).clip(min=0.0).sum(axis=0) <= calm.export_cap_kw[node] + 1e-4)


def test_what_rounding_dropped_is_made_up_even_where_it_is_less_than_a_chargers_least_power() -> None:
    """A trickle that lasts hours is no power; the departure lacks it, in slots that are all full but one."""
    car = pack(
        start_kwh=0.0, floor_kwh=np.array([0.0, 0.0, 0.0, 30.06]), min_charge_kw=4.0, discharge_kw=np.zeros(4)
    )
    calm, _ = settled(problem(car))
    done = rounded(
        calm, np.array([[0.02, 10.0, 10.0, 10.0]]) - np.array([[0.01, 0.0, 0.0, 0.0]]), np.zeros((1, 4))
    )
    assert done.energy_kwh[0, 3] >= 30.06 - 1e-6
    assert done.power_kw[0, 0] == 4.0
