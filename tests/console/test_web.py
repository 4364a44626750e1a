"""Roles, sessions, claims, lock-outs, and what is refused before anything is asked."""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.conftest import PASSWORD, Place, serving, until
from v2g_edge.console.accounts import CODE_S, IDLE_S, SESSION_S, Accounts
from v2g_edge.console.guard import ASKED_BURST, BODY_MAX, POLICY
from v2g_edge.console.lockout import TRIES, Caller

LOOKS = [
    "/api/status",
    "/api/why/E01",
    "/api/events",
    "/api/plan",
    "/api/capacity",
    "/api/history/E01",
    "/api/tonight",
    "/api/night?evening=2026-01-14",
    "/api/money?since=2026-01-07",
    "/api/trips",
    "/api/health",
    "/api/live",
]
ENGINEERS = ["/api/stations", "/api/setup", "/api/people", "/api/tokens"]


async def test_each_role_may_what_it_may_and_no_more(place: Place) -> None:
    vera, otto, erna = [await place.as_(name) for name in ("vera", "otto", "erna")]
    nobody = place.client()
    for path in LOOKS[:-1]:
        assert (await vera.get(path)).status_code == 200, path
    for path in LOOKS + ENGINEERS:
        assert (await nobody.get(path)).status_code == 401, path
    for path in ENGINEERS:
        assert [(await each.get(path)).status_code for each in (vera, otto, erna)] == [403, 403, 200], path
    order = {"stop": True, "why": "smoke"}
    assert [(await each.post("/api/orders", json=order)).status_code for each in (nobody, vera)] == [401, 403]
    assert place.daemon.orders == []
    assert (await otto.post("/api/orders", json=order)).json()["stop"] is True
    assert place.daemon.orders == [{"stop": True, "by": "otto", "why": "smoke"}]


