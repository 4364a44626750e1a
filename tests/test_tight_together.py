"""Vehicles that leave at the same time, and fit one by one but hardly together, all leave charged: below one
feeder, and on one phase of it (D23). Played on the pure tick with chargers that follow.
"""

from typing import Final

import pytest
from msgspec.structs import replace

from tests.depot import BUS, healthy
from tests.test_phases_shared import HOUR_S, LEFT_W, RATED_W, garage
from v2g_edge.cycle import Cycle, Memory, Outcome
from v2g_edge.envelope.memory import EnvelopeMemory
from v2g_edge.model.event import Event
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.plan import Plan, Slot
from v2g_edge.model.reading import Reading, Unknown
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import CommandState, Snapshot, VehiclePhases

CAPACITY_WH: Final = 60_000.0
TARGET_PCT: Final = 60.0
STEP_S: Final = 40.0
NIGHT_H: Final = 8.0
START_S: Final = 1_000_000.0


class Night:
    """A garage in the night: what each vehicle has, draws and was told."""

    def __init__(
        self,
        site: Site,
        shown: tuple[VehiclePhases, ...],
        lacks_wh: tuple[float, ...],
        leave_h: tuple[float, ...],
    ) -> None:
        kind = replace(BUS, capacity_wh=CAPACITY_WH, charge_curve=(), pack_min_c=-ANY_W, pack_max_c=ANY_W)
        safety = replace(site.safety, late_after_s=2.0 * STEP_S, lease_s=3.0 * STEP_S)
        self.site = replace(site, vehicle_types=(kind,), safety=safety)
        self.shown, self.leave_h = shown, leave_h
        self.soc_pct = [TARGET_PCT - 100.0 * wh / CAPACITY_WH for wh in lacks_wh]
        self.dark: frozenset[int] = frozenset()
        self.greedy = False
        self._may_until_s = [0.0] * len(site.evses)
        self._commands = [CommandState()] * len(site.evses)
        self.drawn_w = [0.0] * len(site.evses)
        self._cycle, self._memory = Cycle(self.site), Memory(EnvelopeMemory(99.0))
        ends_s, nothing = START_S + NIGHT_H * HOUR_S, tuple((evse.id, 0.0) for evse in site.evses)
        self._plan = Plan(1, "cloud", START_S, START_S, ends_s, (Slot(START_S, ends_s, nothing),))

    def play(self) -> tuple[Event, ...]:
        """Until the last has left, under a plan that says 0 W all night, as if power were cheap later."""
        told: list[Event] = []
        for step in range(int(max(self.leave_h) * HOUR_S / STEP_S)):
            outcome = self.tick(step)
            told += outcome.events
            self.follow(outcome, 100.0 + step * STEP_S)
        return tuple(told)

    def tick(self, step: int) -> Outcome:
        """What is decided in this step."""
        return self._cycle.tick(self._snapshot(step), self._plan, self._memory)

    def _snapshot(self, step: int) -> Snapshot:
        now_s = 100.0 + step * STEP_S
        all_well = healthy(self.site, now_s, START_S + step * STEP_S)
        evses = []
        for i, state in enumerate(all_well.evses):
            assert state.vehicle is not None
            vehicle = replace(
                state.vehicle,
                phases=self.shown[i],
                plugged_wall_s=START_S,
                soc_pct=Reading(self.soc_pct[i], now_s),
                target_soc_pct=Reading(TARGET_PCT, now_s),
                max_charge_w=Reading(RATED_W, now_s),
                departure_wall_s=Reading(START_S + self.leave_h[i] * HOUR_S, now_s),
            )
            power = Unknown("never told") if i in self.dark else Reading(self.drawn_w[i], now_s)
            evses.append(replace(state, vehicle=vehicle, power_w=power, command=self._commands[i]))
        total_w = 20_000.0 + sum(self.drawn_w)
        meters = tuple(replace(meter, power_w=Reading(total_w, now_s)) for meter in all_well.meters)
        return replace(all_well, seq=step + 1, evses=tuple(evses), meters=meters)

    def follow(self, outcome: Outcome, now_s: float) -> None:
        self._memory = outcome.memory
        for i, (permit, evse) in enumerate(zip(outcome.permits, self.site.evses, strict=True)):
            until_s = now_s + permit.valid_for_s
            self._commands[i] = CommandState(permit.power_w, "accepted", now_s, until_s)
            phases = len(self.shown[i]) // 2 or 3
            self.drawn_w[i] = min(permit.power_w, RATED_W * phases / 3.0)
            if permit.power_w > evse.fallback_w:
                self._may_until_s[i] = until_s
            if self.greedy and i in self.dark and now_s < self._may_until_s[i]:
                self.drawn_w[i] = RATED_W
            stored_wh = self.drawn_w[i] * evse.efficiency * STEP_S / HOUR_S
            self.soc_pct[i] += 100.0 * stored_wh / CAPACITY_WH


