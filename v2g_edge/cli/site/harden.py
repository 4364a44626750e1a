"""``v2g-edge harden``: a drop-in for systemd that lets the daemon talk to what its site file names, and to
nothing else.

It is made from the site file and from the networks of the chargers, which no file knows. Names are looked up
when the drop-in is made: a broker that moves to another address needs a new one.
"""

import argparse
import ipaddress
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from v2g_edge.cli.outcome import BAD_INPUT, DONE, FAILED, CommandError
from v2g_edge.config.load import load
from v2g_edge.config.problems import ConfigError
from v2g_edge.market.price_services import FEEDS
from v2g_edge.model.settings import FleetSettings, Listener, Settings, TelematicsSettings

DROP_IN: Final = Path("/etc/systemd/system/v2g-edge.service.d/20-networks.conf")
RESOLVER: Final = Path("/etc/resolv.conf")
PORTS_OF_OURS: Final = (Listener, FleetSettings, TelematicsSettings)
"""Tables whose ``host`` is an address of this machine, on which others dial in."""
HOSTS_OF_OURS: Final = frozenset({"signal_host"})
"""Fields of other tables that are such an address."""
NO_SERIAL: Final = (
    "# No serial line in the site file: no device either.",
    "DeviceAllow=",
    "SupplementaryGroups=",
    "PrivateDevices=yes",
)


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("harden", help="let the daemon talk to what its site file names, no more")
    parser.add_argument("--config", type=Path, default=Path("/etc/v2g-edge/site.toml"), help="the site file")
    parser.add_argument(
        "--network",
        action="append",
        required=True,
        metavar="NETWORK",
        help="where chargers and others that dial in are, like 10.20.0.0/16; again for each",
    )
    parser.add_argument("--write", action="store_true", help=f"write {DROP_IN} instead of showing it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the drop-in, or write it."""
    networks = [_network(text) for text in arguments.network]
    try:
        settings = load(arguments.config)
    except ConfigError as error:
        raise CommandError(str(error), BAD_INPUT) from error
    text = drop_in(settings, networks, name_servers())
    if not arguments.write:
        print(text, end="")
        return DONE
    try:
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text(text, encoding="utf-8")
        DROP_IN.chmod(0o644)
    except OSError as error:
        raise CommandError(f"{DROP_IN} cannot be written: {error.strerror}; be root", FAILED) from error
    print(f"{DROP_IN}: written. Then: systemctl daemon-reload && systemctl restart v2g-edge")
    print("Taken back by: rm", DROP_IN)
    return DONE


def drop_in(settings: Settings, networks: Iterable[str], resolvers: Iterable[str]) -> str:
    """The drop-in's text. CommandError where a name has no address now."""
    lines = [
        "# Made by v2g-edge harden from the site file. Make it anew when an address in it changes.",
        "[Service]",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
    ]
    lines += [f"IPAddressAllow={network}" for network in networks]
    lines += [f"# name server\nIPAddressAllow={address}" for address in resolvers if not _is_local(address)]
    for host in sorted(set(destinations(settings))):
        addresses = [address for address in _addresses(host) if not _is_local(address)]
        if addresses:
            lines.append(f"# {host}")
            lines += [f"IPAddressAllow={address}" for address in addresses]
    if not any(line.transport == "rtu" for line in settings.lines):
        lines += NO_SERIAL
    return "\n".join([*lines, ""])


def destinations(settings: Struct) -> Iterator[str]:
    """Every host that the daemon dials by itself: by the names of the settings' fields, so that a new table
    counts too.
    """
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Struct):
            yield from destinations(value)
        elif isinstance(value, tuple) and field.name == "ocsp_hosts":
            yield from value
        elif isinstance(value, tuple):
            for each in value:
                if isinstance(each, Struct):
                    yield from destinations(each)
        elif isinstance(value, str) and value:
            yield from _host_of(settings, field.name, value)
    if isinstance(settings, Settings) and settings.prices.feed and not settings.prices.url:
        yield _of_url(FEEDS[settings.prices.feed].url)


def _host_of(table: Struct, name: str, value: str) -> Iterator[str]:
    if name == "url" or name.endswith("_url"):
        yield _of_url(value)
    elif name in HOSTS_OF_OURS:
        return
    elif name.endswith("_host") or (name == "host" and not isinstance(table, PORTS_OF_OURS)):
        yield value


def _of_url(url: str) -> str:
    host = urlsplit(url).hostname
    if not host:
        raise CommandError(f"{url!r} names no host", BAD_INPUT)
    return host


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise CommandError(f"--network {text}: {error}; expected one like 10.20.0.0/16", BAD_INPUT) from error


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(
            f"{host} has no address now ({error.strerror}); mend the name or the name server", FAILED
        ) from error
    return sorted({str(each[4][0]) for each in found})


def _is_local(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def name_servers(path: Path = RESOLVER) -> list[str]:
    """The machine's name servers; a local one, like systemd-resolved, asks them itself."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = [line.split() for line in lines if line.startswith("nameserver")]
    return [row[1] for row in rows if len(row) > 1 and _is_address(row[1])]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
