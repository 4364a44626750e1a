"""Ports on which the daemon is to listen: free on this machine, and this machine's to give."""

import errno
import socket
from collections.abc import Iterator

from v2g_edge.cli.checking.raw import Table, host_table, number, tables, text
from v2g_edge.cli.client import ask
from v2g_edge.cli.outcome import CommandError
from v2g_edge.config import Problem
from v2g_edge.model.settings import HostSettings, Listener


def port_problems(document: Table, file: str) -> Iterator[Problem]:
    """Each port that cannot be listened on. A port that our own running daemon has is no problem."""
    running = _is_running(text(host_table(document), "socket", HostSettings().socket))
    for path, listener in tables(document, "listeners"):
        port = number(listener, "port", Listener().port)
        host = text(listener, "host", Listener().host)
        if not isinstance(port, int) or not 0 < port < 65_536:
            continue
        fault = _bind(host, port)
        if fault == errno.EADDRINUSE and not running:
            mend = (
                f"Another program has it: ss -ltnp 'sport = :{port}' names it. Or is the daemon running with"
                " another socket?"
            )
            yield Problem(file, f"{path}.port", f"{port}: in use", "a free port", mend)
        elif fault in {errno.EADDRNOTAVAIL, errno.ENODEV}:
            mend = 'Name one of `ip address`, or "0.0.0.0" for all.'
            yield Problem(
                file, f"{path}.host", f'"{host}": not an address of this machine', "an own address", mend
            )
        elif fault == socket.EAI_NONAME:
            yield Problem(
                file,
                f"{path}.host",
                f'"{host}": name not found',
                "an address of this machine",
                "Write the address.",
            )


def _is_running(path: str) -> bool:
    try:
        return bool(path) and bool(ask(path, "status", timeout_s=2.0))
    except CommandError:
        return False


def _bind(host: str, port: int) -> int:
    """0, or the number of the fault. No station can dial in meanwhile: the socket does not listen."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        return socket.EAI_NONAME
    except (OSError, UnicodeError) as error:
        return getattr(error, "errno", 0) or 0
    return 0
