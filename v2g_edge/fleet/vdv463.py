"""VDV 463 messages: frames and charging requests of a depot management system. No socket and no clock.

A frame is a JSON array of seven (kind, source, presystem, timestamp, message id, action, payload); some peers
send an object with the same names instead, and get their answers in the same form. Kinds: 1 request, 2
confirmation, 3 error. The list of charging requests is the whole truth of its presystem: what the next list
does not hold is withdrawn.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from v2g_edge import bounded_json
from v2g_edge.model.mission import Mission

SUBPROTOCOL: Final = "v1.463.vdv.de"
NAMES: Final = ("messageType", "source", "presystemId", "timeStamp", "messageId", "messageAction", "payload")
"""Keys of the object form, in the order of the array form."""
KINDS: Final = {1: "request", 2: "confirmation", 3: "error"}
FRAME_MAX: Final = 2 << 20
"""A list of 2,000 requests is 1 MB."""
REQUESTS_MAX: Final = 5_000
TEXT_MAX: Final = 200
PAST_S: Final = 86_400.0
AHEAD_S: Final = 400 * 86_400.0
"""A departure more than a day ago belongs to another list; a time more than a year away is a wrong year."""
PRIORITY_MAX: Final = 1_000_000

Form = Literal["array", "object"]


class BadFrame(ValueError):  # noqa: N818 - names the fault of a frame
    """The frame is not of VDV 463; the message says why."""


class Frame(NamedTuple):
    """One message. ``form`` is how the peer writes frames."""

    kind: int
    source: str
    presystem: str
    message_id: str
    action: str
    payload: dict[str, Any]
    form: Form = "array"


class Rejected(NamedTuple):
    """A request that cannot be taken, with the reason for the peer and for people."""

    request: str
    reason: str


def parse_frame(text: str | bytes) -> Frame:
    """A frame in either form. Raises ``BadFrame``."""
    if len(text) > FRAME_MAX:
        raise BadFrame(f"{len(text)} octets; allowed are {FRAME_MAX}")
    try:
        document = bounded_json.decode(text)
    except (ValueError, RecursionError) as fault:
        raise BadFrame(f"no JSON: {fault}") from fault
    form: Form = "array"
    if isinstance(document, Mapping):
        form, document = "object", [document.get(name) for name in NAMES]
    if not isinstance(document, list) or len(document) != len(NAMES):
        raise BadFrame(f"expected an array of {len(NAMES)} or an object with {', '.join(NAMES)}")
    kind, source, presystem, _, message_id, action, payload = document
    kind = {"1": 1, "2": 2, "3": 3}.get(_text(kind), 0)
    if kind == 0:
        raise BadFrame(f"message type {_text(document[0])!r}; allowed: 1 request, 2 confirmation, 3 error")
    texts = {"source": source, "presystemId": presystem, "messageId": message_id, "messageAction": action}
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) > TEXT_MAX:
            said = f"{value[:60]!r}" if isinstance(value, str) else type(value).__name__
            raise BadFrame(f"{name} is {said}; expected a text of at most {TEXT_MAX} characters")
    if not isinstance(payload, dict):
        raise BadFrame(f"payload is {type(payload).__name__}; expected an object")
    return Frame(kind, source, presystem, message_id, action, payload, form)


def write_frame(frame: Frame, wall_s: float) -> str:
    """A frame as text, in the form that its peer uses."""
    stamp = f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    parts = [frame.kind, frame.source, frame.presystem, stamp, frame.message_id, frame.action, frame.payload]
    return json.dumps(
        parts if frame.form == "array" else dict(zip(NAMES, parts, strict=True)), ensure_ascii=False
    )


def confirm(frame: Frame, payload: dict[str, Any]) -> Frame:
    """The confirmation of a request."""
    return frame._replace(kind=2, source="CMS", payload=payload)


def refuse(frame: Frame, text: str) -> Frame:
    """The error that answers a request."""
    return frame._replace(kind=3, source="CMS", payload={"errorMessage": text})


def read_requests(
    payload: Mapping[str, Any],
    presystem: str,
    wall_s: float,
    vehicles: Mapping[str, str],
    points: Mapping[str, str],
) -> tuple[list[Mission], list[Rejected]]:
    """Missions and rejections of a ``ProvideChargingRequests``.

    ``vehicles`` and ``points`` give our id for each id that the peer may use. Raises ``BadFrame`` where there
    is no list.
    """
    requests = payload.get("chargingRequestList", [])
    if not isinstance(requests, list):
        raise BadFrame(f"chargingRequestList is {type(requests).__name__}; expected a list")
    if len(requests) > REQUESTS_MAX:
        raise BadFrame(f"{len(requests)} charging requests; allowed are {REQUESTS_MAX}")
    missions: list[Mission] = []
    rejected: list[Rejected] = []
    for request in requests:
        if not isinstance(request, Mapping):
            rejected.append(Rejected("", f"a request is {type(request).__name__}; expected an object"))
            continue
        name = _text(request.get("chargingRequestId", ""))
        try:
            missions.append(_mission(request, name, presystem, wall_s, vehicles, points))
        except ValueError as fault:
            rejected.append(Rejected(name, str(fault)))
    return missions, rejected


def _mission(
    request: Mapping[str, Any],
    name: str,
    presystem: str,
    wall_s: float,
    vehicles: Mapping[str, str],
    points: Mapping[str, str],
) -> Mission:
    if not name:
        raise ValueError("chargingRequestId is missing")
    named = _text(request.get("vehicleId", ""))
    vehicle = vehicles.get(named)
    if vehicle is None:
        raise ValueError(f"vehicle {named[:40]!r} is not known here")
    point = _text(request.get("chargingPointId") or "")
    if point and point not in points:
        raise ValueError(f"charging point {point[:40]!r} is not known here")
    data = request.get("chargingRequestData")
    if not isinstance(data, Mapping):
        raise ValueError("chargingRequestData is missing")
    low, high = _percent(data, "minTargetSoc"), _percent(data, "maxTargetSoc")
    if low > high:
        raise ValueError(f"minTargetSoc {low:g} % is above maxTargetSoc {high:g} %")
    departure = _time(data, "requestedTimeForDeparture", wall_s, PAST_S)
    return Mission(
        vehicle=vehicle,
        source=f"vdv463:{presystem}",
        request=name,
        departure_wall_s=departure,
        min_soc_pct=low,
        max_soc_pct=high,
        arrival_wall_s=_time(data, "expectedArrivalTimeAtChargingPoint", wall_s, AHEAD_S),
        point=points.get(point, ""),
        priority=_priority(request.get("priority", 0)),
        received_wall_s=wall_s,
    )


def _percent(data: Mapping[str, Any], name: str) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {_text(value)[:40]!r}; expected a percentage")
    if not 0 <= value <= 100:  # an int has no end, and not every one is a float
        raise ValueError(f"{name} is {_text(value)[:40]}; allowed are 0 to 100 %")
    if 0 < value <= 1:
        raise ValueError(f"{name} is {value:g}; is {value * 100:g} % meant?")
    return float(value)


def _priority(value: Any) -> int:
    """Larger goes first; what is no whole number of a usual size counts as none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return max(min(value, PRIORITY_MAX), -PRIORITY_MAX)


