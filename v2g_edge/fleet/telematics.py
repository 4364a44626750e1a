"""What a telematics system says of a vehicle: one JSON object, read and checked. Pure: no socket, no clock.

Every field is optional but ``vehicle`` and ``at``. A field is a value, or ``{"value": …, "at": …}`` where it
was measured at another time than the rest. Unknown fields are passed over. One that is out of its range, in
another unit, of the future, or too old is refused by name, and spoils no other.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from v2g_edge import bounded_json
from v2g_edge.model.mission import Mission

OCTETS_MAX: Final = 16 << 10
"""Octets of one message: one of all fields has 600."""

FUTURE_S: Final = 120.0
"""A time further ahead of our clock than this is wrong: vehicles set their clocks by GNSS or the network."""

OLD_S: Final = 24 * 3_600.0
"""What is older says nothing of tonight."""

DEPARTURE_MAX_S: Final = 14 * 86_400.0
TEXT_MAX: Final = 64


class BadState(ValueError):  # noqa: N818 - names the fault of a message
    """The whole message cannot be used; the text says what was found and what is allowed."""


class Field(NamedTuple):
    """A field: our name of it, the factor to our unit, and what it may be in the message's own unit."""

    name: str
    factor: float
    low: float
    high: float


FIELDS: Final[Mapping[str, Field]] = {
    "soc_pct": Field("soc_pct", 1.0, 0.0, 100.0),
    "soh_pct": Field("soh_pct", 1.0, 1.0, 110.0),
    "capacity_kwh": Field("capacity_wh", 1_000.0, 1.0, 5_000.0),
    "battery_temp_c": Field("pack_c", 1.0, -60.0, 120.0),
    "odometer_km": Field("odometer_km", 1.0, 0.0, 10_000_000.0),
    "range_km": Field("range_km", 1.0, 0.0, 5_000.0),
}
FLAGS: Final = frozenset({"plugged", "at_depot"})
MISSION: Final = frozenset({"next_departure", "required_soc_pct", "required_kwh"})
NAMES: Final = ("vehicle", "at", "source", *FIELDS, *sorted(FLAGS), *sorted(MISSION))


class Sample(NamedTuple):
    """One value and when it was measured, UTC epoch seconds."""

    value: float
    at_wall_s: float


class VehicleReport(NamedTuple):
    """What one message says.

    Attributes:
        vehicle: Our id of the vehicle.
        source: The system that says so.
        samples: Values by our field name.
        mission: The next departure; None where the message says none.
        wrong: What of it was refused, in words.
    """

    vehicle: str
    source: str
    samples: dict[str, Sample]
    mission: Mission | None
    wrong: tuple[str, ...]


def read_report(
    data: bytes, ids: Mapping[str, str], wall_s: float, capacities_wh: Mapping[str, float], named: str = ""
) -> VehicleReport:
    """A message. ``ids`` gives our id for each that others use, ``named`` the vehicle where the message does
    not name it. ``BadState`` when nothing of it can be used.
    """
    if len(data) > OCTETS_MAX:
        raise BadState(f"{len(data)} octets; allowed are {OCTETS_MAX}")
    try:
        said = bounded_json.decode(data)
    except (RecursionError, ValueError) as fault:
        raise BadState(f"no JSON: {str(fault)[:80]}; it begins with {data[:20]!r}") from fault
    if not isinstance(said, dict):
        raise BadState(f"a {type(said).__name__}; expected is an object with {', '.join(NAMES)}")
    vehicle = _vehicle(said.get("vehicle") or named, ids)
    at_wall_s = _time(said.get("at"), "at")
    _check_age("at", at_wall_s, wall_s)
    wrong: list[str] = []
    samples: dict[str, Sample] = {}
    for name in (*FIELDS, *sorted(FLAGS)):
        if said.get(name) is None:
            continue
        try:
            ours, sample = _sample(name, said[name], at_wall_s, wall_s)
        except BadState as fault:
            wrong.append(str(fault))
            continue
        samples[ours] = sample
    source = str(said.get("source") or "telematics")[:TEXT_MAX]
    known_wh = samples["capacity_wh"].value if "capacity_wh" in samples else capacities_wh.get(vehicle, 0.0)
    mission = None
    try:
        mission = _mission(said, vehicle, source, wall_s, known_wh)
    except BadState as fault:
        wrong.append(str(fault))
    return VehicleReport(vehicle, source, samples, mission, tuple(wrong))


