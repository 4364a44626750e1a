"""Which addresses count as one peer, for every limit by address."""

import ipaddress


def network_of(address: str) -> str:
    """An IPv4 address (also one written as IPv6), or the /64 of an IPv6 address: one machine has 2^64 of
    those and may dial from each. A text that is no address is itself.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found) if found.is_loopback else str(ipaddress.ip_network((found, 64), strict=False))


def is_this_machine(address: str) -> bool:
    """Whether the peer is on this machine, as a proxy before us is with all its users."""
    try:
        return ipaddress.ip_address(network_of(address)).is_loopback
    except ValueError:
        return False
