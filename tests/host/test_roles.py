"""The control socket knows who asks, by the kernel's word, and refuses what the user's role may not."""

import asyncio
import grp
import json
import os
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from v2g_edge.api.roles import NEEDS, role_needed
from v2g_edge.host import control as control_module
from v2g_edge.host import roles
from v2g_edge.host.control import BadRequestError, ControlSocket, Ordered
from v2g_edge.host.roles import GROUP, Peer, Role, peer_of, role_of

GIDS = {"v2g-edge-operator": 901, "v2g-edge-engineer": 902}


@pytest.fixture(autouse=True)
def _groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=GIDS[name]))


@pytest.mark.parametrize(
    ("gids", "role"),
    [
        (set(), Role.VIEWER),
        ({5, 6}, Role.VIEWER),
        ({5, 901}, Role.OPERATOR),
        ({902}, Role.ENGINEER),
        ({901, 902}, Role.ENGINEER),
    ],
)
def test_the_highest_group_gives_the_role(gids: set[int], role: Role) -> None:
    assert role_of(4_000, gids) is role


def test_root_and_the_daemons_own_user_may_do_everything() -> None:
    assert role_of(0, set()) is Role.ENGINEER
    assert role_of(os.geteuid(), set()) is Role.ENGINEER


def test_where_a_group_is_missing_nobody_has_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise KeyError(name)

    monkeypatch.setattr(grp, "getgrnam", missing)
    assert role_of(4_000, {0, 901, 902}) is Role.VIEWER


def test_the_kernel_names_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """By user id and by the groups of the process; a client writes neither."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours) == Peer(os.geteuid(), Role.ENGINEER)
        monkeypatch.setattr(os, "geteuid", lambda: 4_000)
        seen: list[tuple[int, set[int]]] = []

        def role_seen(uid: int, gids: set[int]) -> Role:
            seen.append((uid, gids))
            return Role.VIEWER

        monkeypatch.setattr(roles, "role_of", role_seen)
        peer_of(ours)
    assert seen == [(os.getuid(), {os.getgid(), *os.getgroups()})]


def test_a_socket_that_names_no_peer_is_a_viewer() -> None:
    assert peer_of(None) == Peer(-1, Role.VIEWER)


@pytest.mark.parametrize(
    ("method", "params", "role"),
    [
        ("status", {}, Role.VIEWER),
        ("operate", {"stop": True}, Role.OPERATOR),
        ("order", {"trial": True}, Role.VIEWER),
        ("order", {}, Role.OPERATOR),
        ("capacity", {}, Role.VIEWER),
        ("capacity", {"book": "x"}, Role.OPERATOR),
        ("capacity", {"cancel": "x"}, Role.OPERATOR),
        ("services", {}, Role.VIEWER),
        ("services", {"limits": []}, Role.OPERATOR),
        ("ocpp", {}, Role.VIEWER),
        ("ocpp", {"station": "CP01", "operation": "reset"}, Role.ENGINEER),
        ("ocpp", {"station": "CP01", "operation": 0}, Role.ENGINEER),
        ("ocpp", {"station": "@site", "operation": "certificates"}, Role.VIEWER),
        ("ocpp", {"station": "@site", "operation": "rollout-status"}, Role.VIEWER),
        ("ocpp", {"station": "CP01", "operation": "certificates"}, Role.ENGINEER),
        ("ocpp", {"station": "@site", "operation": "rollout-abort"}, Role.ENGINEER),
        ("ocpp", {"station": "@site", "operation": ["certificates"]}, Role.ENGINEER),
        ("capacity", {"book": []}, Role.OPERATOR),
        ("capacity", {"book": "", "cancel": None}, Role.VIEWER),
        ("site_file", {"apply": 0.0}, Role.ENGINEER),
        ("site_file", {"text": "x"}, Role.VIEWER),
        ("site_file", {"apply": True}, Role.ENGINEER),
        ("site_file", {"apply": 1}, Role.ENGINEER),
        ("cloud", {}, Role.ENGINEER),
        ("a method that is new", {}, Role.ENGINEER),
    ],
)
def test_each_request_needs_a_role(method: str, params: dict[str, Any], role: Role) -> None:
    assert role_needed(method, params) is role


def test_every_method_of_the_daemon_has_its_role() -> None:
    """One without a row needs an engineer: a viewer's question would be refused."""
    source = Path("v2g_edge/wiring/handlers.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"(\w+)": |found\["(\w+)"\]', source))
    named = {word for pair in named for word in pair if word}
    assert {"status", "night", "site_file"} <= named
    assert len(named) > 8
    assert named <= NEEDS.keys()


@pytest.mark.parametrize("method", sorted(NEEDS))
@pytest.mark.parametrize("value", [None, [], {}, 0, "", "\ud800"])
def test_no_value_breaks_the_question(method: str, value: Any) -> None:
    keys = ("acknowledge", "trial", "book", "cancel", "operation", "apply", "limits")
    assert role_needed(method, dict.fromkeys(keys, value)) in Role


async def _asked(path: Path, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for request in requests:
        writer.write(json.dumps(request).encode() + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    return answers


async def test_a_viewer_looks_and_its_order_is_refused_with_the_group_to_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is recorded as an order is, with the kernel's name for the user; the handler never runs."""
    monkeypatch.setattr(control_module, "peer_of", lambda _bare: Peer(4_000, Role.VIEWER))
    monkeypatch.setattr(control_module, "name_of", lambda uid: f"user{uid}")
    acted, kept = [], list[Ordered]()

    async def handler(params: dict[str, Any]) -> dict[str, Any]:
        acted.append(params)
        return {}

    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": handler, "status": handler}, role_needed, kept.append)
    await control.start()
    refused, looked = await _asked(
        path, {"method": "operate", "params": {"stop": True, "by": "root"}}, {"method": "status"}
    )
    await control.stop()
    assert refused["error"]["kind"] == "forbidden"
    assert "needs the role operator, and user4000 is viewer" in refused["error"]["text"]
    assert f"usermod -aG {GROUP[Role.OPERATOR]} user4000" in refused["error"]["text"]
    assert looked == {"id": 0, "result": {}}
    assert acted == [{}]
    assert [(each.name, each.role, each.method) for each in kept] == [("user4000", "viewer", "operate")]
    assert kept[0].outcome == "refused: needs the role operator"


async def test_orders_are_recorded_and_looks_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "peer_of", lambda _bare: Peer(4_001, Role.OPERATOR))
    monkeypatch.setattr(control_module, "name_of", lambda uid: f"user{uid}")
    kept = list[Ordered]()

    async def handler(params: dict[str, Any]) -> dict[str, Any]:
        if "acknowledge" in params:
            raise BadRequestError("it does not act")
        return {}

    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": handler, "status": handler}, role_needed, kept.append)
    await control.start()
    await _asked(
        path,
        {"method": "status"},
        {"method": "operate", "params": {"stop": True}},
        {"method": "operate", "params": {"acknowledge": "x"}},
    )
    await control.stop()
    assert [(each.params, each.outcome) for each in kept] == [
        ({"stop": True}, "done"),
        ({"acknowledge": "x"}, "refused: it does not act"),
    ]
