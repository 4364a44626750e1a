"""A signed plan is taken from the right key, for this depot, and from nothing else; the key changes
without a gap.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from tests.cloud.plans import plan_bytes
from tests.depot import small_site
from v2g_edge.cloud.inbox import REVISIONS_AT_ONCE, Refusal, receive_plan
from v2g_edge.cloud.signed import TYPE, BadSignature, PlanKeys, key_set, sign
from v2g_edge.model.plan import Plan

PLAN = b'{"revision": 1}'


def key(kid: str) -> OKPKey:
    made: OKPKey = OKPKey.generate_key("Ed25519", {"kid": kid}, private=True)
    return made


OLD, NEW, FOREIGN = key("old"), key("new"), key("old")


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": "old", "typ": TYPE} | changes


def keys(tmp_path: Path, *pairs: tuple[str, OKPKey]) -> PlanKeys:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(*pairs)))
    return PlanKeys(tmp_path / "keys.json", "depot-1")


def test_a_plan_signed_for_this_depot_is_opened(tmp_path: Path) -> None:
    assert keys(tmp_path, ("old", OLD)).open(sign(PLAN, OLD, "old", "depot-1")) == PLAN


def test_the_key_is_changed_without_a_gap(tmp_path: Path) -> None:
    opener = keys(tmp_path, ("old", OLD))
    opener.open(sign(PLAN, OLD, "old", "depot-1"))
    keys(tmp_path, ("old", OLD), ("new", NEW))
    assert opener.open(sign(PLAN, NEW, "new", "depot-1")) == PLAN
    assert opener.open(sign(PLAN, OLD, "old", "depot-1")) == PLAN
    keys(tmp_path, ("new", NEW), ("newer", key("newer")), ("newest", key("newest")))
    with pytest.raises(BadSignature, match="the key 'old' is not in") as found:
        opener.open(sign(PLAN, OLD, "old", "depot-1"))
    assert found.value.reason == "unknown_key"


def test_a_key_file_that_is_damaged_later_leaves_the_keys_that_were_known(tmp_path: Path) -> None:
    opener = keys(tmp_path, ("old", OLD))
    assert opener.fault() == ""
    (tmp_path / "keys.json").write_text("{")
    assert opener.open(sign(PLAN, OLD, "old", "depot-1")) == PLAN
    assert "cannot be used" in PlanKeys(tmp_path / "keys.json", "depot-1").fault()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (PLAN, "unsigned"),
        (b"a.b", "unsigned"),
        (sign(PLAN, OLD, "old", "depot-2"), "foreign_audience"),
        (sign(PLAN, NEW, "other", "depot-1"), "unknown_key"),
        (sign(PLAN, FOREIGN, "old", "depot-1"), "bad_signature"),
        (sign(PLAN, OLD, "old", "depot-1")[:-4] + b"AAAA", "bad_signature"),
        (
            jws.serialize_compact(
                {"alg": "HS256", "kid": "old", "typ": TYPE}, PLAN, OctKey.generate_key(256)
            ).encode(),
            "bad_signature",
        ),
        (
            jws.serialize_compact(header(typ="JWT"), PLAN, OLD, algorithms=["Ed25519"]).encode(),
            "bad_signature",
        ),
        (jws.serialize_compact(header(), PLAN, OLD, algorithms=["Ed25519"]).encode(), "foreign_audience"),
    ],
)
def test_anything_else_is_refused_with_its_reason(tmp_path: Path, payload: bytes, reason: str) -> None:
    with pytest.raises(BadSignature) as found:
        keys(tmp_path, ("old", OLD)).open(payload)
    assert found.value.reason == reason


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "AA", "kid": "a"}]}',
        json.dumps({"keys": [OLD.as_dict(private=True)]}),
    ],
)
def test_a_key_file_that_cannot_be_meant_is_refused(tmp_path: Path, document: str) -> None:
    (tmp_path / "keys.json").write_text(document)
    assert "cannot be used" in PlanKeys(tmp_path / "keys.json", "depot-1").fault()


@given(st.binary(max_size=120))
def test_whatever_arrives_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes
) -> None:
    opener = keys(tmp_path_factory.getbasetemp(), ("old", OLD))
    with pytest.raises(BadSignature):
        opener.open(payload)


def test_b7_revision_lock() -> None:
    """One mistaken revision cannot lock out all later plans: what is taken is near the last one, or near
    the time.
    """
    site, wall_s = small_site(), 1_768_409_000.0
    verdict = receive_plan(plan_bytes(revision=2**53 - 1), site, 12, wall_s, last_issued_wall_s=wall_s - 60.0)
    assert isinstance(verdict, Refusal)
    assert verdict.reason == "too_far_ahead"
    for last, issued_wall_s, revision in (
        (12, wall_s - 60.0, 12 + REVISIONS_AT_ONCE),
        (-1, 0.0, int(wall_s * 1_000)),
    ):
        taken = receive_plan(
            plan_bytes(revision=revision), site, last, wall_s, last_issued_wall_s=issued_wall_s
        )
        assert not (isinstance(taken, Refusal) and taken.reason == "too_far_ahead")


@pytest.mark.parametrize("issued_wall_s", [4.1e9, 253_402_300_799.0, -62_135_596_800.0])
def test_b7_a_plan_issued_in_another_century_locks_no_later_one_out(issued_wall_s: float) -> None:
    """Nor does it open the door for a jump that would."""
    site, wall_s = small_site(), 1_768_409_000.0
    last, revision = int((wall_s - 7_200.0) * 1e3), int(wall_s * 1e3)
    for number, taken in ((revision, True), (2**53 - 1, False)):
        verdict = receive_plan(
            plan_bytes(revision=number), site, last, wall_s, last_issued_wall_s=issued_wall_s
        )
        assert (isinstance(verdict, Refusal) and verdict.reason == "too_far_ahead") is not taken


def test_a_time_as_revision_is_taken_after_any_pause() -> None:
    site, wall_s = small_site(), 1_768_409_000.0
    last_s = wall_s - 90 * 86_400.0
    verdict = receive_plan(
        plan_bytes(revision=int(wall_s * 1e3)), site, int(last_s * 1e3), wall_s, last_issued_wall_s=last_s
    )
    assert isinstance(verdict, Plan) or verdict.reason != "too_far_ahead"
