"""Whether numbers that arrived intact can be true. Pure: values in, verdicts out. A verdict is a reason, "" for believable."""

from collections.abc import Iterable
from typing import Final

from v2g_edge.model.reading import Measured, Reading, Unknown

SUM_SHARE: Final = 0.10
SUM_FLOOR_W: Final = 500.0
"""Total against the sum of the phases: registers of one block may be up to a refresh apart, so a tenth of the traffic plus
500 W is allowed."""

MIN_MOVED_WH: Final = 2_000.0
"""Energy that must have passed before counters and power are compared: far above every counter's resolution (0.1 kWh)."""

ENERGY_SHARE: Final = 0.5
"""Half of what passed: a wrong transformer ratio or a turned sign is far beyond, sampling error far below."""

COUNTER_WH_PER_S: Final = 1e7 / 3600.0
COUNTER_SLACK_WH: Final = 1_000.0
"""No depot feeder carries more than 10 MW; a counter that runs faster (1 kWh of resolution aside) has jumped."""

SOC_PCT_PER_S: Final = 0.06
SOC_SLACK_PCT: Final = 2.0
"""Twice the capacity in an hour is 0.056 %/s, beyond any vehicle here; 2 % are the glitches seen on the Quasar."""


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


class EnergyCheck:
    """Compares a meter's counters with its own power over windows of at least ``MIN_MOVED_WH``."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._power: Reading | None = None
        self._net_wh = 0.0
        self._moved_wh = 0.0
        self._counters: dict[str, Measured] = {}
        self.verdict = ""

    def counter(self, name: str, after: Measured) -> Measured:
        """The counter, or Unknown for the one sample at which it jumped or ran backwards; then it counts from there."""
        before = self._counters.get(name, after)
        if isinstance(after, Reading):
            self._counters[name] = after
        why = jump_verdict(before, after, COUNTER_WH_PER_S, COUNTER_SLACK_WH)
        if why:
            self._start = None
        return Unknown(f"counter {why}") if why else after

    def take(self, power: Measured, imported: Measured, exported: Measured) -> str:
        """Add a sample; the verdict stands until the next window says otherwise. Unknown counters judge nothing."""
        if not isinstance(power, Reading):
            self._power = None
            return self.verdict
        if self._power is not None and power.at_s > self._power.at_s:
            mean_w = (power.value + self._power.value) / 2.0
            hours = (power.at_s - self._power.at_s) / 3600.0
            self._net_wh += mean_w * hours
            self._moved_wh += abs(mean_w) * hours
        self._power = power
        if not isinstance(imported, Reading) or not isinstance(exported, Reading):
            return self.verdict
        counters = (imported.value, exported.value)
        if self._start is None:
            self._restart(counters)
        elif self._moved_wh >= MIN_MOVED_WH:
            counted_wh = (counters[0] - self._start[0]) - (counters[1] - self._start[1])
            gap_wh = abs(counted_wh - self._net_wh)
            wrong = gap_wh > ENERGY_SHARE * self._moved_wh
            self.verdict = f"counters moved {counted_wh:.0f} Wh, power says {self._net_wh:.0f} Wh" if wrong else ""
            self._restart(counters)
        return self.verdict

    def _restart(self, counters: tuple[float, float]) -> None:
        self._start, self._net_wh, self._moved_wh = counters, 0.0, 0.0


COUNTERS: Final = ("energy_import_wh", "energy_export_wh")


def judged(values: dict[str, Measured], energy: EnergyCheck) -> dict[str, Measured]:
    """A meter's values with the powers made Unknown where they cannot be true."""
    power = values.get("power_w", Unknown("not measured"))
    phases = [values.get(f"power_l{phase}_w", Unknown("not measured")) for phase in (1, 2, 3)]
    counters = {name: energy.counter(name, values[name]) for name in COUNTERS if name in values}
    unknown = Unknown("not counted")
    imported, exported = (counters.get(name, unknown) for name in COUNTERS)
    why = sum_verdict(power, phases) or energy.take(power, imported, exported)
    if not why:
        return values | counters
    return (
        values
        | counters
        | {name: Unknown(why) for name in ("power_w", "power_l1_w", "power_l2_w", "power_l3_w") if name in values}
    )
