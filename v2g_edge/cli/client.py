"""Asks the running daemon over its control socket."""

import argparse
import socket
from typing import Any, Final

import msgspec
from msgspec import Struct

from v2g_edge.cli.outcome import BAD_INPUT, CommandError
from v2g_edge.model.settings import HostSettings

ANSWER_MAX: Final = 64 << 20
"""Bytes of one answer: the status of 1,000 outlets is half a megabyte, so more than this is no answer."""
TIMEOUT_S: Final = 10.0
"""The daemon answers between two ticks."""


class _Error(Struct):
    text: str


class _Answer(Struct):
    result: dict[str, Any] | None = None
    error: _Error | None = None


def add_socket(parser: argparse.ArgumentParser) -> None:
    """The option that every asking command has."""
    default = HostSettings().socket
    parser.add_argument(
        "--socket", default=default, metavar="PATH", help=f"control socket of the daemon (default {default})"
    )


def ask(
    path: str, method: str, params: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """The answer to one request. CommandError when no daemon answers (1) or when the daemon refuses (2)."""
    request = msgspec.json.encode({"id": 1, "method": method, "params": params or {}}) + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(path)
            connection.sendall(request)
            line = _line(connection)
    except PermissionError as error:
        raise CommandError(
            f"{path}: you may not ask the daemon; join the group v2g-edge (as root: usermod -aG v2g-edge"
            " NAME), then log in again"
        ) from error
    except OSError as error:
        raise CommandError(
            f"{path}: no daemon answers ({error}); is it running? systemctl status v2g-edge"
        ) from error
    try:
        answer = msgspec.json.decode(line, type=_Answer)
    except msgspec.MsgspecError as error:
        raise CommandError(
            f"{path}: the answer cannot be read ({error}); is this the daemon's socket?"
        ) from error
    if answer.error is not None:
        raise CommandError(answer.error.text, BAD_INPUT)
    if answer.result is None:
        raise CommandError(
            f"{path}: the answer cannot be read (no result in it); is this the daemon's socket?"
        )
    return answer.result


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        part = connection.recv(1 << 16)
        parts.append(part)
        size += len(part)
        if not part or part.endswith(b"\n"):
            return b"".join(parts)
        if size > ANSWER_MAX:
            raise OSError(f"more than {ANSWER_MAX} bytes")
