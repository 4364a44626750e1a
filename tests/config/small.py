"""A whole small site file for tests: two chargers, a relay, a meter, a bus; and a way to break it."""

from typing import Any

import tomli

from v2g_edge import config
from v2g_edge.config.load import settle
from v2g_edge.config.problems import ConfigError, Problem

TEXT = """
[site]
name = "small"
timezone = "Europe/Amsterdam"
meters = ["grid"]
contacts = ["relay"]

[grid]
code = "vde_ar_n_4105_2018"
nominal_v = 230.0
nominal_hz = 50.0
relay = "relay"
meter = "grid"
export_allowed = true

[[feeders]]
id = "main"
parent = ""
import_limit_w = 100000.0
export_limit_w = 100000.0
base_load_max_w = 10000.0
base_load_min_w = 0.0
meter = "grid"
current = { import_a = 145.0, export_a = 145.0, imbalance_a = 20.0, base_load_a = 20.0 }

[[feeders]]
id = "hall"
parent = "main"
import_limit_w = 90000.0
export_limit_w = 90000.0
base_load_max_w = 5000.0
base_load_min_w = -5000.0
meter = ""

[[evses]]
id = "A"
feeder = "hall"
max_charge_w = 50000.0
max_discharge_w = 50000.0
min_charge_w = 4140.0
fallback_w = 4140.0
phases = "L1L2L3"
dead_man = "ocpp_profile"
discharge_by = "negative_limit"

[[evses]]
id = "B"
feeder = "hall"
max_charge_w = 7400.0
max_discharge_w = 0.0
min_charge_w = 1380.0
fallback_w = 0.0
phases = "L2"
dead_man = "modbus_watchdog"
discharge_by = "none"

[[vehicle_types]]
id = "bus"
capacity_wh = 200000.0
min_soc_pct = 20.0
max_soc_pct = 95.0
charge_curve = [[0.0, 200000.0], [80.0, 200000.0], [100.0, 20000.0]]
max_discharge_w = 100000.0
depth_per_event_pct = 40.0
depth_per_day_pct = 60.0
pack_min_c = -10.0
pack_max_c = 50.0
derate_from_c = 40.0
soh_floor_pct = 70.0
warranty_discharge_wh = 1e12
warranty_discharge_h = 1e12
warranty_efc = 1e12

[[vehicles]]
id = "bus-1"
type = "bus"
may_discharge = true

[[listeners]]
port = 0
security_profile = 0

[[stations]]
identity = "CP-A"
outlets = [{ evse = "A" }]

[[lines]]
id = "field"
host = "192.0.2.10"

[[devices]]
id = "meter"
line = "field"
role = "meter"
target = "grid"
map = "sunspec"

[[devices]]
id = "relay"
line = "field"
role = "contact"
target = "relay"
map = "relay"
unit = 2

[[devices]]
id = "charger-b"
line = "field"
role = "charger"
target = "B"
map = "quasar1"
unit = 3
"""


def document() -> dict[str, Any]:
    """The file as plain values."""
    return tomli.loads(TEXT)


def set_key(whole: dict[str, Any], path: str, value: Any) -> None:
    """Set one key, or remove it (None); array entries go by place: "evses.0.fallback_w"."""
    target: Any = whole
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
    place: Any = int(last) if isinstance(target, list) else last
    if value is None:
        del target[place]
    else:
        target[place] = value


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one key set."""
    whole = document()
    set_key(whole, path, value)
    return whole


def problems_of(plain: dict[str, Any]) -> list[Problem]:
    """All problems of a document; empty when it can be used."""
    try:
        settle(plain, [], "site.toml")
    except ConfigError as error:
        return error.problems
    return []


__all__ = ["TEXT", "changed", "config", "document", "problems_of", "set_key"]