async def test_what_the_daemon_refuses_comes_in_its_words(place: Place) -> None:
    otto = await place.as_("otto")
    answer = await otto.post("/api/orders", json={"acknowledge": "trip:grid"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "'trip:grid' does not act; there act: none")
    assert (await otto.get("/api/why/E99")).json()[
        "detail"
    ] == "'E99' is no outlet, vehicle, station or feeder"
    assert (await otto.post("/api/orders", json={"why": "nothing"})).status_code == 422


async def test_a_night_of_which_nothing_is_recorded_is_an_answer_and_no_error(place: Place) -> None:
    vera = await place.as_("vera")
    answer = await vera.get("/api/night?evening=2020-01-01")
    assert (answer.status_code, answer.json()) == (200, {"none": "nothing is recorded of this night"})


async def test_a_departure_is_moved_in_thought_by_operators_alone(place: Place) -> None:
    vera, otto = await place.as_("vera"), await place.as_("otto")
    path = "/api/what-if/BUS01?at=05:30&soc_pct=80"
    assert (await vera.get(path)).status_code == 403
    assert (await otto.get(path)).json()["costs"] == 2.35
    assert (await otto.get("/api/what-if/BUS99?at=05:30")).status_code == 400
    assert place.daemon.orders == []


async def test_set_up_has_each_part_or_why_it_has_none(place: Place) -> None:
    erna = await place.as_("erna")
    place.daemon.rollout = None
    found = (await erna.get("/api/setup")).json()
    assert found["rollout"] == {"none": "there is no roll-out"}
    assert found["stations"]["unknown"][0]["station"] == "CP77"
    assert found["certificates"]["listeners"][0]["until"].startswith("2026-02-03")
    assert found["site_file"]["changes"][0]["key"] == "grid.export_limit_w"
    assert found["health"]["links_up"] == 11


async def test_only_engineers_change_what_the_depot_is(place: Place) -> None:
    vera, otto, erna = [await place.as_(name) for name in ("vera", "otto", "erna")]
    abort = {"operation": "rollout-abort", "why": "wrong file"}
    for path, body in (("/api/site-file", {"apply": True}), ("/api/stations/@site/operations", abort)):
        for client in (vera, otto):
            assert (await client.post(path, json=body)).status_code == 403
        assert place.daemon.orders == []
        assert (await erna.post(path, json=body)).status_code == 200
        assert place.daemon.orders.pop()
    checked = await erna.post("/api/site-file", json={"text": "nonsense"})
    assert (checked.status_code, checked.json()["detail"]) == (
        400,
        "site.toml: line 1: Expected '=' after a key",
    )
    assert (await erna.post("/api/site-file", json={"text": "x", "apply": True})).status_code == 422
    assert (await erna.post("/api/site-file", json={})).status_code == 422
    assert place.daemon.orders == []


async def test_files_are_compressed_and_not_sent_twice(place: Place) -> None:
    browser = place.client()
    plain = await browser.get("/static/app.js", headers={"accept-encoding": "identity"})
    packed = await browser.get("/static/app.js", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    again = await browser.get("/static/app.js", headers={"if-none-match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await browser.get("/static/app.js", headers={"if-none-match": '"another"'})).status_code == 200
    assert (await browser.get("/api/session")).headers["cache-control"] == "no-store"


async def test_days_without_a_ledger_are_an_answer_and_no_error(place: Place) -> None:
    vera = await place.as_("vera")
    answer = await vera.get("/api/money?since=2020-01-01")
    assert (answer.status_code, answer.json()["none"][:19]) == (200, "the ledger is empty")
    assert (await vera.get("/api/money")).json()["by"]["service"][0]["service"] == "local plan"


async def test_a_console_that_stops_hangs_up_on_its_browsers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as place:
        vera = await place.as_("vera")
        async with vera.stream("GET", "/api/live") as stream:
            lines = stream.aiter_lines()
            assert "retry" in await anext(lines)
            place.console.stop()
            assert [line async for line in lines][-1] == ""  # ended by the server
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_a_daemon_that_is_away_is_said_so_and_found_again(place: Place) -> None:
    otto = await place.as_("otto")
    await place.daemon.stop()
    answer = await otto.post("/api/orders", json={"stop": True})
    assert answer.status_code == 503
    assert "systemctl status v2g-edge" in answer.json()["detail"]
    assert (await otto.get("/healthz")).status_code == 200
    await place.daemon.start()
    assert (await otto.get("/api/status")).status_code == 200


async def test_a_host_name_that_is_not_ours_is_refused(place: Place) -> None:
    """DNS rebinding: a foreign page's name that leads to this address."""
    browser = place.client()
    for host in ("evil.example", "evil.example:3000", "127.0.0.1.evil.example", ""):
        answer = await browser.get("/", headers={"host": host})
        assert answer.status_code in {400, 421}, host
    for host in ("localhost:3000", "127.0.0.1", "[::1]:3000", "10.0.0.7:3000"):
        assert (await browser.get("/", headers={"host": host})).status_code == 200, host


async def test_ones_own_password_changes_and_ends_the_other_sessions(place: Place) -> None:
    otto, elsewhere = await place.as_("otto"), await place.as_("otto")
    wanted = {"old": PASSWORD, "new": "another night at it"}
    wrong = await otto.post("/api/password", json={**wanted, "old": "not the old one"})
    assert wrong.status_code == 403
    assert (await otto.post("/api/password", json={**wanted, "new": "short"})).status_code == 403
    assert (await otto.post("/api/password", json=wanted)).status_code == 204
    assert (await otto.get("/api/status")).status_code == 200
    assert (await elsewhere.get("/api/status")).status_code == 401
    old = {"name": "otto", "password": PASSWORD}
    assert (await place.client().post("/api/login", json=old)).status_code == 403
    new = {"name": "otto", "password": wanted["new"]}
    assert (await place.client().post("/api/login", json=new)).status_code == 204


async def test_orders_for_tonight_carry_the_name_and_are_taken_back(place: Place) -> None:
    vera, otto = await place.as_("vera"), await place.as_("otto")
    order = {"kind": "boost", "subject": "BUS01", "why": "late"}
    assert (await vera.post("/api/tonight", json=order)).status_code == 403
    tried = await otto.post("/api/tonight", json={**order, "trial": True})
    assert (tried.json()["given"], place.daemon.orders) == (False, [])
    assert (await otto.post("/api/tonight", json=order)).json()["number"] == 1
    assert place.daemon.orders == [{**order, "trial": False, "who": "otto"}]
    assert (await vera.delete("/api/tonight/1")).status_code == 403
    assert (await otto.delete("/api/tonight/1")).status_code == 200
    assert (await otto.delete("/api/tonight/1")).status_code == 400
    assert (await otto.post("/api/tonight", json={**order, "kind": "explode"})).status_code == 422


async def test_sessions_end(place: Place) -> None:
    """By themselves without anything done, at the latest after half a day, and when the person goes."""
    otto = await place.as_("otto")
    place.clock.ahead_s += IDLE_S - 5.0
    assert (await otto.get("/api/status")).status_code == 200
    place.clock.ahead_s += IDLE_S + 1.0
    assert (await otto.get("/api/status")).status_code == 401
    vera = await place.as_("vera")
    place.clock.ahead_s += SESSION_S - 60.0
    assert (await vera.get("/api/status")).status_code == 200
    place.clock.ahead_s += 61.0
    assert (await vera.get("/api/status")).status_code == 401
    otto = await place.as_("otto")
    assert (await otto.post("/api/logout")).status_code == 204
    assert (await otto.get("/api/status")).status_code == 401


async def test_an_account_that_is_changed_or_removed_has_no_session_and_no_token_left(place: Place) -> None:
    erna, otto = await place.as_("erna"), await place.as_("otto")
    token = place.console.accounts.new_token("otto", "script", "operator", place.clock.wall_s() + 60.0)
    program = place.client()
    program.headers["authorization"] = f"Bearer {token}"
    assert (await program.get("/api/status")).status_code == 200
    change = {"name": "otto", "role": "viewer", "password": PASSWORD}
    assert (await erna.post("/api/people", json=change)).status_code == 204
    assert (await otto.get("/api/status")).status_code == 401
    assert (await program.get("/api/status")).status_code == 401
    otto = await place.as_("otto")
    assert (await erna.delete("/api/people/otto")).status_code == 204
    assert (await otto.get("/api/status")).status_code == 401
    assert (await erna.delete("/api/people/erna")).status_code == 400
    assert (await erna.post("/api/people", json={**change, "name": "erna"})).status_code == 400
    assert (await erna.get("/api/people")).json() == [
        {"name": "erna", "role": "engineer"},
        {"name": "vera", "role": "viewer"},
    ]


async def test_tokens_act_in_a_name_until_they_end(place: Place) -> None:
    erna = await place.as_("erna")
    made = await erna.post("/api/tokens", json={"label": "scada", "role": "operator", "days": 1})
    program = place.client()
    program.headers["authorization"] = f"Bearer {made.json()['token']}"
    assert (await program.post("/api/orders", json={"export_hold": True})).status_code == 200
    assert place.daemon.orders == [{"export_hold": True, "by": "erna (token scada)", "why": ""}]
    assert (await program.get("/api/people")).status_code == 403
    assert made.json()["token"] not in (await erna.get("/api/tokens")).text
    place.clock.ahead_s += 86_401.0
    assert (await program.get("/api/status")).status_code == 401


async def test_a_wrong_token_is_not_helped_by_a_session(place: Place) -> None:
    """A request with a bearer token needs no CSRF token, so it must stand on that alone."""
    otto = await place.as_("otto")
    otto.headers["authorization"] = "Bearer v2g_wrong"
    assert (await otto.post("/api/orders", json={"stop": True})).status_code == 401


async def test_the_first_visit_takes_the_code_once(tmp_path: Path) -> None:
    async with serving(tmp_path, people=False) as place:
        browser = place.client()
        found = (await browser.get("/api/session")).json()
        assert found == {"certificate": "", "proxy": "", "claimed": False, "person": None, "csrf": None}
        claim = {"code": "0000-0000-0000-0000", "name": "erna", "password": PASSWORD}
        assert (await browser.post("/api/claim", json=claim)).status_code == 403
        claim["code"] = place.console.accounts.new_code(place.clock.wall_s())
        both = await asyncio.gather(
            browser.post("/api/claim", json=claim),
            place.client().post("/api/claim", json={**claim, "name": "mallory"}),
        )
        assert sorted(answer.status_code for answer in both) == [204, 403]
        assert len(place.console.accounts.people()) == 1
        assert (await browser.post("/api/claim", json=claim)).status_code == 403
        late = place.console.accounts.new_code(place.clock.wall_s())
        place.clock.ahead_s += CODE_S + 1.0
        assert (await browser.post("/api/claim", json={**claim, "code": late})).status_code == 403


async def test_wrong_passwords_lock_a_name_and_say_for_how_long(place: Place) -> None:
    browser = place.client()
    wrong = {"name": "otto", "password": "not the password"}
    for _ in range(TRIES):
        assert (await browser.post("/api/login", json=wrong)).status_code == 403
    locked = await browser.post("/api/login", json={"name": "otto", "password": PASSWORD})
    assert locked.status_code == 429
    assert 1 <= int(locked.headers["retry-after"]) <= 2
    assert "try again in" in locked.json()["detail"]
    assert (await browser.post("/api/login", json={"name": "erna", "password": PASSWORD})).status_code == 204
    place.clock.ahead_s += 3.0
    assert (await browser.post("/api/login", json={"name": "otto", "password": PASSWORD})).status_code == 204


async def test_a_browser_that_was_in_before_comes_in_while_others_guess(place: Place) -> None:
    """From the same address, and after the console has started anew: the mark lasts."""
    otto, thief = await place.as_("otto"), place.client()
    wrong = {"name": "otto", "password": "not the password"}
    for _ in range(TRIES):
        await thief.post("/api/login", json=wrong)
    right = {"name": "otto", "password": PASSWORD}
    assert (await thief.post("/api/login", json=right)).status_code == 429
    assert (await otto.post("/api/login", json=right)).status_code == 204
    again = Accounts(place.console.accounts.folder)
    marked = Caller("127.0.0.1", otto.cookies["v2g_edge_mark"])
    assert again._lockout.is_known("otto", marked)
    assert not again._lockout.is_known("erna", marked)


async def test_guesses_at_the_same_time_count_each(place: Place) -> None:
    browser = place.client()
    wrong = {"name": "otto", "password": "not the password"}
    answers = await asyncio.gather(*(browser.post("/api/login", json=wrong) for _ in range(3 * TRIES)))
    assert sum(answer.status_code == 403 for answer in answers) == TRIES


async def test_orders_need_the_token_of_their_session(place: Place) -> None:
    otto, vera = await place.as_("otto"), await place.as_("vera")
    for token in ("", "wrong", vera.headers["x-csrf-token"], "ä"):
        headers = [(b"x-csrf-token", token.encode("latin-1"))]
        answer = await otto.post("/api/orders", json={"stop": True}, headers=headers)
        assert answer.status_code == 403, token
    assert place.daemon.orders == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.invalid"},
        {"origin": "null"},
    ],
)
async def test_other_sites_are_refused(place: Place, headers: dict[str, str]) -> None:
    otto = await place.as_("otto")
    assert (await otto.post("/api/orders", json={"stop": True}, headers=headers)).status_code == 403
    assert (
        await otto.post("/api/login", json={"name": "otto", "password": PASSWORD}, headers=headers)
    ).status_code == 403
    if "sec-fetch-site" in headers:
        assert (await otto.get("/api/status", headers=headers)).status_code == 403
    assert place.daemon.orders == []


async def test_every_answer_has_the_strict_policy(place: Place) -> None:
    """Pages, answers, refusals and failures."""
    otto = await place.as_("otto")
    assert "unsafe" not in POLICY
    await place.daemon.stop()
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/", {}),
        ("GET", "/static/app.js", {}),
        ("GET", "/static/../accounts.py", {}),
        ("GET", "/nothing", {}),
        ("GET", "/api/openapi.json", {}),
        ("GET", "/api/status", {}),
        ("PUT", "/api/status", {}),
        ("POST", "/api/orders", {"content": b"{"}),
        ("POST", "/api/orders", {"content": b"x" * (BODY_MAX + 1)}),
        ("GET", "/api/status", {"headers": {"sec-fetch-site": "cross-site"}}),
    ]
    seen = []
    for method, path, more in asked:
        answer = await otto.request(method, path, **more)
        seen.append(answer.status_code)
        assert answer.headers.get_list("content-security-policy") == [POLICY], path
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert seen == [200, 200, 404, 404, 200, 503, 405, 422, 413, 403]


async def test_a_body_without_a_length_is_bounded_too(place: Place) -> None:
    async def flood() -> Any:
        for _ in range(200):
            yield b" " * 1_024

    answer = await (await place.as_("otto")).post("/api/orders", content=flood())
    assert answer.status_code == 413


async def test_the_answer_to_a_wrong_body_does_not_repeat_it(place: Place) -> None:
    secret = "hunter2 hunter2"
    answer = await place.client().post("/api/login", json={"name": "otto", "password": [secret], "x": secret})
    assert answer.status_code == 422
    assert secret not in answer.text
    assert "body.password" in answer.json()["detail"]


async def test_an_address_that_asks_without_end_is_paced(place: Place) -> None:
    browser = place.client()
    place.clock.stands_at_s = 1e6
    answers = [(await browser.get("/healthz")).status_code for _ in range(int(ASKED_BURST) + 5)]
    assert answers == [200] * int(ASKED_BURST) + [429] * 5
    place.clock.stands_at_s += 1.0
    assert (await browser.get("/healthz")).status_code == 200


async def test_the_live_stream_shows_the_daemon_come_and_go(place: Place) -> None:
    vera = await place.as_("vera")
    async with vera.stream("GET", "/api/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        await _event(lines, "status")
        await place.daemon.stop()
        await _event(lines, "down")
        await place.daemon.start()
        await _event(lines, "status")
    await until(lambda: place.console.hub.browsers == 0)


async def test_a_stream_ends_with_its_session(place: Place) -> None:
    otto = await place.as_("otto")
    async with otto.stream("GET", "/api/live") as stream:
        lines = stream.aiter_lines()
        await _event(lines, "status")
        place.clock.ahead_s += IDLE_S + 1.0
        async for _ in lines:
            pass  # it ends


async def test_a_browser_that_never_reads_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, read_s=0.2) as place:
        place.daemon.status["padding"] = "x" * 4_000_000  # more than the kernel buffers
        vera = await place.as_("vera")
        cookie = "; ".join(f"{name}={value}" for name, value in vera.cookies.items())
        with socket.create_connection(("127.0.0.1", place.console.port)) as dead:
            dead.sendall(f"GET /api/live HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n".encode())
            assert await asyncio.to_thread(dead.recv, 12) == b"HTTP/1.1 200"
            await until(lambda: place.console.hub.browsers == 0)
        assert (await vera.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    "begun", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /"]
)
async def test_a_request_that_never_ends_is_cut(tmp_path: Path, begun: bytes) -> None:
    """From a browser that drips its head: 256 of them would keep everybody out."""
    async with serving(tmp_path, read_s=0.2) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.console.port)
        writer.write(begun)
        async with asyncio.timeout(30.0):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(1_000):
                    pass
        writer.close()
        assert (await place.client().get("/healthz")).status_code == 200


