"""Whatever bytes arrive as a plan: a plan that the depot can mean, or a refusal that says why."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.cloud.plans import WALL_S, plan_bytes, plan_dict, stamp
from tests.depot import small_evse, small_site
from v2g_edge.cloud.inbox import (
    MAX_PAYLOAD_BYTES,
    MAX_SLOTS,
    MAX_TEXT,
    REASONS,
    Refusal,
    ack_json,
    plan_json,
    receive_plan,
)
from v2g_edge.model.plan import Plan, Slot

SITE = small_site()


def judged(payload: bytes, last: int = -1, wall_s: float = WALL_S) -> Plan | Refusal:
    return receive_plan(payload, SITE, last, wall_s)


def slot(start_s: float, end_s: float, **powers: Any) -> dict[str, Any]:
    return {"start": stamp(start_s), "end": stamp(end_s)} | (powers or {"site_w": 0.0})


def test_a_good_plan_is_read_as_it_was_meant() -> None:
    plan = judged(plan_bytes(revision=5))
    slots = (
        Slot(WALL_S, WALL_S + 3_600, (("b1", 11_000.0),)),
        Slot(WALL_S + 3_600, WALL_S + 7_200, (), -20_000.0),
    )
    assert plan == Plan(5, "cloud", WALL_S - 60, WALL_S, WALL_S + 7_200, slots)


BAD: list[tuple[bytes, str]] = [
    (b"", "not_json"),
    (b"\xff\xfe", "not_json"),
    (b"[" * 100_000, "not_json"),
    (plan_bytes(evse_w={"b1": float("nan")}), "not_json"),
    (plan_bytes(evse_w={"b1": float("inf")}), "not_json"),
    (b'{"revision":' + b"9" * 5_000 + b"}", "not_json"),
    (b" " * (MAX_PAYLOAD_BYTES + 1), "too_large"),
    (b'{"revision":1,"revision":2}', "duplicate_key"),
    (plan_bytes().replace(b'"b1": 11000.0', b'"b1": 1, "b1": 2'), "duplicate_key"),
    (b"[]", "wrong_form"),
    (b"{}", "wrong_form"),
    (plan_bytes(revision=-1), "wrong_form"),
    (plan_bytes(revision=2**53), "wrong_form"),
    (plan_bytes(extra=1), "wrong_form"),
    (plan_bytes(slots=[]), "wrong_form"),
    (plan_bytes(issued="2026-01-01T00:00:00"), "wrong_form"),
    (plan_bytes(evse_w={"b1": "full"}), "wrong_form"),
    (b'{"\\ud800": 1}', "wrong_form"),
    (plan_bytes(valid_until=stamp(-1), valid_from=stamp(-7_200)), "expired"),
    (plan_bytes(valid_until=stamp(0)), "bad_validity"),
    (plan_bytes(valid_from=stamp(40 * 86_400), valid_until=stamp(41 * 86_400)), "bad_validity"),
    (plan_bytes(valid_until=stamp(4_000 * 86_400)), "bad_validity"),
    (plan_bytes(slots=[slot(n, n + 1) for n in range(MAX_SLOTS + 1)]), "too_many_slots"),
    (plan_bytes(slots=[slot(0, 3_600), slot(3_599, 7_200)]), "bad_slots"),
    (plan_bytes(slots=[slot(3_600, 7_200), slot(0, 3_600)]), "bad_slots"),
    (plan_bytes(slots=[slot(60, 60)]), "bad_slots"),
    (plan_bytes(slots=[slot(-60, 60)]), "bad_slots"),
    (plan_bytes(slots=[slot(0, 8_000)]), "bad_slots"),
    (plan_bytes(slots=[{"start": stamp(0), "end": stamp(60)}]), "bad_slots"),
    (plan_bytes(evse_w={"b9": 1.0}), "unknown_evse"),
    (plan_bytes(evse_w={"\ud800": 1.0}), "unknown_evse"),
    (plan_bytes(evse_w={"b1": 50_001.0}), "impossible_power"),
    (plan_bytes(evse_w={"b1": -50_001.0}), "impossible_power"),
    (plan_bytes().replace(b"11000.0", b"1e999"), "impossible_power"),
    (plan_bytes(slots=[slot(0, 60, site_w=100_001.0)]), "impossible_power"),
    (plan_bytes(slots=[slot(0, 60, site_w=-100_001.0)]), "impossible_power"),
]


@pytest.mark.parametrize(("payload", "reason"), BAD)
def test_what_cannot_be_meant_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    verdict = judged(payload)
    assert isinstance(verdict, Refusal)
    assert verdict.reason == reason
    assert verdict.text
    assert len(verdict.text) <= MAX_TEXT
    assert json.loads(ack_json(verdict, WALL_S))["reason"] == reason


def test_every_reason_is_shown_by_a_case() -> None:
    elsewhere = {"not_newer", "too_far_ahead", "unsigned", "bad_signature", "unknown_key", "foreign_audience"}
    assert {reason for _, reason in BAD} | elsewhere == set(REASONS), "the others: see test_signed"


def test_a_charger_that_cannot_discharge_is_not_asked_to() -> None:
    one_way = replace(SITE, evses=(small_evse("b1", discharge_by="none"),))
    verdict = receive_plan(plan_bytes(evse_w={"b1": -1.0}), one_way, -1, WALL_S)
    assert isinstance(verdict, Refusal)
    assert verdict.text == "slots[0].evse_w.b1 = -1 W, allowed are 0 to 50000"


@pytest.mark.parametrize(("last", "taken"), [(4, True), (5, False), (6, False)])
def test_only_a_newer_revision_is_taken(last: int, taken: bool) -> None:
    verdict = judged(plan_bytes(revision=5), last)
    assert isinstance(verdict, Plan) is taken
    if isinstance(verdict, Refusal):
        assert (verdict.reason, verdict.revision) == ("not_newer", 5)


def test_a_plan_holds_until_the_second_before_its_end() -> None:
    assert isinstance(judged(plan_bytes(), wall_s=WALL_S + 7_199.0), Plan)
    assert isinstance(judged(plan_bytes(), wall_s=WALL_S + 7_200.0), Refusal)


def test_an_answer_names_the_revision_and_the_time() -> None:
    assert json.loads(ack_json(judged(plan_bytes(revision=5)), WALL_S)) == {
        "at": "2026-01-01T00:00:00+00:00",
        "revision": 5,
        "result": "accepted",
    }


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.just(stamp(0)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer_that_can_be_sent(payload: bytes) -> None:
    assert ack_json(judged(payload), WALL_S)


@given(st.sampled_from(sorted(plan_dict())), ANY_JSON)
@settings(max_examples=300)
def test_any_value_in_any_place_gets_an_answer_that_can_be_sent(key: str, value: Any) -> None:
    spoilt = plan_dict() | {key: value}
    assert ack_json(judged(json.dumps(spoilt).encode()), WALL_S)
    inner = plan_dict()
    inner["slots"][0] |= {{"revision": "evse_w", "issued": "site_w", "slots": "start"}.get(key, "end"): value}
    assert ack_json(judged(json.dumps(inner).encode()), WALL_S)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    edges = sorted(draw(st.sets(st.integers(0, 7 * 86_400), min_size=2, max_size=20)))
    slots = []
    for start_s, end_s in pairwise(edges):
        power_w = draw(st.floats(-50_000, 50_000))
        if draw(st.booleans()):
            slots.append(Slot(WALL_S + start_s, WALL_S + end_s, (("b1", power_w), ("b2", 0.0))))
        else:
            slots.append(Slot(WALL_S + start_s, WALL_S + end_s, (), power_w))
    revision = draw(st.integers(0, int(WALL_S * 1_000.0)))
    return Plan(revision, "cloud", WALL_S, WALL_S, WALL_S + edges[-1], tuple(slots))


@given(plans())
def test_a_plan_written_and_read_back_is_the_same_plan(plan: Plan) -> None:
    assert judged(plan_json(plan)) == plan
