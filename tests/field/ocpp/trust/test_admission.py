"""Who may come in, without a socket: what test_security shows over real handshakes, here with all its
edges.
"""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2g_edge.field.ocpp.trust.admission import (
    FAILURES_MAX,
    LOCKED_S,
    REMEMBERED_MAX,
    Admission,
    Admitted,
    Refusal,
    identity_of,
)
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
    stations = [
        StationSettings(name, (StationEvse("b1"),), password_file=str(tmp_path / "password"))
        for name in ("cp1", "cp2")
    ]
    return Admission({station.identity: station for station in stations})


def judge(
    admission: Admission, authorization: str = "", *, at_s: float = 0.0, path: str = "/ocpp/cp1",
    peer: str = "10.0.0.9",
    listener: Listener = BASIC, certificate: dict[str, Any] | None = None,
) -> int | str:  # fmt: skip
    """The identity, or the status it is turned away with."""
    verdict = admission.judge(listener, path, authorization, peer, certificate, at_s)
    return int(verdict.status) if isinstance(verdict, Refusal) else verdict.identity


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
        "", "Basic", "Basic ", "Basic !!!", "Bearer " + GOOD[6:], BAD, basic("cp2", "long enough a secret"),
        basic("cp1", ""),
        basic("CP1", "long enough a secret"), basic("cp1", "long enough a secret "),
        "Basic " + b64encode(b"cp1").decode(),
        "Basic " + b64encode(b"\xff\xfe:\xff").decode(),
    ],
)  # fmt: skip
def test_without_the_right_credentials_nobody_comes_in(admission: Admission, authorization: str) -> None:
    assert judge(admission, authorization) == 401


def test_the_right_credentials_come_in_however_their_scheme_is_spelt(admission: Admission) -> None:
    assert judge(admission, GOOD) == "cp1"
    assert judge(admission, "bAsIc" + GOOD[5:]) == "cp1"


@pytest.mark.parametrize("times", [1, 2])
def test_e8_lock_out_as_weapon(admission: Admission, times: int) -> None:
    """Wrong passwords in a row are answered 429, and the right one comes in all the while, from the same
    address too.
    """
    for n in range(FAILURES_MAX):
        assert judge(admission, BAD, at_s=float(n)) == 401
    for n in range(20 * times):
        assert judge(admission, BAD, at_s=5.0 + n / times) == 429
    last_s = FAILURES_MAX - 1.0
    assert judge(admission, BAD, at_s=last_s + LOCKED_S) == 401, (
        "the lock ends, though there was no end of guessing"
    )
    for n in range(FAILURES_MAX):
        judge(admission, BAD, at_s=last_s + LOCKED_S + n)
    assert judge(admission, GOOD, at_s=last_s + LOCKED_S + 5.0) == "cp1"
    assert judge(admission, BAD, at_s=last_s + LOCKED_S + 6.0) == 401, (
        "it counts from the beginning after a success"
    )


@pytest.mark.parametrize("dials", [5, 10, 100])
def test_e8_a_dial_at_the_wrong_door_counts_for_nothing(tmp_path: Path, dials: int) -> None:
    """Without credentials at a lower listener (403), from the station's own address."""
    strict = Admission({"cp1": StationSettings("cp1", (StationEvse("b1"),), least_security_profile=3)})
    certificate = {
        "subject": ((("commonName", "cp1"),),),
        "notAfter": "Jan  1 00:00:00 2030 GMT",
        "serialNumber": "0A",
    }
    for _ in range(dials):
        assert judge(strict, listener=PLAIN) == 403
        assert judge(strict, listener=BASIC) == 403
        assert judge(strict, listener=MUTUAL, certificate={}) == 403
    assert judge(strict, listener=MUTUAL, certificate=certificate) == "cp1"
    assert not strict._failures


def test_a_lock_hits_neither_another_address_nor_another_station_behind_the_same_one(
    admission: Admission,
) -> None:
    for _ in range(FAILURES_MAX):
        judge(admission, BAD)
    assert judge(admission, BAD) == 429
    assert judge(admission, BAD, peer="10.0.0.10") == 401
    assert judge(admission, basic("cp2", "wrong"), path="/cp2") == 401


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
        (
            {
                "subject": ((("commonName", "cp2"),),),
                "notAfter": "Jan  1 00:00:00 2030 GMT",
                "serialNumber": "0A",
            },
            403,
        ),
        (
            {
                "subject": ((("organizationName", "cp1"),),),
                "notAfter": "Jan  1 00:00:00 2030 GMT",
                "serialNumber": "0A",
            },
            403,
        ),
        (
            {
                "subject": ((("commonName", "cp1"),),),
                "notAfter": "Jan  1 00:00:00 2030 GMT",
                "serialNumber": "0A",
            },
            "cp1",
        ),
    ],
)
def test_mutual_tls_lets_in_whom_the_certificate_names(
    admission: Admission, certificate: dict[str, Any] | None, verdict: int | str
) -> None:
    assert judge(admission, GOOD, listener=MUTUAL, certificate=certificate) == verdict
    if verdict == "cp1":
        admitted = admission.judge(MUTUAL, "/ocpp/cp1", "", "10.0.0.9", certificate, 0.0)
        assert isinstance(admitted, Admitted)
        assert admitted.shown.serial == 10


def test_a_station_that_needs_a_higher_profile_is_not_let_in_by_a_lower_one(tmp_path: Path) -> None:
    strict = Admission({"cp1": StationSettings("cp1", (StationEvse("b1"),), least_security_profile=2)})
    assert judge(strict, listener=PLAIN) == 403
    assert judge(Admission({"cp1": StationSettings("cp1", (StationEvse("b1"),))}), listener=PLAIN) == "cp1"
