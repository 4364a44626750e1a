"""Sign-in by a proxy's header: from a believed proxy with its secret; any other's header is nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.conftest import Place, serving
from v2g_edge.cli.main import main
from v2g_edge.console.proxy import PROXIED, SECRET_HEADER, Proxied, ProxyTrust, trust_of

SECRET = "s" * 32
ROLES = ("depot-night=operator", "depot-admins=engineer")
OURS = {"Remote-User": "petra", SECRET_HEADER: SECRET}


def trust(*proxies: str, roles: tuple[str, ...] = ROLES) -> ProxyTrust:
    return trust_of(proxies or ("127.0.0.1",), SECRET.encode(), roles, "Remote-User", "Remote-Groups")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A console that believes a proxy at 127.0.0.1."""
    async with serving(tmp_path, proxy=trust()) as found:
        yield found


async def by_proxy(place: Place, said: dict[str, str]) -> httpx.AsyncClient:
    """A browser behind the proxy, logged in by it."""
    client = place.client()
    client.headers.update(said)
    answer = await client.post("/api/login/proxy")
    assert answer.status_code == 204, answer.text
    client.headers["x-csrf-token"] = (await client.get("/api/session")).json()["csrf"]
    return client


async def test_a_believed_proxy_gives_name_and_role(place: Place) -> None:
    """The role of the highest group; orders carry the name, and need the token of the page as ever."""
    petra = await by_proxy(place, OURS | {"Remote-Groups": "staff, depot-night"})
    session = (await petra.get("/api/session")).json()
    assert (session["proxy"], session["person"]) == ("petra", {"name": "petra", "role": "operator"})
    assert (await petra.post("/api/orders", json={"stop": True, "why": "smoke"})).status_code == 200
    assert place.daemon.orders == [{"stop": True, "by": "petra", "why": "smoke"}]
    assert (await petra.get("/api/people")).status_code == 403
    del petra.headers["x-csrf-token"]
    assert (await petra.post("/api/orders", json={"stop": False})).status_code == 403
    chief = await by_proxy(place, OURS | {"Remote-Groups": "depot-night,depot-admins"})
    assert (await chief.get("/api/people")).status_code == 200
    token = await chief.post("/api/tokens", json={"label": "t", "role": "viewer", "days": 1})
    assert token.status_code == 403  # it would outlive what the proxy says


@pytest.mark.parametrize(
    "said",
    [
        OURS,  # no group with a role
        OURS | {"Remote-Groups": "staff"},
        OURS | {"Remote-Groups": "depot-night", SECRET_HEADER: "x" * 32},
        {"Remote-User": "petra", "Remote-Groups": "depot-night"},  # no secret
        {"Remote-Groups": "depot-night", SECRET_HEADER: SECRET},  # no name
        OURS | {"Remote-Groups": "depot-night", "Remote-User": "x" * 65},
        {},
    ],
)
async def test_a_proxy_that_does_not_say_enough_opens_nothing(place: Place, said: dict[str, str]) -> None:
    client = place.client()
    assert (await client.post("/api/login/proxy", headers=said)).status_code == 403
    assert (await client.get("/api/status", headers=said)).status_code == 401


async def test_an_address_that_is_not_believed_gets_nothing_with_the_same_headers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not with the secret either; and a session of the proxy is worth nothing without its header."""
    said = OURS | {"Remote-Groups": "depot-admins"}
    async with serving(tmp_path, proxy=trust("127.0.0.1")) as place:
        inside = await by_proxy(place, said)
        assert (await inside.get("/api/status")).status_code == 200
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(base_url=place.url, transport=elsewhere, headers=said) as outside:
            assert (await outside.post("/api/login/proxy")).status_code == 403
            assert (await outside.get("/api/session")).json()["proxy"] == ""
            for cookies in ({}, dict(inside.cookies)):
                outside.cookies.update(cookies)
                assert (await outside.get("/api/status")).status_code == 401
        assert capfd.readouterr().out.count("console_proxy_refused") == 1
        for other in ({"Remote-User": "paul"}, {"Remote-Groups": "depot-night"}, {"Remote-Groups": ""}):
            assert (await inside.get("/api/status", headers=said | other)).status_code == 401, other
        assert (await inside.get("/api/status")).status_code == 200


async def test_without_a_trusted_proxy_no_header_says_who_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as place:
        erna = {"Remote-User": "erna", "X-Forwarded-User": "erna", SECRET_HEADER: SECRET}
        client = place.client()
        assert (await client.post("/api/login/proxy", headers=erna)).status_code == 403
        assert (await client.get("/api/people", headers=erna)).status_code == 401


async def test_without_groups_the_account_of_the_name_has_the_role(tmp_path: Path) -> None:
    async with serving(tmp_path, proxy=trust(roles=())) as place:
        otto = await by_proxy(place, OURS | {"Remote-User": "otto"})
        assert (await otto.get("/api/session")).json()["person"] == {"name": "otto", "role": "operator"}
        answer = await place.client().post("/api/login/proxy", headers=OURS)
        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            "no account is called 'petra', as the proxy says",
        )


def scope(client: str, *headers: tuple[str, str]) -> dict[str, Any]:
    return {"client": (client, 1), "headers": [(k.encode(), v.encode("utf-8")) for k, v in headers]}


@pytest.mark.parametrize(
    ("client", "believed"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::5", True),
        ("x", False),
    ],
)
def test_only_named_addresses_are_believed_and_headers_are_taken_away(client: str, believed: bool) -> None:
    found = trust_of(("192.0.2.7", "2001:db8::/32"), b"", ("n=viewer",), "Remote-User", "Remote-Groups")
    request = scope(client, ("remote-user", "jürgen"), ("remote-groups", "n"), ("accept", "*/*"))
    assert found.take(request) is believed
    assert request["headers"] == [(b"accept", b"*/*")]
    assert request[PROXIED] == (Proxied("jürgen", "viewer") if believed else None)


def test_two_names_are_none() -> None:
    """A browser's own header before the proxy's, or behind it."""
    found = trust_of(("192.0.2.7",), b"", (), "Remote-User", "Remote-Groups")
    request = scope("192.0.2.7", ("remote-user", "erna"), ("remote-user", "vera"))
    assert found.take(request)
    assert request[PROXIED] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--proxy", "127.0.0.1"], "every program of this machine has such an address"),
        (["--proxy", "126.0.0.0/7"], "every program of this machine has such an address"),
        (["--proxy", "::/0"], "every program of this machine has such an address"),
        (["--proxy", "depot.example"], "it takes an address or a network, like 192.0.2.7"),
        (["--proxy", "192.0.2.7", "--proxy-role", "night=boss"], "ROLE is viewer, operator, engineer"),
        (["--proxy", "192.0.2.7", "--proxy-user", "Remote User"], "no name of a header"),
        (["--proxy", "192.0.2.7", "--proxy-secret-file", "/nowhere"], "/nowhere"),
        (["--proxy", "127.0.0.1", "--proxy-secret-file", "SHORT"], "at least 24 characters"),
        (["--proxy-role", "night=viewer"], "need --proxy"),
    ],
)
def test_what_cannot_be_believed_is_refused_at_the_start(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short").write_text("x" * 23 + "\n")
    given = [str(tmp_path / "short") if word == "SHORT" else word for word in words]
    assert main(["console", "--state", str(tmp_path), *given]) == 2
    assert said in capsys.readouterr().err
