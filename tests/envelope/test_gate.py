"""The last hop: each permit that must not be, and each sum, is caught by itself."""

import math

import pytest
from msgspec.structs import replace

from tests.envelope.strategies import (
    GONE,
    NOW_S,
    Scene,
    permit,
    ready,
    with_evse,
    with_meter,
    with_site,
    with_snapshot,
)
from v2g_edge.envelope import InvariantBroken
from v2g_edge.envelope.gate import SLACK_W, pass_gate
from v2g_edge.model.limits import Bound
from v2g_edge.model.permit import Permit
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import CurrentLimit
from v2g_edge.model.snapshot import ContactState, Link, Operator

WISH = Bound(0.0, 0.0, "wish", "test")


def permits(*powers_w: float) -> tuple[Permit, ...]:
    """Permits for b1, b2, … with all the room that the ratings leave."""
    return tuple(
        Permit(f"b{i}", w, -50_000.0, 50_000.0, 30.0, True, w, WISH) for i, w in enumerate(powers_w, 1)
    )


def check(scene: Scene, *powers_w: float, **changes: object) -> None:
    given = permits(*powers_w)
    pass_gate(scene.site, scene.snapshot, (replace(given[0], **changes), *given[1:]))


def refused(scene: Scene, *powers_w: float, match: str, **changes: object) -> None:
    with pytest.raises(InvariantBroken, match=match):
        check(scene, *powers_w, **changes)


def test_good_permits_pass_unchanged() -> None:
    scene = ready()
    given = permits(-20_000.0, 50_000.0)
    assert pass_gate(scene.site, scene.snapshot, given) is given


def test_what_the_envelope_makes_passes() -> None:
    scene = ready()
    decision = permit(scene)
    assert pass_gate(scene.site, scene.snapshot, decision.permits) == decision.permits


@pytest.mark.parametrize("given", [permits(0.0), permits(0.0, 0.0, 0.0), permits(0.0, 0.0)[::-1], ()])
def test_every_outlet_is_named_once_in_order(given: tuple[Permit, ...]) -> None:
    scene = ready()
    with pytest.raises(InvariantBroken, match="every outlet exactly once"):
        pass_gate(scene.site, scene.snapshot, given)


@pytest.mark.parametrize("power_w", [50_000.1, -50_000.1, math.nan, math.inf, -math.inf])
def test_no_power_outside_the_rating(power_w: float) -> None:
    refused(ready(), power_w, 0.0, match="outside the rating", min_w=-1e9, max_w=1e9)


@pytest.mark.parametrize("power_w", [50_000.0, -50_000.0])
def test_the_rating_itself_is_allowed(power_w: float) -> None:
    check(ready(), power_w, 0.0)


def test_no_power_outside_its_own_room() -> None:
    refused(ready(), 20_000.0, 0.0, match="outside", max_w=19_999.0)
    refused(ready(), -20_000.0, 0.0, match="outside", min_w=-19_999.0)
    check(ready(), 20_000.0, 0.0, max_w=20_000.0)
    check(ready(), -20_000.0, 0.0, min_w=-20_000.0)


@pytest.mark.parametrize("lease_s", [0.0, -1.0, 30.1, math.inf, math.nan])
def test_no_lease_without_an_end(lease_s: float) -> None:
    refused(ready(), 0.0, 0.0, match="lease", valid_for_s=lease_s)


@pytest.mark.parametrize("lease_s", [0.1, 30.0])
def test_leases_up_to_the_commissioned_one(lease_s: float) -> None:
    check(ready(), 0.0, 0.0, valid_for_s=lease_s)


@pytest.mark.parametrize("power_w", [-1.0, 1.0])
def test_no_power_without_a_vehicle(power_w: float) -> None:
    refused(with_evse(ready(), vehicle=None), power_w, 0.0, match="without a vehicle")
    check(with_evse(ready(), vehicle=None), 0.0, power_w)


@pytest.mark.parametrize("power_w", [-1.0, 1.0])
def test_no_power_while_the_operator_says_stop(power_w: float) -> None:
    stopped = with_snapshot(ready(), operator=Operator(stop=True))
    refused(stopped, power_w, 0.0, match="stop")
    check(stopped, 0.0, 0.0)


def test_no_export_without_a_dead_man() -> None:
    refused(with_evse(ready(), dead_man_ok=False), -1.0, 0.0, match="dead-man")
    check(with_evse(ready(), dead_man_ok=False), 1.0, -1.0)