def _vehicle(said: Any, ids: Mapping[str, str]) -> str:
    ours = ids.get(said) if isinstance(said, str) else None
    if ours is None:
        raise BadState(f"vehicle {_shown(said)} is not in the site file")
    return ours


def _time(said: Any, name: str) -> float:
    """ISO 8601 with an offset, or UTC epoch seconds. Milliseconds are not guessed."""
    if isinstance(said, str):
        try:
            moment = datetime.fromisoformat(said.strip().upper())
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return moment.timestamp()
    elif isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said):
        return float(said)
    allowed = 'allowed are such as "2026-11-28T12:00:00Z" (with an offset) or UTC epoch seconds'
    raise BadState(f"{name} is {_shown(said)}; {allowed}")


def _check_age(name: str, at_wall_s: float, wall_s: float) -> None:
    if at_wall_s > wall_s + FUTURE_S:
        raise BadState(f"{name} lies {at_wall_s - wall_s:.0f} s in the future; is it in milliseconds?")
    if at_wall_s < wall_s - OLD_S:
        raise BadState(f"{name} is {(wall_s - at_wall_s) / 3_600.0:.0f} h old; a day is allowed")


def _sample(name: str, said: Any, at_wall_s: float, wall_s: float) -> tuple[str, Sample]:
    if isinstance(said, dict):
        own_wall_s = _time(said.get("at"), f"{name}.at") if said.get("at") is not None else at_wall_s
        _check_age(f"{name}.at", own_wall_s, wall_s)
        at_wall_s, said = own_wall_s, said.get("value")
    if name in FLAGS:
        if not isinstance(said, bool):
            raise BadState(f"{name} is {_shown(said)}; allowed are true and false")
        return name, Sample(float(said), at_wall_s)
    field = FIELDS[name]
    if isinstance(said, bool) or not isinstance(said, int | float) or not field.low <= said <= field.high:
        allowed = f"a number from {field.low:g} to {field.high:g}"
        raise BadState(f"{name} is {_shown(said)}; allowed is {allowed}")
    return field.name, Sample(said * field.factor, at_wall_s)


def _mission(
    said: Mapping[str, Any], vehicle: str, source: str, wall_s: float, capacity_wh: float
) -> Mission | None:
    if all(said.get(name) is None for name in MISSION):
        return None
    departure = None
    if said.get("next_departure") is not None:
        departure = _time(said["next_departure"], "next_departure")
        if not wall_s - OLD_S < departure < wall_s + DEPARTURE_MAX_S:
            raise BadState("next_departure is not within the next 14 days; is it in milliseconds?")
    need = said.get("required_soc_pct")
    if need is None and (energy := said.get("required_kwh")) is not None:
        if not _is_number(energy, 0.0, 5_000.0) or capacity_wh <= 0.0:
            raise BadState(f"required_kwh is {_shown(energy)}: a capacity must be known, too")
        need = energy * 1_000.0 / capacity_wh * 100.0
        if need > 100.0:
            raise BadState(f"required_kwh is {energy:g}; the battery holds {capacity_wh / 1e3:g} kWh")
    if need is not None and not _is_number(need, 0.0, 100.0):
        raise BadState(f"required_soc_pct is {_shown(need)}; allowed is a number from 0 to 100")
    if said.get("required_soc_pct") is not None and need is not None and 0.0 < need <= 1.0:
        raise BadState(f"required_soc_pct is {_shown(need)}; is {need * 100.0:g} % meant?")
    return Mission(
        vehicle,
        f"telematics:{source}",
        departure_wall_s=departure,
        min_soc_pct=None if need is None else float(need),
        received_wall_s=wall_s,
    )


def _is_number(said: Any, low: float, high: float) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and low <= said <= high


def _shown(value: Any) -> str:
    """A value as it stood in the message, cut short."""
    return msgspec.json.encode(value).decode()[:TEXT_MAX]
