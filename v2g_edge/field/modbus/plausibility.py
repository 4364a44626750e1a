"""Whether numbers that arrived intact can be true. Pure: values in, verdicts out. A verdict is a reason,
"" for believable.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from v2g_edge.model.reading import Measured, Reading, Unknown

SUM_SHARE: Final = 0.10
SUM_FLOOR_W: Final = 500.0
"""Total against the sum of the phases: registers of one block may be up to a refresh apart, so a tenth of
the traffic plus 500 W is allowed.
"""

MIN_MOVED_WH: Final = 2_000.0
"""Energy that must have passed before counters and power are compared: far above every counter's
resolution (0.1 kWh).
"""

ENERGY_SHARE: Final = 0.5
"""Half of what passed: a wrong transformer ratio or a turned sign is far beyond, sampling error far below."""

COUNTER_WH_PER_S: Final = 1e7 / 3600.0
COUNTER_SLACK_WH: Final = 1_000.0
"""No depot feeder carries more than 10 MW; a counter that runs faster (1 kWh of resolution aside) has
jumped.
"""

SOC_PCT_PER_S: Final = 0.06
SOC_SLACK_PCT: Final = 2.0
"""Twice the capacity in an hour is 0.056 %/s, beyond any vehicle here; 2 % are the glitches seen on the
Quasar.
"""


def sum_verdict(total: Measured, phases: Iterable[Measured]) -> str:
    """Total power against its phases, in W; "" when any of them is unknown."""
    parts = [part.value for part in phases if isinstance(part, Reading)]
    if not isinstance(total, Reading) or len(parts) != 3:
        return ""
    gap_w = abs(total.value - sum(parts))
    if gap_w <= SUM_FLOOR_W + SUM_SHARE * sum(abs(part) for part in parts):
        return ""
    return f"total {total.value:.0f} W and phases {sum(parts):.0f} W disagree"


def jump_verdict(before: Measured, after: Measured, most_per_s: float, slack: float = 0.0) -> str:
    """Whether a quantity moved faster than ``most_per_s`` of its unit (+ ``slack``, its resolution)."""
    if not isinstance(before, Reading) or not isinstance(after, Reading):
        return ""
    allowed = most_per_s * max(after.at_s - before.at_s, 0.0) + slack
    step = after.value - before.value
    return "" if abs(step) <= allowed else f"jumped by {step:g}, at most {allowed:g} is possible"


MIN_WINDOW_S: Final = 60.0
"""And time: some meters renew their counters every ten seconds only, in which a megawatt moves 2.8 kWh."""

GAP_S: Final = 120.0
"""A longer time without a reading is not bridged."""

GOOD_POLLS: Final = 10
"""So many readings in a row that fit the counters end a verdict."""

RECENT_S: Final = 10.0
RESOLUTION_WH: Final = 10.0
"""Counters are compared over at least this time, give or take the usual step of 0.01 kWh."""

BEYOND: Final = 5.0
"""So many times a feeder's limits nothing flows that its fuse would let pass: such a reading is a fault of
the data.
"""


class Counted(NamedTuple):
    """What both counters said at one moment: import less export."""

    at_s: float
    net_wh: float


class EnergyCheck:
    """Compares a meter's counters with its own power over windows of at least ``MIN_MOVED_WH``."""

    def __init__(self) -> None:
        self._start: Counted | None = None
        self._newest: Counted | None = None
        self._anchor: Counted | None = None
        self._recent: tuple[float, float] | None = None
        self._power: Reading | None = None
        self._net_wh = 0.0
        self._moved_wh = 0.0
        self._counters: dict[str, Measured] = {}
        self._counted_w = 0.0
        self._good = 0
        self.verdict = ""

    def counter(self, name: str, after: Measured) -> Measured:
        """The counter, or Unknown for the one sample at which it jumped or ran backwards; then it counts
        from there.
        """
        before = self._counters.get(name, after)
        if isinstance(after, Reading):
            self._counters[name] = after
        why = jump_verdict(before, after, COUNTER_WH_PER_S, COUNTER_SLACK_WH)
        if why:
            self._start = None
        return Unknown(f"counter {why}") if why else after

    def take(self, power: Measured, imported: Measured, exported: Measured) -> str:
        """Add a sample; the verdict. Unknown samples and counters judge nothing, and a short gap is
        bridged.
        """
        if isinstance(power, Reading):
            self._integrate(power)
            self._hear_counters(power, imported, exported)
            if self.verdict:
                self._acquit(power)
        return self.verdict

    def _integrate(self, power: Reading) -> None:
        last, self._power = self._power, power
        if last is None or power.at_s <= last.at_s:
            return
        if power.at_s - last.at_s > GAP_S:  # what flowed meanwhile, the counters saw alone
            self._start = None
            return
        mean_w, hours = (power.value + last.value) / 2.0, (power.at_s - last.at_s) / 3600.0
        self._net_wh += mean_w * hours
        self._moved_wh += abs(mean_w) * hours

    def _hear_counters(self, power: Reading, imported: Measured, exported: Measured) -> None:
        """Open or close a window, at a fresh sample of both counters only: between two of them the power
        runs ahead.
        """
        if not isinstance(imported, Reading) or not isinstance(exported, Reading):
            return
        now = Counted(min(imported.at_s, exported.at_s), imported.value - exported.value)
        if self._newest is not None and now.at_s <= self._newest.at_s:
            return
        self._newest = now
        self._look_back(now)
        start = self._start
        if start is None:
            self._restart(now)
        elif self._moved_wh >= MIN_MOVED_WH and now.at_s - start.at_s >= MIN_WINDOW_S:
            counted_wh = now.net_wh - start.net_wh
            wrong = abs(counted_wh - self._net_wh) > ENERGY_SHARE * self._moved_wh
            said = (
                f"the counters moved {counted_wh:.0f} Wh in {now.at_s - start.at_s:.0f} s, power says"
                f" {self._net_wh:.0f} Wh"
            )
            self.verdict, self._good = said if wrong else "", 0
            self._counted_w = counted_wh * 3600.0 / (now.at_s - start.at_s)
            self._restart(now)

    def _look_back(self, now: Counted) -> None:
        """The mean power by the counters over ``RECENT_S`` or as long as it takes to know it, and what
        their steps leave open.
        """
        anchor = self._anchor
        if anchor is None or now.at_s - anchor.at_s > GAP_S:
            self._anchor, self._recent = now, None
        elif now.at_s - anchor.at_s >= RECENT_S:
            hours = (now.at_s - anchor.at_s) / 3600.0
            mean_w, unsure_w = (now.net_wh - anchor.net_wh) / hours, RESOLUTION_WH / hours
            if unsure_w <= max(SUM_FLOOR_W, ENERGY_SHARE / 2.0 * abs(mean_w)):
                self._anchor, self._recent = now, (mean_w, unsure_w)

    def _acquit(self, power: Reading) -> None:
        """End the verdict after ``GOOD_POLLS`` readings in a row that fit what the counters say, in the
        window or since.

        It needs no energy to flow: a meter that is well again is believed, though its verdict has stopped the
        charging.
        """
        fits = abs(power.value - self._counted_w) <= SUM_FLOOR_W + ENERGY_SHARE * abs(self._counted_w)
        if self._recent is not None:
            recent_w, unsure_w = self._recent
            fits |= abs(power.value - recent_w) <= SUM_FLOOR_W + unsure_w + ENERGY_SHARE * abs(recent_w)
        self._good = self._good + 1 if fits else 0
        if self._good >= GOOD_POLLS:
            self.verdict, self._start = "", None

    def _restart(self, now: Counted) -> None:
        self._start, self._net_wh, self._moved_wh = now, 0.0, 0.0


