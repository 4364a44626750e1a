"""The client against sockets that are not the daemon's."""

import socket
import threading
from pathlib import Path

import pytest

from v2g_edge.cli.client import ask
from v2g_edge.cli.outcome import CommandError


def answer(path: Path, data: bytes) -> threading.Thread:
    """A peer that says ``data`` to one request and hangs up."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)

    def serve() -> None:
        connection, _ = server.accept()
        with connection, server:
            connection.recv(65_536)
            connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", 1, "cannot be read"),
        (b"garbage\n", 1, "cannot be read"),
        (b"[]\n", 1, "cannot be read"),
        (b"{}\n", 1, "cannot be read"),
        (b'{"id":1,"error":{"kind":"bad_request","text":"no outlet Z"}}\n', 2, "no outlet Z"),
    ],
)
def test_what_is_no_answer_ends_with_a_reason(tmp_path: Path, data: bytes, code: int, word: str) -> None:
    """Nothing, garbage, another shape, a refusal."""
    path = tmp_path / "s"
    thread = answer(path, data)
    with pytest.raises(CommandError) as caught:
        ask(str(path), "why")
    thread.join()
    assert caught.value.code == code
    assert word in str(caught.value)


def test_an_answer_may_come_in_pieces(tmp_path: Path) -> None:
    """Larger than one read."""
    path = tmp_path / "s"
    thread = answer(path, b'{"id":1,"result":{"x":"' + b"y" * 300_000 + b'"}}\n')
    assert len(ask(str(path), "status")["x"]) == 300_000
    thread.join()


def test_silence_ends_by_itself(tmp_path: Path) -> None:
    """A peer that never answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)
        with pytest.raises(CommandError, match="timed out"):
            ask(str(tmp_path / "s"), "status", timeout_s=0.05)
