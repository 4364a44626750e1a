"""Energy between two samples of a meter's register, and what stands in where the register cannot be believed.

A register only grows. One that fell has rolled over, was exchanged, or restarted with a session; one that
leapt counted something else. What flowed then is the power that was measured meanwhile.
"""

from typing import Final, NamedTuple

WRAPS_WH: Final = (1e8, 1e9, 1e10, 1e11, 2.0**32, 2.0**32 * 10.0)
"""Where registers roll over: 5 to 8 digits of kWh, or 32 bits of Wh or of 10 Wh."""
NEAR_WRAP: Final = 0.98
"""A register in the last fiftieth of its range may have rolled over."""
STEP_WH: Final = 1_000.0
"""Coarsest step of a register that is met in the field: whole kWh."""
POWER_MARGIN: Final = 1.25
"""A charger may draw this much of its rating for a while: power above it is no power."""


class Passed(NamedTuple):
    """``wh`` flowed. ``kind`` "" where the register says so, else what is the matter with it."""

    wh: float
    kind: str
    text: str


def passed(old_wh: float, new_wh: float, hours: float, most_w: float, by_power_wh: float) -> Passed:
    """What flowed while the register went from ``old_wh`` to ``new_wh`` in ``hours``.

    ``most_w`` is the meter's largest power, ``by_power_wh`` what its power amounts to in that time.
    """
    delta_wh, room_wh = new_wh - old_wh, most_w * POWER_MARGIN * max(hours, 0.0) + STEP_WH
    if 0.0 <= delta_wh <= room_wh:
        return Passed(delta_wh, "", "")
    stands_in = f"{by_power_wh / 1e3:.3f} kWh by measured power stand in"
    if delta_wh > room_wh:
        text = f"register leapt from {old_wh / 1e3:.3f} to {new_wh / 1e3:.3f} kWh; {stands_in}"
        return Passed(by_power_wh, "jump", text)
    for wrap_wh in WRAPS_WH:
        if NEAR_WRAP * wrap_wh <= old_wh <= wrap_wh and delta_wh + wrap_wh <= room_wh:
            text = f"register rolled over at {wrap_wh / 1e3:.0f} kWh; {(delta_wh + wrap_wh) / 1e3:.3f} kWh"
            return Passed(delta_wh + wrap_wh, "rollover", text)
    text = f"register fell from {old_wh / 1e3:.3f} to {new_wh / 1e3:.3f} kWh: exchanged, or set back;"
    return Passed(by_power_wh, "exchange", f"{text} {stands_in}")
