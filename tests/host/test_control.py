"""The control socket answers every line with one line, whatever the line is, and leaves no file behind."""

import asyncio
import contextlib
import gc
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.virtual.loop import run_virtual
from v2g_edge.host import control as control_module
from v2g_edge.host.control import (
    ASKED_BURST,
    ASKED_PER_S,
    CLIENTS_MAX,
    LINE_MAX,
    RESERVED,
    SHORT_MAX,
    BadRequestError,
    ControlSocket,
)
from v2g_edge.host.roles import Peer, Role


async def _double(params: dict[str, Any]) -> dict[str, Any]:
    if "n" not in params:
        raise BadRequestError("double takes n, a number")
    return {"n": 2 * params["n"]}


async def _ask(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answers.append(json.loads(await reader.readline()))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_requests_are_answered_in_order_with_their_ids(tmp_path: Path) -> None:
    control = ControlSocket(str(tmp_path / "run" / "c.sock"), {"double": _double})
    await control.start()
    answers = await _ask(
        tmp_path / "run" / "c.sock",
        b'{"id": 7, "method": "double", "params": {"n": 21}}',
        b'{"id": "x", "method": "double", "params": {}}',
        b'{"method": "nothing"}',
        b'{"method": 5}',
        b"not json",
    )
    await control.stop()
    assert answers[0] == {"id": 7, "result": {"n": 42}}
    assert answers[1] == {"id": "x", "error": {"kind": "bad_request", "text": "double takes n, a number"}}
    assert "there are double" in answers[2]["error"]["text"]
    assert [answer["error"]["kind"] for answer in answers[3:]] == ["bad_request", "bad_request"]


async def test_only_owner_and_group_may_ask_and_the_file_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {})
    await control.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    await control.stop()
    assert not path.exists()
    await control.stop()