def test_no_export_where_it_is_not_allowed() -> None:
    scene = ready()
    forbidden = with_site(scene, grid=replace(scene.site.grid, export_allowed=False))
    refused(forbidden, -1.0, 0.0, match="permission")
    check(forbidden, 1.0, 0.0)


def test_no_export_while_it_is_held() -> None:
    held = with_snapshot(ready(), operator=Operator(export_hold=True))
    refused(held, -1.0, 0.0, match="permission")
    check(held, 1.0, 0.0)


@pytest.mark.parametrize(
    "closed",
    [GONE, Reading(0.0, NOW_S), Reading(0.5, NOW_S), Reading(1.0, NOW_S - 1.01), Reading(1.0, NOW_S + 0.01)],
)
def test_no_export_without_a_closed_contact(closed: Reading) -> None:
    scene = with_snapshot(ready(), contacts=(ContactState(Link(True, True, NOW_S), closed),))
    refused(scene, -1.0, 0.0, match="closed grid contact relay")
    check(scene, 1.0, 0.0)


@pytest.mark.parametrize("hz", [GONE, Reading(50.0, NOW_S - 2.01), Reading(50.0, NOW_S + 0.01)])
def test_no_export_without_a_live_meter(hz: Reading) -> None:
    scene = with_meter(ready(), "grid", frequency_hz=hz)
    refused(scene, -1.0, 0.0, match="live grid meter grid")
    check(scene, 1.0, 0.0)


def hall(scene: Scene, **changes: object) -> Scene:
    first, second = scene.site.feeders
    return with_site(scene, feeders=(replace(first, **changes), second))


def main(scene: Scene, **changes: object) -> Scene:
    first, second = scene.site.feeders
    return with_site(scene, feeders=(first, replace(second, **changes)))


def test_no_feeder_is_charged_beyond_its_limit() -> None:
    tight = hall(ready(), import_limit_w=40_000.0)
    check(tight, 20_000.0, 20_000.0 + SLACK_W)
    refused(tight, 20_000.0, 20_002.0, match="feeder hall: 40002 W of charging")


def test_no_feeder_is_fed_beyond_its_limit() -> None:
    tight = hall(ready(), export_limit_w=40_000.0)
    check(tight, -20_000.0, -20_000.0 - SLACK_W)
    refused(tight, -20_000.0, -20_002.0, match="feeder hall: 40002 W of export")


def test_charging_is_not_excused_by_others_that_discharge() -> None:
    tight = hall(ready(), import_limit_w=40_000.0)
    refused(tight, 45_000.0, -45_000.0, match="charging")
    refused(hall(ready(), export_limit_w=40_000.0), 45_000.0, -45_000.0, match="export")


def test_where_the_base_load_takes_all_not_a_watt_is_left() -> None:
    drawn = with_meter(main(ready(), import_limit_w=20_000.0), "grid", power_w=GONE)
    check(drawn, SLACK_W, 0.0)
    refused(drawn, SLACK_W + 0.5, 0.0, match="feeder main: 2 W of charging")
    refused(drawn, 0.75, 0.75, match="feeder main: 2 W of charging")
    generated = hall(ready(), export_limit_w=10_000.0, base_load_min_w=-20_000.0)
    check(generated, -SLACK_W, 0.0)
    refused(generated, -SLACK_W - 0.5, 0.0, match="feeder hall: 2 W of export")


def test_every_feeder_above_is_checked() -> None:
    refused(main(ready(), import_limit_w=40_000.0), 20_000.0, 20_000.0, match="feeder main")
    refused(main(ready(), export_limit_w=20_000.0), -20_000.0, -20_000.0, match="feeder main")


def test_the_worst_base_load_counts_where_the_meter_is_silent_and_the_least_always() -> None:
    tight = main(ready(), import_limit_w=60_000.0)
    check(tight, 20_000.0, 20_000.0)
    refused(with_meter(tight, "grid", power_w=GONE), 20_000.0, 20_000.0, match="feeder main")
    check(with_meter(tight, "grid", power_w=GONE), 10_000.0, 20_000.0)
    refused(tight, 28_000.0, 28_000.0, match="feeder main")
    check(main(ready(), export_limit_w=35_000.0), -20_000.0, -20_000.0)
    refused(main(ready(), export_limit_w=34_990.0), -20_000.0, -20_000.0, match="feeder main")


