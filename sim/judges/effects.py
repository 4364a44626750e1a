"""What a played fault leaves possible and safe, worked out from the schedule of faults alone.

The judges ask it what a controller that does everything right could still do: which outlets could charge, how
much of a feeder may be used. It knows nothing of the product and shares no code with it. Times after a fault
are what proof needs: a reconnection, a few good samples, a supervised retry.
"""

import math
from typing import Final

from sim.scenarios.fault import CLOUD, EVERYBODY, ORDER, Fault
from sim.scenarios.scenario import Scenario

MINUTE: Final = 60.0

OWN_FALLBACK: Final[dict[str, float]] = {
    "ignore": 30 * MINUTE, "overdraw": 30 * MINUTE, "wrong_sign": 30 * MINUTE, "turned_meter": 30 * MINUTE,
    "stuck_meter": 30 * MINUTE, "priority": 30 * MINUTE, "reject": 10 * MINUTE, "mute": 5 * MINUTE,
    "late": 5 * MINUTE,
    "offline": 5 * MINUTE, "half_open": 5 * MINUTE, "vanish": 5 * MINUTE, "slow_link": 2 * MINUTE,
    "pack_c": 60 * MINUTE,
    "wrong_clock": 2 * MINUTE, "nonsense": 2 * MINUTE, "flood": 2 * MINUTE, "lost_in_update": 10 * MINUTE,
    "bad_firmware": 10 * MINUTE,
}  # fmt: skip
"""Faults at which their own outlet is owed no more than its fallback, and for how long after them."""

OWN_NOTHING: Final[dict[str, float]] = {"reboot": 5 * MINUTE}
"""Faults at which their own outlet cannot charge at all."""

TAKES_ITS_RATING: Final = frozenset(
    {"ignore", "overdraw", "wrong_sign", "priority", "turned_meter", "stuck_meter"}
)
"""Faults at which no part can prove that the outlet does not draw all it can; it is counted so while they
last and after.
"""

BLIND: Final[dict[str, float]] = {
    "meter_silent": 5 * MINUTE, "meter_stuck": 5 * MINUTE, "meter_nan": 5 * MINUTE,
    "meter_swapped": 5 * MINUTE,
    "meter_garbage": 5 * MINUTE, "meter_slow": 5 * MINUTE, "meter_busy": 5 * MINUTE,
    "meter_reset": 5 * MINUTE,
    "meter_spike": 5 * MINUTE, "meter_scaled": 15 * MINUTE, "meter_shifted": 15 * MINUTE, "load": 15 * MINUTE,
}  # fmt: skip
"""Faults at which the grid meter gives nothing that could be used: the building counts with its
commissioned worst.
"""

ALL_FALLBACK: Final[dict[str, float]] = {
    "contact_silent": 3 * MINUTE, "contact_open": 5 * MINUTE, "stall": 5 * MINUTE, "suspend": 5 * MINUTE,
    "restart": 5 * MINUTE, "reboot_host": 5 * MINUTE,
}  # fmt: skip
"""Faults at which every outlet is owed no more than its fallback."""

NEW_LOAD_S: Final = 30.0
STEP_PATIENCE_S: Final = 15.0
"""A load that comes at once is seen by the meter's next poll at the earliest; reports of chargers come
each ten seconds.
"""

CONVICTS_NOBODY: Final = CLOUD | ORDER | {"wrong_soc", "noisy_soc", "stepped_soc", "quiet_soc", "underdraw"}

REFUSES: Final = frozenset({"reject", "reject_negative"})
ASKED_AGAIN_S: Final = 5 * MINUTE
ASKED_AGAIN_SHARE: Final = 2.0
"""A station that refuses is asked again after five minutes, then after pauses that treble: at the latest
after twice as long as it has refused.
"""

STOPPED: Final = frozenset({"operator_stop"})

AFTER_DISTURBANCE_S: Final = 5 * MINUTE


