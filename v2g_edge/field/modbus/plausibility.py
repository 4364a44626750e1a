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

MAX_W: Final = 1e7
"""No depot feeder carries more than 10 MW; a counter that runs faster has jumped."""


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


def balance_verdict(grid: Measured, parts: Iterable[Measured], base_min_w: float, base_max_w: float) -> str:
    """Grid meter against the sum of the chargers behind it: the rest must be a base load that the site can have."""
    known = list(parts)
    if not isinstance(grid, Reading) or not all(isinstance(part, Reading) for part in known):
        return ""
    rest_w = grid.value - sum(part.value for part in known if isinstance(part, Reading))
    slack_w = SUM_FLOOR_W + SUM_SHARE * sum(abs(part.value) for part in known if isinstance(part, Reading))
    if base_min_w - slack_w <= rest_w <= base_max_w + slack_w:
        return ""
    return f"{rest_w:.0f} W of base load, only {base_min_w:.0f}..{base_max_w:.0f} W are possible"


class EnergyCheck:
    """Compares a meter's counters with its own power over windows of at least ``MIN_MOVED_WH``."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._power: Reading | None = None
        self._net_wh = 0.0
        self._moved_wh = 0.0
        self.verdict = ""

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


def judged(values: dict[str, Measured], energy: EnergyCheck) -> dict[str, Measured]:
    """A meter's values with the powers made Unknown where they cannot be true."""
    power = values.get("power_w", Unknown("not measured"))
    phases = [values.get(f"power_l{phase}_w", Unknown("not measured")) for phase in (1, 2, 3)]
    unknown = Unknown("not counted")
    why = sum_verdict(power, phases) or energy.take(
        power, values.get("energy_import_wh", unknown), values.get("energy_export_wh", unknown)
    )
    if not why:
        return values
    return values | {name: Unknown(why) for name in ("power_w", "power_l1_w", "power_l2_w", "power_l3_w") if name in values}
