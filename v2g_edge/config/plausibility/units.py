"""Numbers that look like another unit: a share for percent, kW for W, kWh for Wh, phase to phase for phase
to neutral.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from v2g_edge.config.layout import SiteFile, keys_of
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.config.schema import is_list, key_of, part_of
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Feeder, VehicleType

UNIT_MEND: Final = " in another unit."
"""How every advice here ends: it says more about a key than what follows from the wrong number."""
LEAST_W: Final[dict[str, float]] = {
    "max_charge_w": 1_000.0,
    "max_discharge_w": 500.0,
    "min_charge_w": 200.0,
    "min_discharge_w": 50.0,
    "fallback_w": 200.0,
    "droop_w": 100.0,
    "import_limit_w": 1_500.0,
    "export_limit_w": 700.0,
    "base_load_max_w": 100.0,
    "base_load_min_w": 100.0,
    "obey_tolerance_w": 20.0,
    "ramp_up_w_per_s": 50.0,
}
"""Below this a power other than 0 is probably in kW: 6 A at 230 V is 1380 W, a meter's own noise some ten
W.
"""
MOST_W: Final[dict[str, float]] = {
    "max_charge_w": 4.0e6,
    "max_discharge_w": 4.0e6,
    "import_limit_w": 3.0e7,
    "export_limit_w": 3.0e7,
}
"""Above this it is probably in mW: the Megawatt Charging System ends at 3.75 MW, a large depot's
connection at some 20 MW.
"""
LEAST_WH: Final = 5_000.0
MOST_WH: Final = 1.5e6
"""Batteries of road vehicles: from a light quadricycle to a mining truck."""
WHOLE_SHARES: Final = frozenset(
    {"target_soc_pct", "max_soc_pct", "sustained_pct", "depth_per_event_pct", "depth_per_day_pct"}
)
"""Percents of which 1 is hardly meant."""
PHASE_V: Final = ((100.0, 130.0), (215.0, 255.0), (265.0, 290.0), (340.0, 350.0))
"""Phase-to-neutral voltages of the world's low-voltage grids (IEC 60038): 100-127, 220-240, 277, 347 V."""
SQRT_3: Final = 1.732
CURVE_LEAST_W: Final = 1_000.0
CELSIUS_MOST: Final = 80.0