async def test_a_socket_left_by_a_dead_process_is_replaced_but_a_plain_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    dead = await asyncio.start_unix_server(lambda r, w: None, str(path))
    dead.close()
    control = ControlSocket(str(path), {"double": _double})
    await control.start()
    assert (await _ask(path, b'{"method": "double", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    await control.stop()
    path.write_text("precious")
    with pytest.raises(OSError, match=r"c\.sock"):
        await ControlSocket(str(path), {}).start()
    assert path.read_text() == "precious"


async def test_an_endless_line_costs_the_client_its_connection_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"double": _double})
    await control.start()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"x" * (2 * LINE_MAX + 10))
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert (await _ask(path, b'{"method": "double", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    await control.stop()


@pytest.mark.parametrize("idle", [32, 64])
async def test_e9_stop_kept_out(tmp_path: Path, idle: int) -> None:
    """Idle connections lose their places: whoever comes is answered, and holds as few as the cap says."""
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": _double})
    await control.start()
    clients = [await asyncio.open_unix_connection(str(path)) for _ in range(idle)]
    assert (await _ask(path, b'{"method": "operate", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    ended = [await _is_ended(reader) for reader, _ in clients]
    assert sum(ended) == idle + 1 - CLIENTS_MAX
    assert ended == sorted(ended, reverse=True), "those that were idle longest"
    await control.stop()
    for _, writer in clients:
        writer.close()


async def _is_ended(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            return await reader.read(1) == b""
    return False


@pytest.mark.parametrize("octets", [SHORT_MAX - 100, SHORT_MAX, 3 * SHORT_MAX, LINE_MAX - 100])
async def test_a_line_of_any_allowed_length_is_answered_and_what_follows_it_too(
    tmp_path: Path, octets: int
) -> None:
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"double": _double})
    await control.start()
    reader, writer = await asyncio.open_unix_connection(str(path))
    for n in (1, 2):
        body = json.dumps({"id": n, "method": "double", "params": {"n": n, "text": "x" * octets}})
        writer.write(body[: LINE_MAX - 1].encode() + b"\n" if len(body) < LINE_MAX else body.encode() + b"\n")
    assert [json.loads(await reader.readline())["result"]["n"] for _ in range(2)] == [2, 4]
    writer.close()
    await control.stop()


@pytest.mark.parametrize("clients", [CLIENTS_MAX, 2 * CLIENTS_MAX])
async def test_long_lines_that_never_end_hold_little_and_keep_no_order_out(
    tmp_path: Path, clients: int
) -> None:
    """Each client could hold a megabyte of the daemon's memory."""
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": _double})
    await control.start()
    held = [await asyncio.open_unix_connection(str(path)) for _ in range(clients)]
    for _, writer in held:
        writer.write(b"x" * (LINE_MAX - 10))
    await asyncio.sleep(0.3)
    readers = [each for each in gc.get_objects() if type(each) is asyncio.StreamReader]
    buffers = [len(each._buffer) for each in readers]  # type: ignore[attr-defined]
    assert max(buffers) <= 2 * SHORT_MAX + (256 << 10)  # and what one read of the socket brings
    assert (await _ask(path, b'{"method": "operate", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    await control.stop()
    for _, writer in held:
        writer.close()


async def test_e9_a_request_that_never_ends_is_idle_too(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": _double})
    await control.start()
    clients = [await asyncio.open_unix_connection(str(path)) for _ in range(2 * CLIENTS_MAX)]
    for _, writer in clients:
        writer.write(b'{"method": "oper')
    assert (await _ask(path, b'{"method": "operate", "params": {"n": 4}}'))[0]["result"] == {"n": 8}
    await control.stop()
    for _, writer in clients:
        writer.close()


@pytest.mark.parametrize("more", [0, RESERVED - 1])
async def test_e9_where_all_are_at_work_an_order_still_gets_through(tmp_path: Path, more: int) -> None:
    """In a reserved place; a question is told to come again, and beyond those places nobody is heard."""
    path, release = tmp_path / "c.sock", asyncio.Event()

    async def slow(_params: dict[str, Any]) -> dict[str, Any]:
        await release.wait()
        return {}

    control = ControlSocket(str(path), {"operate": _double, "slow": slow, "double": _double})
    await control.start()
    clients = [await asyncio.open_unix_connection(str(path)) for _ in range(CLIENTS_MAX)]
    for _, writer in clients:
        writer.write(b'{"method": "slow"}\n')
    await _until(lambda: all(client.busy for client in control._clients.values()))
    clients += [await asyncio.open_unix_connection(str(path)) for _ in range(more)]
    assert (await _ask(path, b'{"method": "double", "params": {"n": 1}}'))[0]["error"]["kind"] == "busy"
    assert (await _ask(path, b'{"method": "operate", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    release.set()
    for reader, _ in clients[:CLIENTS_MAX]:
        assert b"result" in await reader.readline()
    await control.stop()
    for _, writer in clients:
        writer.close()


@pytest.mark.parametrize("more", [0, 40])
@pytest.mark.parametrize("what", ["operate", "status"])
async def test_e9_users_that_ask_without_end_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int, what: str
) -> None:
    """Orders that a viewer may not give, or questions, in all places: an order acts at once, and another
    user's question is answered too.
    """
    dials = [Peer(4_000, Role.VIEWER)]  # the last one is whose connections are taken now
    monkeypatch.setattr(control_module, "peer_of", lambda _bare: dials[-1])
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"operate": _double, "status": _double}, _needs_for_orders)
    accept, accepted = control._accept, 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await accept(reader, writer)

    monkeypatch.setattr(control, "_accept", counted)
    await control.start()
    clients = []
    for _ in range(CLIENTS_MAX + RESERVED + more):
        clients.append(await asyncio.open_unix_connection(str(path)))
        clients[-1][1].write(b'{"method": "%s", "params": {"n": 1}}\n' % what.encode() * 300)
        await asyncio.sleep(0)
    await _until(lambda: control._paces.get(4_000, (0.0, 0.0))[0] < 0.0)
    await _until(lambda: accepted == len(clients))  # else one of them would be taken for another user
    dials.append(Peer(1, Role.OPERATOR))
    assert (await _ask(path, b'{"method": "operate", "params": {"n": 1}}'))[0]["result"] == {"n": 2}
    dials.append(Peer(2, Role.VIEWER))
    answer = await _ask(path, b'{"method": "status", "params": {"n": 1}}')
    assert answer[0].get("result") == {"n": 2}, answer
    await control.stop()
    for _, writer in clients:
        writer.close()
    assert control._paces[4_000][0] >= -(CLIENTS_MAX + RESERVED), "who went has taken nothing"


def _needs_for_orders(method: str, _params: dict[str, Any]) -> Role:
    return Role.OPERATOR if method == "operate" else Role.VIEWER


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)


async def test_e9_idle_clients_go_and_those_that_do_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "IDLE_S", 0.05)
    monkeypatch.setattr(control_module, "WRITE_S", 0.05)

    async def long_answer(_params: dict[str, Any]) -> dict[str, Any]:
        return {"text": "x" * (8 << 20)}

    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"long": long_answer})
    await control.start()
    _, idle = await asyncio.open_unix_connection(str(path))
    _, deaf = await asyncio.open_unix_connection(str(path), limit=1)
    deaf.write(b'{"method": "long"}\n')
    await _until(lambda: len(control._tasks) == 2)
    await _until(lambda: not control._tasks)
    await control.stop()
    for writer in (idle, deaf):
        writer.close()


def test_answers_come_at_a_bounded_rate_and_orders_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local user that asks without end holds up nobody's order (virtual time, where no socket file
    appears).
    """
    monkeypatch.setattr(Path, "chmod", lambda _path, _mode: None)
    at_s: dict[str, float] = {}

    async def ask_without_end() -> None:
        control = ControlSocket("/c.sock", {"operate": _double, "double": _double})
        await control.start()
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_unix_connection("/c.sock")
        many = int(ASKED_BURST + 10 * ASKED_PER_S)
        writer.write(b'{"method": "double", "params": {"n": 1}}\n' * many)
        order_reader, order_writer = await asyncio.open_unix_connection("/c.sock")
        order_writer.write(b'{"method": "operate", "params": {"n": 1}}\n')
        await order_reader.readline()
        at_s["order"] = loop.time()
        for _ in range(many):
            await reader.readline()
        at_s["last"] = loop.time()
        for each in (writer, order_writer):
            each.close()
        await control.stop()

    run_virtual(ask_without_end())
    assert at_s["order"] < 1.0 + at_s["last"] - 10.0
    assert at_s["last"] >= 9.0