@pytest.mark.parametrize(
    ("shown", "lacks_wh"),
    [
        pytest.param(("L1",) * 4, 24_000.0, id="four on one phase that has power for just them"),
        pytest.param(("L1", "L2", "L1L2L3") * 2, 24_000.0, id="a phase is full before the feeder"),
        pytest.param(("L1L2L3",) * 9, 30_000.0, id="nine on three phases each"),
    ],
)
def test_d23_all_that_fit_together_leave_charged(shown: tuple[VehiclePhases, ...], lacks_wh: float) -> None:
    cars = len(shown)
    night = Night(garage(cars), shown, (lacks_wh,) * cars, (NIGHT_H,) * cars)
    night.play()
    assert min(night.soc_pct) >= TARGET_PCT


@pytest.mark.parametrize(
    ("shown", "lacks_wh"), [(("L1", "L2", "L3", "L1L2L3"), 6_000.0), (("L1L2L3",) * 6, 18_000.0)]
)
def test_a_plan_rules_while_each_phase_has_time_for_all(
    shown: tuple[VehiclePhases, ...], lacks_wh: float
) -> None:
    """On each of three phases flows a third: as if all of it did, six would have to begin at once."""
    cars = len(shown)
    night = Night(garage(cars), shown, (lacks_wh,) * cars, (NIGHT_H,) * cars)
    assert [wish.reason for wish in night.tick(0).wishes] == ["plan"] * cars


@pytest.mark.parametrize(
    ("leaves_h", "lacks_wh"),
    [
        pytest.param(-3.0, 30_000.0, id="they should have left three hours ago"),
        pytest.param(1.0, 36_000.0, id="they have an hour for what takes nearly two"),
    ],
)
def test_who_cannot_make_it_costs_no_other_its_departure(leaves_h: float, lacks_wh: float) -> None:
    """Two of 22 kW are late on a fuse for two: they get what the two leave that still can be in time."""
    late, fine = (leaves_h,) * 2, (2.0,) * 2
    night = Night(garage(4), ("L1L2L3",) * 4, (lacks_wh,) * 2 + (36_000.0,) * 2, late + fine)
    before_pct = list(night.soc_pct)
    night.play()
    assert min(night.soc_pct[2:]) >= TARGET_PCT
    assert max(now - then for now, then in zip(night.soc_pct[:2], before_pct, strict=False)) > 0.0


def test_d20_where_no_charger_tells_its_power_all_leave_charged_and_each_is_named() -> None:
    """Four of 22 kW on a fuse for two: each held its rating, so that none was ever permitted a watt."""
    night = Night(garage(4), ("L1L2L3",) * 4, (12_000.0,) * 4, (2.0,) * 4)
    night.dark = frozenset(range(4))
    told = night.play()
    assert min(night.soc_pct) >= TARGET_PCT
    named = [event.subject for event in told if "tells no power" in event.text]
    assert named == ["b1", "b2", "b3", "b4"]


def beside_unmetered(dark: tuple[int, ...], fallback_w: float, *, greedy: bool = False) -> Night:
    """One metered charger beside those that tell no power, on a fuse for two."""
    site = garage(len(dark) + 1)
    site = replace(site, evses=tuple(replace(evse, fallback_w=fallback_w) for evse in site.evses))
    shown: tuple[VehiclePhases, ...] = ("L1L2L3", "L1L2L3", "L1L2L3", "L1L2L3")
    cars = len(site.evses)
    night = Night(site, shown[:cars], (12_000.0,) * cars, (3.0,) * cars)
    night.dark, night.greedy = frozenset(dark), greedy
    return night


@pytest.mark.parametrize("dark", [(0, 1), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("fallback_w", [0.0, 2_000.0])
def test_beside_chargers_that_tell_no_power_a_metered_one_charges_too(
    dark: tuple[int, ...], fallback_w: float
) -> None:
    """Their ratings fill the fuse for two, and were kept for them all night: it got 0 W for good."""
    night = beside_unmetered(dark, fallback_w)
    told = night.play()
    assert min(night.soc_pct) >= TARGET_PCT, night.soc_pct
    short = [event for event in told if event.kind == "departure_short"]
    assert not short, "what one leaves to the others at rest is theirs"


def test_beside_a_metered_one_the_fuse_holds_whatever_those_draw_that_tell_no_power() -> None:
    """They draw their rating whenever they may draw at all, and until the lease has run out."""
    night = beside_unmetered((0, 1), 0.0, greedy=True)
    night.soc_pct = [TARGET_PCT - 40.0] * 3
    most_w = 0.0
    for step in range(int(3.0 * HOUR_S / STEP_S)):
        night.follow(night.tick(step), 100.0 + step * STEP_S)
        if night.drawn_w[2] > 0.0:
            most_w = max(most_w, sum(night.drawn_w))
    assert RATED_W < most_w <= 3.0 * LEFT_W + 1.0
    assert min(night.soc_pct) >= TARGET_PCT