def _text(value: Any) -> str:
    """An identifier as it is kept and shown: a text of bounded length on one line, a number as its digits;
    anything else by its type.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() <= 64 else "a very long number"
    if isinstance(value, float):
        value = f"{value:g}"
    if not isinstance(value, str):
        value = "" if value is None else f"({type(value).__name__})"
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value[:TEXT_MAX])


def _time(data: Mapping[str, Any], name: str, wall_s: float, past_s: float) -> float | None:
    """UTC epoch seconds; None where it is left out. A time without an offset is refused: it could mean two
    things.
    """
    value = data.get(name)
    if value in (None, ""):
        return None
    said = _text(value)
    try:
        time = datetime.fromisoformat(said)
    except ValueError as fault:
        raise ValueError(f"{name} is {said[:40]!r}; expected a time like 2026-11-27T04:45:00Z") from fault
    if time.tzinfo is None:
        raise ValueError(
            f"{name} is {said[:40]!r}, without a time zone; expected one like 2026-11-27T04:45:00Z"
        )
    if time.timestamp() < wall_s - past_s:
        raise ValueError(f"{name} {said[:40]} is more than {'a day' if past_s == PAST_S else 'a year'} ago")
    if time.timestamp() > wall_s + AHEAD_S:
        raise ValueError(f"{name} {said[:40]} is more than {AHEAD_S / 86_400.0:g} days ahead")
    return time.timestamp()


def is_presystem(name: str) -> bool:
    """Whether a name can stand in a path and in a log."""
    return re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", name) is not None
