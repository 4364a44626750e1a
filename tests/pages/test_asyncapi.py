"""docs/asyncapi.json is what the code does; its schemas take what is sent and what docs/cloud.md shows."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from msgspec import to_builtins

from tests.cloud.plans import WALL_S, plan_dict
from tests.cloud.test_docs import EXAMPLES
from tests.depot import healthy, small_site
from tests.pages.asyncapi import TARGET, document, rendered
from v2g_edge.cloud.inbox import Refusal, ack_json
from v2g_edge.cloud.outbox import Outbox
from v2g_edge.cloud.topics import NAMES
from v2g_edge.cycle import Cycle, Memory
from v2g_edge.departure.flexibility import Flexibility
from v2g_edge.model.event import Event
from v2g_edge.study.explain import describe_status

DOCUMENT = document()


def fits(topic: str, message: Any) -> bool:
    reference = DOCUMENT["components"]["messages"][topic.replace("/", "_")]["payload"]
    return Draft202012Validator({**DOCUMENT, **reference}).is_valid(message)


def test_the_file_is_the_one_that_the_code_makes() -> None:
    assert TARGET.read_text(encoding="utf-8") == rendered(), "python -m tests.pages.asyncapi writes it anew"


def test_each_topic_has_its_channel_and_every_reference_leads_somewhere() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {f"{{topic_prefix}}/{{site_id}}/{name}" for name in NAMES}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found: Any = DOCUMENT
                for part in value["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(DOCUMENT)


def test_what_is_sent_fits_its_schema(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", max_bytes=1_000_000)
    outbox.put((Event("grid_trip", "trip", "site", "…", WALL_S, (("hz", 47.0),)),))
    assert fits("events", json.loads(outbox.head()[0].body))
    outbox.close()
    assert fits("plan/ack", json.loads(ack_json(Refusal("expired", "…", 3), WALL_S)))
    assert fits("plan/request", {"revision": None})
    assert fits("status", {"online": False})
    site = small_site()
    picture = healthy(site)
    status = describe_status(site, picture, None, Cycle(site).tick(picture, None, Memory()))
    assert fits("telemetry", status)
    assert fits("telemetry/past", status)
    interval = to_builtins(Flexibility(WALL_S, 1.0, 0.25, 2.0, 0.5))
    assert fits("flexibility", {"wall_s": WALL_S, "intervals": [interval]})
    assert not fits("flexibility", {"wall_s": WALL_S, "intervals": [{"up_w": 1.0}]})


def test_what_the_page_shows_fits() -> None:
    plan, accepted, refused, event = EXAMPLES
    assert fits("plan", plan)
    assert fits("plan/ack", accepted)
    assert fits("plan/ack", refused)
    assert fits("events", event)


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("plan", plan_dict(revision=-1)), ("plan", {**plan_dict(), "more": 1}), ("events/ack", {"ids": [1]}),
        ("events", {"seq": 1}), ("signal", {"service": "regulation"}), ("status", {}), ("telemetry", {}),
        ("plan/ack", {"result": "perhaps"}),
    ],
)  # fmt: skip
def test_what_is_no_such_message_does_not_fit(topic: str, message: Any) -> None:
    assert not fits(topic, message)