NAMES = st.sampled_from(
    ["stop", "export_hold", "acknowledge", "why", "name", "password", "role", "days", "label", "code", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=9), inner, max_size=5)
    ),
    max_leaves=10,
)
PATHS = st.sampled_from(
    [*LOOKS[:-1], *ENGINEERS, "/api/orders", "/api/login", "/api/claim", "/api/events?since_wall_s=nan", "/"]
)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


async def test_no_request_makes_it_fail(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn request never gets a 5xx, and the console serves on."""
    monkeypatch.setattr("v2g_edge.console.guard.ASKED_PER_S", 1e6)
    otto = await place.as_("otto")
    otto.headers["connection"] = "close"
    requests: list[httpx.Request] = []

    @settings(max_examples=150, database=None)
    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
        PATHS | WORDS.map(lambda word: "/api/why/" + word) | WORDS.map(lambda word: "/" + word),
        st.none() | JSON,
        st.dictionaries(
            st.sampled_from(["authorization", "cookie", "origin", "x-csrf-token", "content-type"]),
            WORDS,
            max_size=2,
        ),
    )
    def draw(method: str, path: str, body: object, headers: dict[str, str]) -> None:
        try:
            request = otto.build_request(method, path, json=body, headers=headers)
        except (httpx.InvalidURL, ValueError):  # what httpx itself does not send: an odd URL, a NaN
            return
        requests.append(request)

    draw()
    assert len(requests) > 100
    for request in requests:
        answer = await otto.send(request)
        assert answer.status_code < 500, (request, answer.text)
    assert (await otto.get("/healthz")).status_code == 200


async def _event(lines: Any, name: str) -> None:
    async with asyncio.timeout(60.0):
        async for line in lines:
            if line == f"event: {name}":
                return
    raise AssertionError(f"the stream ended without {name}")
