"""docs/cloud.md says what the code does: topics, keys, reasons, limits, and its examples are taken."""

import json
import re
from pathlib import Path

import msgspec

from tests.depot import small_site
from v2g_edge.cloud.client import MAX_PACKET_BYTES
from v2g_edge.cloud.inbox import (
    MAX_AHEAD_S,
    MAX_PAYLOAD_BYTES,
    MAX_SLOTS,
    REASONS,
    PlanMessage,
    Refusal,
    SlotMessage,
    ack_json,
    receive_plan,
)
from v2g_edge.cloud.outbox import Outbox
from v2g_edge.cloud.topics import NAMES
from v2g_edge.model.event import Event
from v2g_edge.model.plan import Plan

TEXT = (Path(__file__).parents[2] / "docs" / "cloud.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
NOW_S = 1_768_402_802.0
"""2026-01-14 15:00:02 UTC, two seconds after the example was issued."""


def rows(heading: str) -> list[str]:
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_topic_key_and_reason_stands_in_its_table_and_nothing_else() -> None:
    assert rows("Topics") == list(NAMES)
    assert rows("The verdict") == list(REASONS)
    keys = [field.name for kind in (PlanMessage, SlotMessage) for field in msgspec.structs.fields(kind)]
    assert rows("A plan") == keys


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"1 to {MAX_SLOTS} slots" in TEXT
    assert f"at most {MAX_AHEAD_S / 86_400:.0f} days ahead" in TEXT
    assert f"{MAX_PAYLOAD_BYTES} bytes" in TEXT
    assert f"{MAX_PACKET_BYTES} bytes" in TEXT


def test_the_example_plan_is_taken_and_its_verdicts_are_what_the_page_shows() -> None:
    plan, accepted, refused, _ = EXAMPLES
    verdict = receive_plan(json.dumps(plan).encode(), small_site(), -1, NOW_S)
    assert isinstance(verdict, Plan)
    assert json.loads(ack_json(verdict, NOW_S)) == accepted
    plan["slots"][0]["evse_w"] = {"b9": 1.0}
    verdict = receive_plan(json.dumps(plan).encode(), small_site(), -1, NOW_S)
    assert isinstance(verdict, Refusal)
    assert json.loads(ack_json(verdict, NOW_S)) == refused


def test_an_event_has_the_keys_of_the_example(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.sqlite", max_bytes=1_000_000)
    outbox.put((Event("grid_trip", "trip", "site", "…", NOW_S),))
    (_, body) = outbox.head()[0]
    outbox.close()
    assert list(json.loads(body)) == list(EXAMPLES[3])


def test_the_access_list_on_the_page_covers_every_topic() -> None:
    assert re.findall(r"^topic \w+ v2g-edge/depot-1/(.+)$", TEXT, re.MULTILINE) == list(NAMES)
