"""When a vehicle counts as ready: one rule for the night's report, the key figures and the twin."""

from typing import Final

READY_PCT: Final = 0.5
"""Within this of its target a vehicle is ready: SoC is reported in whole percents or halves."""


def lacked_pct(soc_pct: float, target_pct: float) -> float:
    """What lacks of a target, 0 where the vehicle is ready."""
    lacked = target_pct - soc_pct
    return lacked if lacked > READY_PCT else 0.0
