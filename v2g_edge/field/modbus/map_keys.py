"""What a register map may say: its keys, points, units and believable ranges."""

import math
from typing import Final

UNITS: Final = {
    "W": ("w", 1.0), "kW": ("w", 1e3), "Wh": ("wh", 1.0), "kWh": ("wh", 1e3), "V": ("v", 1.0),
    "A": ("a", 1.0),
    "Hz": ("hz", 1.0), "C": ("c", 1.0), "%": ("pct", 1.0), "permille": ("pct", 0.1), "s": ("s", 1.0),
    "": ("", 1.0),
}  # fmt: skip
"""Unit in a map → the ending that the point's name must have, and the factor to our unit."""

RANGES: Final = {
    "v": (0.0, 1_000.0), "hz": (30.0, 80.0), "w": (-1e9, 1e9), "wh": (0.0, 1e15), "a": (-1e5, 1e5),
    "c": (-60.0, 300.0),
    "pct": (0.0, 100.0), "s": (0.0, 1e6), "": (-math.inf, math.inf),
}  # fmt: skip
"""Widest believable value by ending; a map may narrow it. Frequency reaches well beyond every trip limit
(47-66 Hz).
"""

POINTS: Final = {
    "meter": frozenset(
        [f"{q}_l{n}_{u}" for q, u in (("voltage", "v"), ("power", "w"), ("current", "a")) for n in (1, 2, 3)]
        + ["power_w", "frequency_hz", "energy_import_wh", "energy_export_wh"]
    ),
    "charger": frozenset(
        {
            "power_w",
            "state",
            "connected",
            "soc_pct",
            "capacity_wh",
            "voltage_v",
            "energy_import_wh",
            "energy_export_wh",
            "max_charge_w",
            "max_discharge_w",
            "watchdog_s",
            "pack_c",
        }
    ),
    "temperature": frozenset(["value_c"]),
    "contactor": frozenset(["closed"]),
}
NEEDED: Final = {"meter": ("power_w",), "charger": ("power_w",), "temperature": ("value_c",), "contactor": ()}

MAP_KEYS: Final = frozenset(
    {
        "name",
        "kind",
        "status",
        "source",
        "note",
        "function",
        "word_order",
        "register_grid",
        "frequency_resolution_hz",
        "channel_stride",
        "command_stride",
        "first_channel",
        "least_poll_s",
        "single_phase",
        "blocks",
        "points",
        "states",
        "command",
    }
)
BLOCK_KEYS: Final = frozenset({"address", "count", "every_s", "function", "absolute"})
POINT_KEYS: Final = frozenset(
    {"address", "type", "scale", "offset", "unit", "sign", "low", "high", "nan", "word_order"}
)
TARGET_KEYS: Final = frozenset(
    {"address", "type", "scale", "unit", "sign", "function", "absolute", "word_order"}
)
COMMAND_KEYS: Final = frozenset(
    {
        "setup",
        "setpoint",
        "charge",
        "discharge",
        "start",
        "stop",
        "watchdog",
        "settle_s",
        "min_charge_w",
        "max_watchdog_s",
        "coil",
    }
)
