"""docs/asyncapi.json, made from the cloud's messages as the code has them: ``python -m tests.pages.asyncapi``
writes it. Each message has its JSON Schema in it.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.depot import healthy, small_site
from v2g_edge import __version__
from v2g_edge.cloud.inbox import REASONS, PlanMessage
from v2g_edge.cloud.sending import EventAck
from v2g_edge.cloud.signals import SignalMessage
from v2g_edge.cloud.topics import NAMES
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.departure.flexibility import Flexibility
from v2g_edge.model.event import Event
from v2g_edge.study.explain import describe_status

TARGET: Final = Path(__file__).parents[2] / "docs" / "asyncapi.json"
REFERENCE: Final = "#/components/schemas/{name}"
IN: Final = frozenset({"plan", "signal", "events/ack"})
"""Topics that the depot reads; it writes all others."""
ABOUT: Final = {
    "plan": "A plan, as JSON or as a compact JWS over it",
    "plan/request": "Connected; the newest plan that was taken",
    "plan/ack": "The verdict on a plan",
    "telemetry": "The state of the depot",
    "telemetry/past": "The state at a time when the broker was away",
    "events": "Something that happened",
    "events/ack": "The events that the cloud has stored",
    "status": "Whether the depot is connected",
    "signal": "A signal for a service: a compact JWS over it",
    "flexibility": "What the depot could give or take, by how long it would have to hold it",
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _told(value: Any) -> dict[str, Any]:
    """The schema of a value that may be unknown (null); a list may be empty."""
    if isinstance(value, dict):
        properties = {key: _told(each) for key, each in value.items()}
        return {"type": ["object", "null"], "properties": properties}
    if isinstance(value, list):
        return {"type": "array", "items": _told(value[0])} if value else {"type": "array"}
    if value is None:
        return {}
    kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    return {"type": [kind, "null"]}


def _telemetry() -> dict[str, Any]:
    site = small_site()
    picture = healthy(site)
    status = describe_status(site, picture, None, Cycle(site).tick(picture, None, Memory()))
    return {**_told(status), "required": sorted(status)}


def schemas() -> dict[str, Any]:
    """By topic, and the parts that these refer to by name."""
    kinds = (PlanMessage, SignalMessage, EventAck, Event, Flexibility)
    named, parts = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    plan, signal, ack, event, interval = named
    parts = {
        name: {**part, "description": _line(part.get("description", ""))} for name, part in parts.items()
    }
    numbered = parts["Event"]
    numbered["properties"] = {"id": {"type": "string"}, "seq": {"type": "integer"}, **numbered["properties"]}
    numbered["required"] = ["id", "seq", *numbered["required"]]
    revision = {"type": ["integer", "null"]}
    verdict = _object(at={"type": "string", "format": "date-time"}, revision=revision,
                      result={"enum": ["accepted", "refused"]})  # fmt: skip
    verdict["properties"] |= {"reason": {"enum": list(REASONS)}, "text": {"type": "string"}}
    return {
        **parts,
        "plan": plan, "signal": signal, "events_ack": ack, "events": event, "plan_ack": verdict,
        "plan_request": _object(revision=revision), "status": _object(online={"type": "boolean"}),
        "telemetry": _telemetry(), "telemetry_past": {"$ref": REFERENCE.format(name="telemetry")},
        "flexibility": _object(wall_s={"type": "number"}, intervals={"type": "array", "items": interval}),
    }  # fmt: skip


def _line(text: str) -> str:
    """The first sentence of a docstring, without its markup."""
    return " ".join(text.split("Attributes:", maxsplit=1)[0].replace("``", "").split())


def document() -> dict[str, Any]:
    """AsyncAPI 3.0."""
    channels, operations, messages = {}, {}, {}
    for topic in NAMES:
        name = topic.replace("/", "_")
        messages[name] = {
            "summary": ABOUT[topic],
            "contentType": "application/json",
            "payload": {"$ref": REFERENCE.format(name=name)},
        }
        channels[name] = {
            "address": f"{{topic_prefix}}/{{site_id}}/{topic}",
            "parameters": {
                "topic_prefix": {"default": "v2g-edge", "description": "cloud.topic_prefix"},
                "site_id": {"description": "cloud.site_id, or the name of the depot"},
            },
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[name] = {
            "action": "receive" if topic in IN else "send",
            "channel": {"$ref": f"#/channels/{name}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "v2g-edge: a depot and its cloud",
            "version": __version__,
            "description": "Seen from the depot: it sends and receives. docs/cloud.md says what it means.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas()},
    }


def rendered() -> str:
    """The file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
