"""The control socket answers every line with one line, whatever the line is, and leaves no file behind."""

import asyncio
import contextlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from v2g_edge.host.control import CLIENTS_MAX, LINE_MAX, BadRequestError, ControlSocket


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


async def test_more_clients_than_allowed_are_turned_away(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    control = ControlSocket(str(path), {"double": _double})
    await control.start()
    clients = [await asyncio.open_unix_connection(str(path)) for _ in range(CLIENTS_MAX)]
    for _, writer in clients:
        writer.write(b'{"method": "double", "params": {"n": 1}}\n')
    for reader, _ in clients:
        await reader.readline()
    late_reader, late_writer = await asyncio.open_unix_connection(str(path))
    assert await late_reader.read() == b""
    for writer in (late_writer, *(writer for _, writer in clients)):
        writer.close()
    await control.stop()
