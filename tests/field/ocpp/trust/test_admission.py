"""Who may come in, without a socket: what test_security shows over real handshakes, here with all its edges."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.ocpp.trust.admission import FAILURES_MAX, LOCKED_S, REMEMBERED_MAX, Admission, Refusal, identity_of
from v2g_edge.model.settings import Listener, StationEvse, StationSettings

PLAIN = Listener("127.0.0.1", 0, 0)
BASIC = Listener("127.0.0.1", 0, 1)
MUTUAL = Listener("127.0.0.1", 0, 3)


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


GOOD, BAD = basic("cp1", "long enough a secret"), basic("cp1", "another long secret")


@pytest.fixture
def admission(tmp_path: Path) -> Admission:
    """Two stations that share a password file."""
    (tmp_path / "password").write_text("long enough a secret\n", encoding="utf-8")
    stations = [StationSettings(name, (StationEvse("b1"),), password_file=str(tmp_path / "password")) for name in ("cp1", "cp2")]
    return Admission({station.identity: station for station in stations})


def judge(
    admission: Admission, authorization: str = "", *, at_s: float = 0.0, path: str = "/ocpp/cp1", peer: str = "10.0.0.9",
    listener: Listener = BASIC, certificate: dict[str, Any] | None = None,
) -> int | str:  # fmt: skip
    """The identity, or the status it is turned away with."""
    verdict = admission.judge(listener, path, authorization, peer, certificate, at_s)
    return int(verdict.status) if isinstance(verdict, Refusal) else verdict


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/cp1", "cp1"),
        ("/a/b/cp1", "cp1"),
        ("/ocpp/cp1/", "cp1"),
        ("/cp%201?token=x", "cp 1"),
        ("cp1", "cp1"),
        ("/", ""),
        ("", ""),
    ],
)
def test_the_identity_is_the_last_part_of_the_path(path: str, identity: str) -> None:
    assert identity_of(path) == identity


@pytest.mark.parametrize(
    "authorization",
    [
        "", "Basic", "Basic ", "Basic !!!", "Bearer " + GOOD[6:], BAD, basic("cp2", "long enough a secret"), basic("cp1", ""),
        basic("CP1", "long enough a secret"), basic("cp1", "long enough a secret "), "Basic " + b64encode(b"cp1").decode(),
        "Basic " + b64encode(b"\xff\xfe:\xff").decode(),
    ],
)  # fmt: skip
def test_without_the_right_credentials_nobody_comes_in(admission: Admission, authorization: str) -> None:
    assert judge(admission, authorization) == 401


def test_the_right_credentials_come_in_however_their_scheme_is_spelt(admission: Admission) -> None:
    assert judge(admission, GOOD) == "cp1"
    assert judge(admission, "bAsIc" + GOOD[5:]) == "cp1"


def test_after_a_few_wrong_credentials_nobody_is_heard_for_a_while_not_even_with_the_right_ones(admission: Admission) -> None:
    for n in range(FAILURES_MAX):
        assert judge(admission, BAD, at_s=float(n)) == 401
    last_s = FAILURES_MAX - 1.0
    assert judge(admission, GOOD, at_s=last_s + LOCKED_S - 0.1) == 429
    assert judge(admission, GOOD, at_s=last_s + LOCKED_S) == "cp1"
    assert judge(admission, BAD, at_s=last_s + LOCKED_S) == 401, "it counts from the beginning after a success"


def test_a_lock_out_hits_neither_another_address_nor_another_station_behind_the_same_one(admission: Admission) -> None:
    for _ in range(FAILURES_MAX):
        judge(admission, BAD)
    assert judge(admission, GOOD) == 429
    assert judge(admission, GOOD, peer="10.0.0.10") == "cp1"
    assert judge(admission, basic("cp2", "long enough a secret"), path="/cp2") == "cp2"


def test_a_guesser_with_many_addresses_does_not_make_it_grow(admission: Admission) -> None:
    for n in range(REMEMBERED_MAX + 50):
        assert judge(admission, BAD, peer=f"10.1.{n // 250}.{n % 250}") == 401
    assert len(admission._failures) == REMEMBERED_MAX


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_path_and_no_header_lets_a_stranger_in_or_makes_it_raise(path: str, authorization: str) -> None:
    assert judge(Admission({}), authorization, path=path) == 404


@pytest.mark.parametrize(
    ("certificate", "verdict"),
    [
        (None, 403),
        ({}, 403),
        ({"subject": ((("commonName", "cp2"),),), "notAfter": "Jan  1 00:00:00 2030 GMT", "serialNumber": "0A"}, 403),
        ({"subject": ((("organizationName", "cp1"),),), "notAfter": "Jan  1 00:00:00 2030 GMT", "serialNumber": "0A"}, 403),
        ({"subject": ((("commonName", "cp1"),),), "notAfter": "Jan  1 00:00:00 2030 GMT", "serialNumber": "0A"}, "cp1"),
    ],
)
def test_mutual_tls_lets_in_whom_the_certificate_names(
    admission: Admission, certificate: dict[str, Any] | None, verdict: int | str
) -> None:
    assert judge(admission, GOOD, listener=MUTUAL, certificate=certificate) == verdict
    if verdict == "cp1":
        assert admission.shown["cp1"].serial == 10


def test_a_station_that_needs_a_higher_profile_is_not_let_in_by_a_lower_one(tmp_path: Path) -> None:
    strict = Admission({"cp1": StationSettings("cp1", (StationEvse("b1"),), least_security_profile=2)})
    assert judge(strict, listener=PLAIN) == 403
    assert judge(Admission({"cp1": StationSettings("cp1", (StationEvse("b1"),))}), listener=PLAIN) == "cp1"
