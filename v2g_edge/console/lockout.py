"""Holds down guessing of passwords: by name and address, by address, by name; and no guess of another keeps
out who has been in before.

A browser that has logged in keeps a mark (a cookie that only we can make, for one name). It has a count of
its own: whatever others guess for that name, from the same address too, it may try. So may an address from
which the name has logged in before. Others share what a name and an address have.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from v2g_edge.networks import is_this_machine, network_of

TRIES: Final = 5
"""Wrong passwords of one caller for one name before it has to wait: 2 s first, then twice as long."""
LOCK_MAX_S: Final = 900.0
ADDRESS_TRIES: Final = 20
ADDRESS_EACH_S: Final = 30.0
"""Wrong passwords of one address for whatever names, in a row and one more in so long. Nobody mistypes so
often; one password for each of many names is a known way of guessing.
"""
NAME_TRIES: Final = 50
NAME_EACH_S: Final = 5.0
"""The same for one name from whatever addresses it has not logged in from: many machines that guess together
get 17,000 tries a day of a password of twelve characters.
"""
KEPT: Final = 1_000
"""Counts and addresses remembered of each kind; the one that was used longest ago is forgotten first."""


class Caller(NamedTuple):
    """Who asks to come in: the address, and the mark of a browser ("" where it has none)."""

    address: str = ""
    mark: str = ""


class _Row(NamedTuple):
    failures: int
    until_s: float


class Lockout:
    """Counts. ``key`` makes the marks and lasts as long as they do. Times are monotonic seconds."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._rows: OrderedDict[tuple[str, str], _Row] = OrderedDict()
        self._addresses = _Allowances(ADDRESS_TRIES, ADDRESS_EACH_S)
        self._names = _Allowances(NAME_TRIES, NAME_EACH_S)
        self._homes: OrderedDict[tuple[str, str], None] = OrderedDict()

    def new_mark(self, name: str) -> str:
        """For a browser that has logged in."""
        number = secrets.token_hex(16)
        return f"{number}.{self._sign(number, name)}"

    def wait_s(self, name: str, caller: Caller, now_s: float) -> float:
        """How long the caller has to wait; 0 where it may try. Counts nothing."""
        row = self._rows.get((name, self._who(name, caller)), _Row(0, 0.0))
        waits = [row.until_s - now_s]
        if not self._has_mark(name, caller):
            where = _network(caller.address)
            waits.append(self._addresses.wait_s(where, now_s))
            if (name, where) not in self._homes:
                waits.append(self._names.wait_s(name, now_s))
        return max(*waits, 0.0)

    def is_known(self, name: str, caller: Caller) -> bool:
        """Whether this name has logged in from this browser or address before."""
        return self._has_mark(name, caller) or (name, _network(caller.address)) in self._homes

    def count(self, name: str, caller: Caller, now_s: float) -> None:
        """One try, before it is known to be wrong: tries at the same moment do not pass together."""
        who = name, self._who(name, caller)
        failures = self._rows.pop(who, _Row(0, 0.0)).failures + 1
        over = failures - TRIES
        self._rows[who] = _Row(failures, now_s + min(2.0 ** (over + 1), LOCK_MAX_S) if over >= 0 else 0.0)
        _shorten(self._rows)
        if not self._has_mark(name, caller):
            self._addresses.spend(_network(caller.address), now_s)
            if not self.is_known(name, caller):
                self._names.spend(name, now_s)

    def came_in(self, name: str, caller: Caller) -> None:
        """The password was right: this caller's own count ends, and what it took of the shared ones is given
        back.
        """
        self._rows.pop((name, self._who(name, caller)), None)
        where = _network(caller.address)
        if not self._has_mark(name, caller):
            self._addresses.give_back(where)
            if not self.is_known(name, caller):
                self._names.give_back(name)
        if where:
            self._homes.pop((name, where), None)
            self._homes[name, where] = None
            _shorten(self._homes)

    def forget(self, name: str) -> None:
        """A new password was set: every count of the name ends."""
        for row in [row for row in self._rows if row[0] == name]:
            del self._rows[row]
        self._names.forget(name)

    def _who(self, name: str, caller: Caller) -> str:
        if self._has_mark(name, caller):
            return caller.mark.partition(".")[0]
        return _network(caller.address)

    def _has_mark(self, name: str, caller: Caller) -> bool:
        number, _, signature = caller.mark.partition(".")
        return hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(number, name).encode())

    def _sign(self, number: str, name: str) -> str:
        text = f"{number}.{name}".encode("utf-8", "replace")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


class _Allowances:
    """Tries that each key has: ``burst`` in a row, and one more each ``each_s``."""

    def __init__(self, burst: int, each_s: float) -> None:
        self._burst = float(burst)
        self._each_s = each_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        return max(1.0 - self._now(key, now_s), 0.0) * self._each_s if key else 0.0

    def spend(self, key: str, now_s: float) -> None:
        if key:
            left = self._now(key, now_s)
            self._left.pop(key, None)
            self._left[key] = (max(left - 1.0, 0.0), now_s)
            _shorten(self._left)

    def give_back(self, key: str) -> None:
        if key in self._left:
            left, at_s = self._left[key]
            self._left[key] = (min(left + 1.0, self._burst), at_s)

    def forget(self, key: str) -> None:
        self._left.pop(key, None)

    def _now(self, key: str, now_s: float) -> float:
        left, at_s = self._left.get(key, (self._burst, now_s))
        return min(left + (now_s - at_s) / self._each_s, self._burst)


def _shorten(rows: OrderedDict[Any, Any]) -> None:
    while len(rows) > KEPT:
        rows.popitem(last=False)


def _network(address: str) -> str:
    """What one machine has; "" for this machine itself: a proxy stands before the console there, and all its
    users have its address.
    """
    return "" if is_this_machine(address) else network_of(address)