def test_base_loads_of_feeders_below_count_too() -> None:
    scene = with_meter(
        hall(main(ready(), import_limit_w=60_000.0), base_load_max_w=20_000.0), "grid", power_w=GONE
    )
    refused(scene, 10_000.0, 20_000.0, match="feeder main")
    check(scene, 5_000.0, 5_000.0)
    generating = hall(main(ready(), export_limit_w=40_000.0), base_load_min_w=-20_000.0)
    refused(generating, -20_000.0, -20_000.0, match="feeder main")
    check(generating, -12_000.0, -12_000.0)


LIMIT = CurrentLimit(import_a=50.0, export_a=30.0, imbalance_a=100.0)


def test_no_phase_carries_more_than_its_current() -> None:
    phased = hall(ready(), current=LIMIT)
    fits_w = 50.0 * 230.0 * 3.0
    check(phased, fits_w / 2.0, fits_w / 2.0)
    refused(phased, fits_w / 2.0, fits_w / 2.0 + 6.0, match="exceed L1")
    fits_w = 30.0 * 230.0 * 3.0
    check(phased, -fits_w / 2.0, -fits_w / 2.0)
    refused(phased, -fits_w / 2.0, -fits_w / 2.0 - 6.0, match="exceed L1")


@pytest.mark.parametrize("phase", ["L1", "L2", "L3"])
def test_a_single_phase_charger_loads_its_own_phase(phase: str) -> None:
    phased = hall(ready(), current=LIMIT)
    evses = (replace(phased.site.evses[0], phases=phase), phased.site.evses[1])
    scene = with_site(phased, evses=evses)
    check(scene, 50.0 * 230.0 + SLACK_W, 0.0)
    refused(scene, 50.0 * 230.0 + 2.0, 0.0, match=f"11502 W in, 0 W out exceed {phase}")
    refused(scene, 50.0 * 230.0, 6.0, match=f"exceed {phase}")
    check(scene, -30.0 * 230.0 - SLACK_W, 0.0)
    refused(scene, -30.0 * 230.0 - 2.0, 0.0, match=f"0 W in, 6902 W out exceed {phase}")


def test_both_ends_of_a_droop_stay_within_rating_and_room() -> None:
    check(ready(), 10_000.0, 0.0, droop_w=40_000.0)
    for power_w in (10_000.0, -10_000.0):
        check(ready(), power_w, 0.0, droop_w=40_000.0 + SLACK_W)
        refused(ready(), power_w, 0.0, match="droop", droop_w=40_002.0)
    refused(ready(), 10_000.0, 0.0, match="droop", droop_w=5_000.0, max_w=14_990.0)
    refused(ready(), 10_000.0, 0.0, match="droop", droop_w=5_000.0, min_w=5_010.0)
    refused(ready(), 10_000.0, 0.0, match="droop", droop_w=-1.0)
    refused(ready(), 10_000.0, 0.0, match="droop", droop_w=math.nan)


def test_a_droop_below_zero_is_export_and_a_droop_around_nothing_is_power() -> None:
    denied = with_evse(ready(), dead_man_ok=False)
    check(denied, 10_000.0, 0.0, droop_w=10_000.0)
    refused(denied, 10_000.0, 0.0, match="dead-man", droop_w=10_002.0)
    refused(with_snapshot(ready(), operator=Operator(stop=True)), 0.0, 0.0, match="stop", droop_w=1.0)


def test_both_ends_of_every_droop_count_in_the_sums() -> None:
    hall, main = ready().site.feeders
    scene = with_site(
        ready(), feeders=(replace(hall, import_limit_w=30_000.0, export_limit_w=30_000.0), main)
    )
    check(scene, 20_000.0, 0.0, droop_w=10_000.0)
    refused(scene, 20_000.0, 0.0, match="import limit", droop_w=10_002.0)
    check(scene, -20_000.0, 0.0, droop_w=10_000.0)
    refused(scene, -20_000.0, 0.0, match="export limit", droop_w=10_002.0)


def test_a_discharge_that_nobody_has_seen_yet_counts_as_charging_at_the_rating_too() -> None:
    first, main = ready().site.feeders
    narrow = with_site(ready(), feeders=(replace(first, import_limit_w=60_000.0), main))
    untried = with_evse(narrow, proven_discharge=False)
    check(untried, -2_000.0, 10_000.0)
    refused(untried, -2_000.0, 10_002.0, match="feeder hall: 60002 W of charging")
    check(narrow, -2_000.0, 50_000.0)
    check(untried, 0.0, 50_000.0)
    phased = with_site(untried, feeders=(replace(first, current=CurrentLimit(60.0, 100.0, 100.0)), main))
    refused(phased, -2_000.0, 0.0, match="16667 W in, 667 W out exceed L1")
