"""Sign-in by a proxy: which proxies are believed, and what their headers say of who asks.

Off unless the site says so. A header counts only from a named address, and, where that address is this
machine (any program here has it), only with the proxy's secret. Everything else that carries such a header
is served as if it had none.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from v2g_edge.console.roles import NAME_MAX, ROLES, Role

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

USER_HEADER: Final = "Remote-User"
GROUPS_HEADER: Final = "Remote-Groups"
SECRET_HEADER: Final = "X-V2G-Proxy-Secret"  # noqa: S105 - the name of a header
SECRET_MIN: Final = 24
"""Characters: 24 random ones of base 64 are 144 bits."""
HERE: Final = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
"""Addresses of this machine, which any program on it has."""
GROUPS_MAX: Final = 200
"""Groups of one person that are looked at."""
PROXIED: Final = "v2g_edge_proxied"
"""Where the guard puts what a proxy said into the scope of a request."""


class Proxied(NamedTuple):
    """Who a believed proxy says it is; ``role`` is None where the account of that name has it."""

    name: str
    role: Role | None


@dataclass(frozen=True)
class ProxyTrust:
    """Which proxies are believed, and how.

    Attributes:
        networks: Where they are.
        user: The header with the name, in small letters.
        groups: The header with the groups, in small letters.
        roles: The role of a group; none: the account of the name has the role.
        secret: What the proxy proves itself with; empty: its address is enough.
    """

    networks: tuple[Network, ...]
    user: str = USER_HEADER.lower()
    groups: str = GROUPS_HEADER.lower()
    roles: Mapping[str, Role] = field(default_factory=dict)
    secret: bytes = b""

    def take(self, scope: Any) -> bool:
        """Put what the proxy says into the scope, and take its headers away. False where there were some and
        they are not believed.
        """
        own = {name.encode() for name in (self.user, self.groups, SECRET_HEADER.lower())}
        said: dict[bytes, list[bytes]] = {}
        kept = []
        for name, value in scope["headers"]:
            if name.lower() in own:
                said.setdefault(name.lower(), []).append(value)
            else:
                kept.append((name, value))
        scope["headers"] = kept
        believed = bool(said) and self._is_believed(scope, said)
        scope[PROXIED] = self._who(said) if believed else None
        return believed or not said

    def _is_believed(self, scope: Any, said: dict[bytes, list[bytes]]) -> bool:
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(str(client[0]).partition("%")[0]) if client else None
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if address is None or not any(address in network for network in self.networks):
            return False
        given = said.get(SECRET_HEADER.lower().encode(), [b""])
        return not self.secret or (len(given) == 1 and hmac.compare_digest(given[0], self.secret))

    def _who(self, said: dict[bytes, list[bytes]]) -> Proxied | None:
        """The person; None where there is none, or more than one is named."""
        names = said.get(self.user.encode(), [])
        try:
            (name,) = [each.decode("utf-8").strip() for each in names]
            groups = b",".join(said.get(self.groups.encode(), [])).decode("utf-8").split(",")[:GROUPS_MAX]
        except ValueError:
            return None
        if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
            return None
        if not self.roles:
            return Proxied(name, None)
        found = [self.roles[group.strip()] for group in groups if group.strip() in self.roles]
        return Proxied(name, max(found, key=ROLES.index)) if found else None


def trust_of(
    proxies: Sequence[str], secret: bytes, roles: Sequence[str], user: str, groups: str
) -> ProxyTrust:
    """What is believed, from the words of the command line. Raises ``ValueError`` in words."""
    networks = tuple(_network(each) for each in proxies)
    if secret and len(secret) < SECRET_MIN:
        raise ValueError(f"the proxy's secret has at least {SECRET_MIN} characters; make one anew")
    here = [
        str(each)
        for each in networks
        if any(each.version == own.version and each.overlaps(own) for own in HERE)
    ]
    if here and not secret:
        text = "every program of this machine has such an address: give --proxy-secret-file too"
        raise ValueError(f"--proxy {here[0]}: {text}")
    mapped = dict(_mapped(each) for each in roles)
    for header in (user, groups):
        if not header.replace("-", "").isalnum() or not header.isascii():
            raise ValueError(f"{header!r} is no name of a header; write it like {USER_HEADER}")
    return ProxyTrust(networks, user.lower(), groups.lower(), mapped, secret)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"--proxy {text}: it takes an address or a network, like 192.0.2.7 ({error})"
        ) from error


def _mapped(text: str) -> tuple[str, Role]:
    group, _, named = text.rpartition("=")
    role = next((each for each in ROLES if each == named), None)
    if not group or role is None:
        raise ValueError(f"--proxy-role {text}: it takes GROUP=ROLE, where ROLE is {', '.join(ROLES)}")
    return group, role