COUNTERS: Final = ("energy_import_wh", "energy_export_wh")


POWERS: Final = ("power_w", "power_l1_w", "power_l2_w", "power_l3_w")


def judged(values: dict[str, Measured], energy: EnergyCheck, most_w: float = math.inf) -> dict[str, Measured]:
    """A meter's values with the powers made Unknown where they cannot be true. ``most_w`` is what can flow
    there at all.

    A reading beyond that is one bad sample: it is not counted, and the next good one stands.
    """
    for name in POWERS:
        value = values.get(name)
        if isinstance(value, Reading) and abs(value.value) > most_w:
            why = f"{name} of {value.value:.0f} W is more than can flow there ({most_w:.0f} W)"
            return values | {each: Unknown(why) for each in POWERS if each in values}
    power = values.get("power_w", Unknown("not measured"))
    phases = [values.get(f"power_l{phase}_w", Unknown("not measured")) for phase in (1, 2, 3)]
    counters = {name: energy.counter(name, values[name]) for name in COUNTERS if name in values}
    unknown = Unknown("not counted")
    imported, exported = (counters.get(name, unknown) for name in COUNTERS)
    why = sum_verdict(power, phases) or energy.take(power, imported, exported)
    if not why:
        return values | counters
    return values | counters | {name: Unknown(why) for name in POWERS if name in values}