def odd_units(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Numbers of every table by the unit of their key, and the few that need the value beside them."""
    for field in keys_of(SiteFile):
        part = part_of(field.type)
        value = getattr(plan, field.name)
        for entry in value if is_list(field.type) else (value,):
            if part is not None:
                yield from _table(part, entry, _path(field.name, entry), file)
    yield from _volts(plan.grid.nominal_v, file)
    for kind in plan.vehicle_types:
        yield from _vehicle_type(kind, file)
    for feeder in plan.feeders:
        yield from _amperes(feeder, plan.grid.nominal_v, file)


def _path(table: str, entry: Any) -> str:
    name = getattr(entry, "id", getattr(entry, "identity", ""))
    return f"{table}.{name}" if name else table


def _table(struct: type[Struct], entry: Any, path: str, file: str) -> Iterator[Problem]:
    for field in keys_of(struct):
        value, key = getattr(entry, field.name), f"{path}.{field.name}"
        if isinstance(value, bool) or not isinstance(value, int | float) or value == field.default:
            continue
        if key_of(struct, field.name).unit == "%":
            yield from _percent(field.name, value, key, file)
        yield from _power(field.name, value, key, file)


def _percent(name: str, value: float, key: str, file: str) -> Iterator[Problem]:
    if 0.0 < value < 1.0 or (value == 1.0 and name in WHOLE_SHARES):
        mend = f"Is {value * 100.0:g} % meant? Then {value:g} is{UNIT_MEND}"
        yield odd(file, key, f"{value:g} %", "percent, from 0 to 100", mend)


def _power(name: str, value: float, key: str, file: str) -> Iterator[Problem]:
    unit = "W/s" if name == "ramp_up_w_per_s" else "W"
    if name in LEAST_W and 0.0 < abs(value) < LEAST_W[name]:
        mend = f"Are {value * 1_000.0:.12g} {unit} meant? Then {value:g} is{UNIT_MEND}"
        yield odd(file, key, f"{value:g} {unit}", f"{LEAST_W[name]:g} {unit} or more", mend)
    if name in MOST_W and value > MOST_W[name]:
        mend = f"Are {value / 1_000.0:.12g} {unit} meant? Then {value:.12g} is{UNIT_MEND}"
        yield odd(file, key, f"{value:.12g} {unit}", f"at most {MOST_W[name]:.12g} {unit}", mend)


def is_phase_voltage(volts: float) -> bool:
    """Whether a grid of this phase-to-neutral voltage is known."""
    return any(low <= volts <= high for low, high in PHASE_V)


def _volts(nominal_v: float, file: str) -> Iterator[Problem]:
    if is_phase_voltage(nominal_v):
        return
    neutral_v = nominal_v / SQRT_3
    mend = "Look at the connection's papers."
    if is_phase_voltage(neutral_v):
        mend = f"Between two phases? Phase to neutral that is {neutral_v:.0f} V."
    yield odd(
        file, "grid.nominal_v", f"{nominal_v:g} V", "phase to neutral: 120, 230, 240, 277 or 347 V", mend
    )


def _vehicle_type(kind: VehicleType, file: str) -> Iterator[Problem]:
    path = f"vehicle_types.{kind.id}"
    if not LEAST_WH <= kind.capacity_wh <= MOST_WH:
        times = 1_000.0 if kind.capacity_wh < LEAST_WH else 1e-3
        mend = f"Are {kind.capacity_wh * times:.12g} Wh meant?"
        yield odd(file, f"{path}.capacity_wh", f"{kind.capacity_wh:.12g} Wh", "5 kWh to 1500 kWh", mend)
    most_w = max(point.power_w for point in kind.charge_curve)
    if 0.0 < most_w < CURVE_LEAST_W:
        mend = f"Are {most_w:g} kW meant? Write [SoC in %, power in W], like [0.0, {most_w * 1_000.0:.12g}]."
        yield odd(file, f"{path}.charge_curve", f"at most {most_w:g} W", "1000 W or more", mend)
    socs = [point.soc_pct for point in kind.charge_curve]
    if len(socs) > 1 and max(socs) <= 1.0:
        mend = "Write SoC in percent: 0.8 is 80."
        yield odd(file, f"{path}.charge_curve", f"SoC up to {max(socs):g} %", "SoC from 0 to 100 %", mend)
    for name, low, high in (
        ("pack_min_c", -41.0, 25.0),
        ("pack_max_c", 30.0, CELSIUS_MOST),
        ("derate_from_c", 20.0, CELSIUS_MOST),
    ):
        value = getattr(kind, name)
        if abs(value) < ANY_W and not low <= value <= high:
            mend = "Is it in °F?" if value > high else "Look at the vehicle's papers."
            yield odd(file, f"{path}.{name}", f"{value:g} °C", f"{low:g} to {high:g} °C", mend)


def _amperes(feeder: Feeder, nominal_v: float, file: str) -> Iterator[Problem]:
    """Watts and amperes of one feeder speak of one cable."""
    if feeder.current is None or not is_phase_voltage(nominal_v):
        return
    for name, limit_w, limit_a in (
        ("import", feeder.import_limit_w, feeder.current.import_a),
        ("export", feeder.export_limit_w, feeder.current.export_a),
    ):
        by_current_w = 3.0 * nominal_v * limit_a
        if limit_w <= 0.0 or by_current_w <= 0.0 or 0.4 <= by_current_w / limit_w <= 3.0:
            continue
        usual = f"{limit_w / 3.0 / nominal_v:.0f} A a phase carry the {limit_w:.0f} W of {name}_limit_w"
        mend = "Is one of the two in another unit? The smaller one holds."
        yield odd(file, f"feeders.{feeder.id}.current.{name}_a", f"{limit_a:g} A a phase", usual, mend)
