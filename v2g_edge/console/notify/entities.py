"""The depot as devices of Home Assistant (MQTT discovery): which entities there are, and their states. Pure
values.

Identifiers come from the site's own ids, never from places in a list, so that an entity keeps its history.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from v2g_edge import __version__

EXPIRE_S: Final = 30
"""Three times the publishing period: an older value is shown as unknown."""
ORDERS: Final[dict[str, dict[str, bool]]] = {
    "stop": {"stop": True},
    "hold": {"export_hold": True},
    "release": {"stop": False, "export_hold": False},
}
Component = dict[str, Any]


def slug(text: str) -> str:
    """An id as MQTT topics and Home Assistant take it: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def base_topic(site: str) -> str:
    """The topics of one depot lie below this one."""
    return f"v2g-edge/{slug(site)}"


def _number(name: str, key: str, unit: str, kind: str) -> Component:
    """A measured number with its class."""
    shown = {"unit_of_measurement": unit, "device_class": kind, "state_class": "measurement"}
    return {"platform": "sensor", "name": name, "key": key, **shown}


DEPOT: Final[tuple[Component, ...]] = (
    _number("Grid power", "power_w", "W", "power"),
    _number("Grid frequency", "frequency_hz", "Hz", "frequency"),
    {"platform": "sensor", "name": "Needs a person", "key": "needs"},
    {"platform": "binary_sensor", "name": "Alarm", "key": "alarm", "device_class": "problem"},
    {"platform": "binary_sensor", "name": "Stop", "key": "stop", "device_class": "running"},
)
CHARGER: Final[tuple[Component, ...]] = (
    _number("Power", "power_w", "W", "power"),
    _number("Permitted power", "permit_w", "W", "power"),
    _number("SoC", "soc_pct", "%", "battery"),
    _number("Target SoC", "target_soc_pct", "%", "battery"),
    {"platform": "sensor", "name": "Vehicle", "key": "vehicle"},
    {"platform": "sensor", "name": "Why", "key": "why"},
    {"platform": "sensor", "name": "Leaves", "key": "leaves", "device_class": "timestamp"},
    {"platform": "sensor", "name": "Ready", "key": "ready", "device_class": "timestamp"},
    {"platform": "binary_sensor", "name": "Plugged in", "key": "plugged", "device_class": "plug"},
)
FEEDER: Final[tuple[Component, ...]] = (
    _number("Power", "power_w", "W", "power"),
    _number("Free for charging", "free_w", "W", "power"),
)


def discovery(status: Mapping[str, Any], prefix: str, *, orders: bool) -> dict[str, bytes]:
    """The retained message of each device, by topic."""
    site, base = slug(status["site"]), base_topic(status["site"])
    found = {}
    depot = _device(site, status["site"], "depot", "", DEPOT, base)
    if orders:
        depot["components"] |= {
            name: {
                "platform": "button",
                "name": name.capitalize(),
                "unique_id": f"{site}_order_{name}",
                "command_topic": f"{base}/order",
                "payload_press": name,
                "qos": 1,
                "retain": False,
            }
            for name in ORDERS
        }
    found[f"{prefix}/device/{site}/config"] = depot
    for room, entities, rows in (
        ("evse", CHARGER, status["evses"]),
        ("feeder", FEEDER, status.get("feeders", [])),
    ):
        for row in rows:
            device = _device(site, row["id"], room, row["id"], entities, base)
            found[f"{prefix}/device/{site}_{room}_{slug(row['id'])}/config"] = device
    return {topic: msgspec.json.encode(device) for topic, device in found.items()}


def _device(
    site: str, name: str, room: str, ident: str, entities: tuple[Component, ...], base: str
) -> dict[str, Any]:
    own = f"{site}_{room}_{slug(ident)}" if ident else site
    device: dict[str, Any] = {"identifiers": [own], "name": name, "manufacturer": "v2g-edge", "model": room}
    if ident:
        device["via_device"] = site
    availability = [{"topic": f"{base}/availability"}]
    if room == "evse":
        availability.append({"topic": f"{base}/{room}/{slug(ident)}/link"})
    return {
        "device": device,
        "origin": {"name": "v2g-edge", "sw_version": __version__},
        "availability": availability,
        "availability_mode": "all",
        "state_topic": f"{base}/{room}/{slug(ident)}" if ident else f"{base}/depot",
        "components": {each["key"]: _entity(each, own) for each in entities},
    }


def _entity(each: Component, own: str) -> Component:
    key = each["key"]
    entity = {name: value for name, value in each.items() if name != "key"}
    entity["unique_id"] = f"{own}_{key}"
    entity["default_entity_id"] = f"{each['platform']}.{own.lower().replace('-', '_')}_{key}"
    entity["value_template"] = "{{ value_json." + key + " }}"
    entity["expire_after"] = EXPIRE_S
    return entity


def states(status: Mapping[str, Any]) -> dict[str, bytes]:
    """The present state of each device, by topic. They are not retained: an old value must not look new."""
    base = base_topic(status["site"])
    needs = [need for need in status.get("attention", []) if not need.get("waits")]
    depot = {
        "power_w": status["grid"]["power_w"],
        "frequency_hz": status["grid"]["frequency_hz"],
        "needs": len(needs),
        "alarm": _on(bool(needs)),
        "stop": _on(bool(status["operator"]["stop"])),
    }
    found: dict[str, Any] = {f"{base}/depot": depot}
    links = {}
    for evse in status["evses"]:
        topic = f"{base}/evse/{slug(evse['id'])}"
        plain = {
            key: evse[key] for key in ("power_w", "permit_w", "soc_pct", "target_soc_pct", "vehicle", "why")
        }
        plain |= {"leaves": _time(evse["departure_wall_s"]), "ready": _time(evse["ready_wall_s"])}
        found[topic] = plain | {"plugged": _on(evse["vehicle"] is not None)}
        links[f"{topic}/link"] = b"online" if evse["connected"] else b"offline"
    for feeder in status.get("feeders", []):
        found[f"{base}/feeder/{slug(feeder['id'])}"] = {key: feeder[key] for key in ("power_w", "free_w")}
    return {topic: msgspec.json.encode(state) for topic, state in found.items()} | links


def _on(value: bool) -> str:
    return "ON" if value else "OFF"


def _time(wall_s: float | None) -> str | None:
    return None if wall_s is None else datetime.fromtimestamp(wall_s, UTC).isoformat()
