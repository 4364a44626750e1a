"""``v2g-edge console``: the web page and REST interface. ``v2g-edge console-code``: the one-time code of
its first visit.
"""

import argparse
import asyncio
import ipaddress
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v2g_edge.cli.client import add_socket
from v2g_edge.cli.outcome import BAD_INPUT, DONE, CommandError
from v2g_edge.console.proxy import GROUPS_HEADER, SECRET_HEADER, USER_HEADER, ProxyTrust, trust_of
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.logs import set_up_logs

STATE: Final = Path("/var/lib/v2g-edge-console")
LISTEN: Final = "127.0.0.1:3000"


def register(subparsers: Any) -> None:
    """Add the commands."""
    parser = subparsers.add_parser("console", help="serve the web page and the REST interface")
    parser.add_argument("--listen", default=LISTEN, metavar="ADDRESS:PORT", help=f"where (default {LISTEN})")
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM); needed beyond this machine"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--client-ca",
        type=Path,
        metavar="FILE",
        help="authority (PEM) of people's certificates: one whose name is an account's opens its session",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a host name under which browsers reach it, beside its address (may be repeated)",
    )
    _add_proxy(parser)
    _add_state(parser)
    add_socket(parser)
    parser.set_defaults(run=run)
    parser = subparsers.add_parser(
        "console-code", help="a one-time code for the console's first visit, or a lost password"
    )
    _add_state(parser)
    parser.set_defaults(run=print_code)


def _add_proxy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an address or network of proxies that are believed when their header says who asks (may be"
        " repeated)",
    )
    parser.add_argument(
        "--proxy-secret-file",
        type=Path,
        metavar="FILE",
        help=f"what such a proxy sends as {SECRET_HEADER}; a proxy on this machine needs it",
    )
    parser.add_argument(
        "--proxy-user",
        default=USER_HEADER,
        metavar="HEADER",
        help=f"its header with the name (default {USER_HEADER})",
    )
    parser.add_argument(
        "--proxy-groups",
        default=GROUPS_HEADER,
        metavar="HEADER",
        help=f"its header with groups, parted by commas (default {GROUPS_HEADER})",
    )
    parser.add_argument(
        "--proxy-role",
        action="append",
        default=[],
        metavar="GROUP=ROLE",
        help="the role of a group; without any, the account of the name has the role (may be repeated)",
    )


def _proxy_of(arguments: argparse.Namespace) -> ProxyTrust | None:
    """Which proxies are believed. Raises ``CommandError``."""
    if not arguments.proxy:
        if arguments.proxy_secret_file is not None or arguments.proxy_role:
            raise CommandError("--proxy-secret-file and --proxy-role need --proxy", BAD_INPUT)
        return None
    try:
        file = arguments.proxy_secret_file
        secret = file.read_bytes().strip() if file is not None else b""
        if file is not None and not secret:
            raise ValueError(f"{file}: it is empty; it holds the proxy's secret")
        return trust_of(
            arguments.proxy, secret, arguments.proxy_role, arguments.proxy_user, arguments.proxy_groups
        )
    except (OSError, ValueError) as error:
        raise CommandError(str(error), BAD_INPUT) from error


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"the accounts' folder (default {STATE})"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    # The web framework is loaded by this command alone: every other one starts without it.
    from v2g_edge.console.server import Console, Options  # noqa: PLC0415

    host, port = place_of(arguments.listen)
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise CommandError("--tls-cert and --tls-key go together", BAD_INPUT)
    tls = (arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    if arguments.client_ca is not None and tls is None:
        raise CommandError("--client-ca needs --tls-cert and --tls-key", BAD_INPUT)
    options = Options(
        host,
        port,
        arguments.socket,
        arguments.state,
        tls,
        names=frozenset(arguments.name),
        client_ca=arguments.client_ca,
        proxy=_proxy_of(arguments),
    )
    if tls is None and not options.is_local:
        raise CommandError(
            f"--listen {arguments.listen} is reached from other machines, and passwords must not cross a"
            " network in the clear: give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy"
            " with TLS",
            BAD_INPUT,
        )
    clock = SystemClock()
    set_up_logs(
        "info",
        lambda: datetime.fromtimestamp(clock.wall_s(), UTC).isoformat(timespec="milliseconds"),
        "auto",
        clock.now_s,
    )
    asyncio.run(_serve(Console, options))
    return DONE


async def _serve(console: Any, options: Any) -> None:
    try:
        for path in (*(options.tls or ()), *([options.client_ca] if options.client_ca else [])):
            path.read_bytes()  # the library's own error does not name the file
        serving = console(options, SystemClock())
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"the console cannot start: {error}", BAD_INPUT) from error
    scheme = "https" if options.tls else "http"
    print(f"the console is on {scheme}://{options.host}:{serving.port}/", flush=True)
    if not serving.accounts.is_claimed():
        print(
            "there is no account yet: `v2g-edge console-code` prints the code of the first visit", flush=True
        )
    await serving.run()


def print_code(arguments: argparse.Namespace) -> int:
    """Print a new code; the one before it is void."""
    from v2g_edge.console.accounts import CODE_S, Accounts  # noqa: PLC0415 - as above

    store = arguments.state / "console.sqlite"
    try:
        code = Accounts(arguments.state).new_code(SystemClock().wall_s())
        owner = arguments.state.stat()
        if os.geteuid() == 0:  # the console runs as the folder's owner
            os.chown(store, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise CommandError(f"{arguments.state}: {error}; run it as root", BAD_INPUT) from error
    print(code)
    print(
        f"Open the console and enter it within {CODE_S / 60:.0f} minutes. It makes one engineer's account,"
        " once."
    )
    return DONE


def place_of(listen: str) -> tuple[str, int]:
    """Address and port. An address, no name: what is listened on must not depend on a name service."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 65_535:
        raise CommandError(
            f"--listen {listen}: it takes an address and a port, like {LISTEN} or [::1]:3000", BAD_INPUT
        )
    return host, number
