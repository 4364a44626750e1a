"""Systems beyond the depot in the site file: names, masters, files."""

from typing import Any

import pytest

from tests.config.small import document, problems_of
from v2g_edge.config.layout import from_plain

CSMS = {"id": "csms", "url": "wss://csms.example/ocpp"}


def keys(*upstreams: dict[str, Any]) -> set[str]:
    plain = document()
    plain["upstreams"] = list(upstreams)
    return {problem.key for problem in problems_of(plain)}


def test_an_upstream_that_fits_is_taken() -> None:
    assert keys(CSMS) == set()
    assert keys({**CSMS, "stations": ["CP-A"], "allow": ["reset"], "authorize": "site"}) == set()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"stations": ["CP-X"]}, "upstreams.csms.stations"),
        ({"url": "https://csms.example"}, "upstreams.csms.url"),
        ({"url": "ws://csms.example", "ca_file": "ca.pem"}, "upstreams.csms.url"),
        ({"certificate_file": "a.pem"}, "upstreams.csms"),
        ({"allow": ["everything"]}, "upstreams.csms.allow.#1"),
        ({"authorize_s": 60.0}, "upstreams.csms.authorize_s"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], key: str) -> None:
    assert key in keys({**CSMS, **changes})


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"url": "https://vtn.example", "client_id": "me"}, "openadr.client_secret_file"),
        ({"url": "http://vtn", "client_id": "me", "client_secret_file": "s"}, "openadr.url"),
        ({"url": "vtn.example"}, "openadr.url"),
        ({"simple_import_w": [1.0, 2.0, 3.0, 4.0]}, "openadr.simple_import_w"),
        ({"simple_import_w": [-1.0]}, "openadr.simple_import_w.#1"),
        ({"currency": "euro"}, "openadr.currency"),
        ({"poll_s": 0.1}, "openadr.poll_s"),
    ],
)
def test_what_does_not_fit_of_openadr_is_named(table: dict[str, Any], key: str) -> None:
    plain = document()
    plain["openadr"] = table
    assert key in {problem.key for problem in problems_of(plain)}


def test_a_station_has_one_upstream_whose_answers_count_and_any_number_of_copies() -> None:
    other = {**CSMS, "id": "other", "stations": ["CP-A"]}
    assert "upstreams.stations.CP-A" in keys(CSMS, other)
    assert keys(CSMS, {**other, "role": "copy"}, {**CSMS, "id": "third", "role": "copy"}) == set()
    assert "upstreams.other.role" in keys({**other, "role": "master"})


def test_a_copy_may_do_nothing_unless_it_is_said() -> None:
    plain = document()
    others: tuple[dict[str, Any], ...] = ({"role": "copy"}, {"role": "copy", "allow": ["limits"]}, {})
    plain["upstreams"] = [{**CSMS, "id": f"u{n}", **each} for n, each in enumerate(others)]
    nothing, limits, primary = from_plain(plain).upstreams
    assert (nothing.allow, limits.allow) == ((), ("limits",))
    assert "remote_stop" in primary.allow


def test_no_upstream_has_one_name_twice() -> None:
    assert "upstreams.csms" in keys(CSMS, CSMS)
