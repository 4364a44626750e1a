"""Who asks on the control socket, and what that user may do there: viewer, operator or engineer.

The kernel names the user at the other end (SO_PEERCRED) and the groups of that process (SO_PEERGROUPS), so
nothing that a client writes can raise its role. The socket file lets members of its group connect; each of
them is a viewer. Members of ``v2g-edge-operator`` may also give orders, members of ``v2g-edge-engineer`` may
also change what the depot is. root and the daemon's own user may do everything.
"""

import grp
import os
import pwd
import socket
import struct
from enum import IntEnum
from typing import Any, Final, NamedTuple

SO_PEERGROUPS: Final = 59
"""Linux 4.13 and newer (unix(7)); Python 3.11 has no name for it."""
GROUPS_OCTETS: Final = 1_024
"""The most that Python reads of an option: 256 groups. A process of more groups counts with none of them."""
UNNAMED: Final = -1
"""The user id of a peer that the kernel does not name."""


class Role(IntEnum):
    """What a client may do; each role may do all that the one before it may."""

    VIEWER = 0
    OPERATOR = 1
    ENGINEER = 2

    @property
    def title(self) -> str:
        """As messages and the journal show it."""
        return self.name.lower()


GROUP: Final = {Role.OPERATOR: "v2g-edge-operator", Role.ENGINEER: "v2g-edge-engineer"}
"""The system group whose members have a role. The package makes both."""


class Peer(NamedTuple):
    """The process at the other end of a connection: its user, and what it may do."""

    uid: int
    role: Role


def peer_of(bare: Any) -> Peer:
    """The peer of a connected Unix socket; a viewer where the kernel does not say."""
    form = struct.Struct("3i")
    try:
        _pid, uid, gid = form.unpack(bare.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))
    except (AttributeError, OSError, struct.error):
        return Peer(UNNAMED, Role.VIEWER)
    return Peer(uid, role_of(uid, {gid, *_groups_of(bare)}))


def role_of(uid: int, gids: set[int]) -> Role:
    """The highest role that the user id or one of the groups gives."""
    if uid in (0, os.geteuid()):
        return Role.ENGINEER
    return max((role for role, name in GROUP.items() if _gid_of(name) in gids), default=Role.VIEWER)


def name_of(uid: int) -> str:
    """The account's name, or "uid N" without one. It may ask a directory service: call it in a thread."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError):
        return f"uid {uid}"


def refusal(name: str, role: Role, needed: Role, what: str) -> str:
    """Why a user of this role may not do ``what``, and which group to join."""
    return (
        f"{what} needs the role {needed.title}, and {name} is {role.title}; join the group {GROUP[needed]}"
        f" (as root: usermod -aG {GROUP[needed]} {name}), then log in again"
    )


def _groups_of(bare: Any) -> tuple[int, ...]:
    try:
        data = bare.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_OCTETS)
    except OSError:
        return ()
    return struct.unpack(f"{len(data) // 4}I", data)


def _gid_of(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, OSError):
        return -1