class Effects:
    """See the module. All questions are for one instant of UTC."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._stations = {
            outlet.evse: station.identity for station in scenario.stations for outlet in station.outlets
        }
        self._faults = list(scenario.faults)
        self._dark: tuple[float, bool] = (-math.inf, False)
        self._too_much_pct: dict[str, float] = {}
        self._own: dict[str, list[Fault]] = {
            evse.id: [
                f
                for f in scenario.faults
                if f.target in {self._stations.get(evse.id, ""), EVERYBODY, evse.id}
            ]
            for evse in scenario.site.evses
        }

    def add(self, fault: Fault) -> None:
        """One more fault, of a run that is made up as it goes."""
        self._faults.append(fault)
        self._dark = (-math.inf, False)
        self._too_much_pct.clear()
        for evse, mine in self._own.items():
            if fault.target in {self._stations.get(evse, ""), EVERYBODY, evse}:
                mine.append(fault)

    def most_w(self, evse: str, rating_w: float, fallback_w: float, wall_s: float) -> float:
        """What the outlet could be owed."""
        if self.any_of(STOPPED, wall_s, MINUTE):
            return 0.0
        if self.is_dark(wall_s):
            rating_w = min(rating_w, fallback_w)
        for fault in self._own[evse]:
            if _within(fault, OWN_NOTHING, wall_s):
                return 0.0
            if _within(fault, OWN_FALLBACK, wall_s):
                rating_w = min(rating_w, fallback_w)
            if fault.kind == "underdraw" and fault.is_active(wall_s):
                rating_w = min(rating_w, fault.value)
        return rating_w

    def takes_at_most_w(self, evse: str, wall_s: float) -> float:
        """What the vehicle at an outlet takes at most, whatever it may."""
        if not self._own[evse]:
            return math.inf
        mine = [f.value for f in self._own[evse] if f.kind == "underdraw" and f.is_active(wall_s)]
        return min(mine, default=math.inf)

    def onsets_wall_s(self, evse: str) -> list[float]:
        """When faults began after which the outlet is owed less, earliest first."""
        own = OWN_FALLBACK.keys() | OWN_NOTHING.keys() | {"underdraw"}
        return sorted(fault.start_wall_s for fault in self._own[evse] if fault.kind in own)

    def takes_its_rating(self, evse: str, wall_s: float) -> bool:
        """Whether no part can prove that it draws less than it can."""
        return any(
            fault.kind in TAKES_ITS_RATING and _within(fault, OWN_FALLBACK, wall_s)
            for fault in self._own[evse]
        )

    def is_blind(self, wall_s: float) -> bool:
        """Whether the grid meter is of no use."""
        return any(_within(fault, BLIND, wall_s) for fault in self._faults)

    def is_dark(self, wall_s: float) -> bool:
        """Whether nothing above the fallback is owed to anybody."""
        if self._dark[0] != wall_s:  # asked for each outlet at the same instant
            dark = self.is_disturbed(wall_s) or any(_within(f, ALL_FALLBACK, wall_s) for f in self._faults)
            self._dark = (wall_s, dark)
        return self._dark[1]

    def is_disturbed(self, wall_s: float) -> bool:
        """Whether the grid itself is, or lately was, out of order."""
        return any(
            d.start_wall_s <= wall_s < d.start_wall_s + d.duration_s + AFTER_DISTURBANCE_S
            for d in self._scenario.disturbances
        )

    def extra_w(self, feeder: str, wall_s: float) -> float:
        """What the building draws beyond its usual load on a feeder."""
        return sum(
            f.value for f in self._faults if f.kind == "load" and f.target == feeder and f.is_active(wall_s)
        )

    def patience_s(self, wall_s: float, obey_within_s: float) -> float:
        """How long a feeder may be over because of something that no part could see before it came: a load,
        a charger that begins to take more than its setpoint.
        """
        patience_s = 0.0
        for fault in self._faults:
            since_s = wall_s - fault.start_wall_s
            if fault.kind == "load" and 0.0 <= since_s < NEW_LOAD_S:
                patience_s = max(patience_s, STEP_PATIENCE_S)
            if fault.kind in TAKES_ITS_RATING and 0.0 <= since_s < obey_within_s + 2 * NEW_LOAD_S:
                patience_s = max(patience_s, obey_within_s + NEW_LOAD_S)
        return patience_s

    def told_too_much_pct(self, evse: str) -> float:
        """By how much the charge reported at an outlet exceeds the true one, at worst."""
        known = self._too_much_pct.get(evse)
        if known is None:
            told = [fault.value for fault in self._own[evse] if fault.kind in {"wrong_soc", "noisy_soc"}]
            known = self._too_much_pct[evse] = max([0.0, *told])
        return known

    def clock_behind_s(self) -> float:
        """By how much the controller's wall time was behind, at worst."""
        return max((-fault.value for fault in self._faults if fault.kind == "clock_step"), default=0.0)

    def any_at(self, evse: str, wall_s: float, after_s: float) -> bool:
        """Whether something is, or within ``after_s`` was, wrong at an outlet or its station."""
        mine = self._own[evse]
        return bool(mine) and any(f.start_wall_s <= wall_s < f.end_wall_s + after_s for f in mine)

    def refuses(self, evse: str, wall_s: float) -> bool:
        """Whether the station of an outlet refuses its limits, or has not been asked again since it did."""
        return any(
            f.kind in REFUSES
            and f.start_wall_s
            <= wall_s
            < f.end_wall_s + max(ASKED_AGAIN_S, ASKED_AGAIN_SHARE * f.duration_s) + MINUTE
            for f in self._own[evse]
        )

    def any_of(self, kinds: frozenset[str], wall_s: float, after_s: float) -> bool:
        """Whether a fault of one of these kinds lasts, or lasted within ``after_s``."""
        for f in self._faults:
            if f.start_wall_s <= wall_s and f.kind in kinds and wall_s < f.end_wall_s + after_s:
                return True
        return False

    def last_end_wall_s(self) -> float:
        """When the last fault that could convict a device, and the last disturbance, are over."""
        ends = [fault.end_wall_s for fault in self._faults if fault.kind not in CONVICTS_NOBODY]
        ends += [d.start_wall_s + d.duration_s for d in self._scenario.disturbances]
        return max(ends, default=self._scenario.start_wall_s)


def _within(fault: Fault, after_s: dict[str, float], wall_s: float) -> bool:
    return fault.kind in after_s and fault.start_wall_s <= wall_s < fault.end_wall_s + after_s[fault.kind]
