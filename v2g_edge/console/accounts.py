"""People and their sessions: local accounts with Argon2id, one-time code for the first one, API tokens,
lock-outs.

Accounts, token hashes and the code's hash are in SQLite, in the console's own state folder. Sessions are in
memory, and a restart ends them. Passwords are hashed one at a time in a thread (19 MiB each), and an unknown
name costs as much as a known one.
"""

import asyncio
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from v2g_edge.console.lockout import Caller, Lockout
from v2g_edge.console.roles import NAME_MAX, ROLES, Role

NOBODY: Final = Caller()
"""Without an address or a mark: what the command line does."""

HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's figures for Argon2id; the library's own default takes 64 MiB at each login."""
PASSWORD_MIN: Final = 12
IDLE_S: Final = 1_800.0
SESSION_S: Final = 12 * 3_600.0
CODE_S: Final = 3_600.0
LOGINS_MAX: Final = 8
STRANGERS_MAX: Final = 6
"""Passwords that wait for their hash (0.1 s each); more at once is a flood, and has to come again. Some of
the places are for names that have logged in from there before.
"""


class NotAllowed(Exception):  # noqa: N818 - an answer, told to people in these words
    """The person may not do that; ``wait_s`` above 0: not before so many seconds have passed."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass
class Person:
    """Who acts, and how far. ``token`` is the label of the token that acts in this name, "" for the
    person.
    """

    name: str
    role: Role
    token: str = ""

    @property
    def title(self) -> str:
        """The name as an order's record has it."""
        return f"{self.name} (token {self.token})" if self.token else self.name

    def may(self, role: Role) -> bool:
        """Whether this person may do what ``role`` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass
class Session:
    """A person at a browser. ``csrf`` must come back with every order; ``proxied``: a proxy said who it
    is.
    """

    person: Person
    csrf: str
    since_s: float
    seen_s: float
    proxied: bool = False


@dataclass
class Accounts:
    """All of it. Times come from the caller: ``now_s`` is monotonic, ``wall_s`` is UTC epoch."""

    folder: Path
    _sessions: dict[str, Session] = field(default_factory=dict)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._store() as store:
            store.execute("CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, role TEXT, hash TEXT)")
            store.execute(
                "CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, owner TEXT, label TEXT, role TEXT,"
                " until_wall_s REAL)"
            )
            store.execute("CREATE TABLE IF NOT EXISTS code (hash TEXT, until_wall_s REAL)")
            store.execute("CREATE TABLE IF NOT EXISTS marks (one INTEGER PRIMARY KEY, key BLOB)")
            store.execute("INSERT OR IGNORE INTO marks VALUES (1, ?)", (secrets.token_bytes(32),))
            self._lockout = Lockout(store.execute("SELECT key FROM marks").fetchone()[0])
        (self.folder / "console.sqlite").chmod(0o600)
        self._dummy = HASHER.hash(secrets.token_urlsafe(16))

    @contextmanager
    def _store(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "console.sqlite", isolation_level=None)) as store:
            yield store

    def is_claimed(self) -> bool:
        """Whether there is an account; until then only a one-time code opens the door."""
        with self._store() as store:
            return bool(store.execute("SELECT 1 FROM people LIMIT 1").fetchone())

    def new_code(self, wall_s: float) -> str:
        """A one-time code for the first account, good for an hour; it replaces the one before."""
        code = "-".join(f"{secrets.randbelow(10_000):04d}" for _ in range(4))
        with self._store() as store:
            store.execute("DELETE FROM code")
            store.execute("INSERT INTO code VALUES (?, ?)", (_digest(code), wall_s + CODE_S))
        return code

    async def claim(self, code: str, name: str, password: str, wall_s: float) -> None:
        """Make an engineer's account with the one-time code, or give it a new password. Of two claims one
        wins.
        """
        _check_new(name, password)
        wrong = NotAllowed(
            "the code is wrong, used or older than an hour; `v2g-edge console-code` prints a new one"
        )
        with self._store() as store:
            if not _fits(store, code, wall_s):
                raise wrong
        hashed = await self._hash(password)
        with self._store() as store:
            store.execute("BEGIN IMMEDIATE")
            if not _fits(store, code, wall_s):
                store.execute("ROLLBACK")
                raise wrong
            store.execute("INSERT OR REPLACE INTO people VALUES (?, 'engineer', ?)", (name, hashed))
            store.execute("DELETE FROM code")
            store.execute("COMMIT")
        self._end_all(name)
        self._lockout.forget(name)

    async def add(self, name: str, role: Role, password: str) -> None:
        """Make an account, or give one another role and password; what it had open ends."""
        _check_new(name, password)
        hashed = await self._hash(password)
        with self._store() as store:
            store.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", (name, role, hashed))
            store.execute("DELETE FROM tokens WHERE owner = ?", (name,))
        self._end_all(name)
        self._lockout.forget(name)

    async def change_password(
        self, name: str, old: str, new: str, now_s: float, *, keep: str, caller: Caller = NOBODY
    ) -> None:
        """Give an account a new password; the session ``keep`` goes on, all others end. NotAllowed where the
        old password is wrong, or after too many wrong ones.
        """
        _check_new(name, new)
        self.logout(
            await self.login(name, old, now_s, caller)
        )  # proves the old password, and counts wrong ones
        hashed = await self._hash(new)
        with self._store() as store:
            store.execute("UPDATE people SET hash = ? WHERE name = ?", (hashed, name))
        kept = self._sessions.get(keep)
        self._end_all(name)
        if kept is not None and kept.person.name == name:
            self._sessions[keep] = kept

    def remove(self, name: str) -> None:
        """End an account with its sessions and tokens."""
        with self._store() as store:
            store.execute("DELETE FROM people WHERE name = ?", (name,))
            store.execute("DELETE FROM tokens WHERE owner = ?", (name,))
        self._end_all(name)

    def people(self) -> list[dict[str, str]]:
        """Names and roles."""
        with self._store() as store:
            return [
                {"name": name, "role": role}
                for name, role in store.execute("SELECT name, role FROM people ORDER BY name")
            ]

    def new_mark(self, name: str) -> str:
        """What a browser keeps that has logged in, so that no guess of another keeps it out."""
        return self._lockout.new_mark(name)

    async def login(self, name: str, password: str, now_s: float, caller: Caller = NOBODY) -> str:
        """A new session's id. Raises ``NotAllowed`` for a wrong name or password, and while the caller has
        to wait.
        """
        name = name[:NAME_MAX]
        wait_s = self._lockout.wait_s(name, caller, now_s)
        if wait_s > 0.0:
            raise NotAllowed(f"too many wrong passwords; try again in {wait_s:.0f} s", wait_s)
        if self._waiting >= (LOGINS_MAX if self._lockout.is_known(name, caller) else STRANGERS_MAX):
            raise NotAllowed("too many people log in at once; try again in 2 s", 2.0)
        self._lockout.count(name, caller, now_s)
        with self._store() as store:
            row = store.execute("SELECT role, hash FROM people WHERE name = ?", (name,)).fetchone()
        if not await self._verify(row[1] if row else self._dummy, password) or row is None:
            raise NotAllowed("name or password is wrong")
        self._lockout.came_in(name, caller)
        return self._begin(name, row[0], now_s)

    def enter(self, name: str, now_s: float) -> str:
        """A new session's id for a person whose certificate was checked. Raises ``NotAllowed`` where no
        account has this name.
        """
        role = self.role_of(name)
        if not name:
            raise NotAllowed("the browser showed no certificate of the depot's authority")
        if role is None:
            raise NotAllowed(f"no account is called {name!r}, as this certificate is")
        return self._begin(name, role, now_s)

    def enter_proxied(self, name: str, role: Role | None, now_s: float) -> str:
        """A new session's id for a person whom a believed proxy named; the account has the role where
        ``role`` is None. Raises ``NotAllowed`` where there is no such account.
        """
        found = role or self.role_of(name)
        if found is None:
            raise NotAllowed(f"no account is called {name!r}, as the proxy says")
        return self._begin(name, found, now_s, proxied=True)

    def role_of(self, name: str) -> Role | None:
        """The role of an account; None where there is none of this name."""
        with self._store() as store:
            row = store.execute("SELECT role FROM people WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _begin(self, name: str, role: Role, now_s: float, *, proxied: bool = False) -> str:
        self._end_old(now_s)
        session = secrets.token_urlsafe(32)
        person, csrf = Person(name, role), secrets.token_urlsafe(24)
        self._sessions[session] = Session(person, csrf, now_s, now_s, proxied)
        return session

    def session(self, key: str, now_s: float, *, acts: bool = True) -> Session | None:
        """The session of a cookie, while it lasts. A stream that only runs on (not ``acts``) does not make
        it last.
        """
        found = self._sessions.get(key)
        if found is None:
            return None
        if _is_over(found, now_s):
            del self._sessions[key]
            return None
        if acts:
            found.seen_s = now_s
        return found

    def logout(self, key: str) -> None:
        """End a session."""
        self._sessions.pop(key, None)

    def new_token(self, owner: str, label: str, role: Role, until_wall_s: float) -> str:
        """A token for programs; only its hash is kept, so it is shown once."""
        token = "v2g_" + secrets.token_urlsafe(32)
        with self._store() as store:
            store.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
                (_digest(token), owner, label, role, until_wall_s),
            )
        return token

    def tokens(self) -> list[dict[str, str | float]]:
        """All tokens, without what opens the door."""
        keys = ("owner", "label", "role", "until_wall_s")
        with self._store() as store:
            rows = store.execute(
                "SELECT owner, label, role, until_wall_s FROM tokens ORDER BY owner, label"
            ).fetchall()
        return [dict(zip(keys, row, strict=True)) for row in rows]

    def end_token(self, owner: str, label: str) -> None:
        """End the tokens of this label."""
        with self._store() as store:
            store.execute("DELETE FROM tokens WHERE owner = ? AND label = ?", (owner, label))

    def bearer(self, token: str, wall_s: float) -> Person | None:
        """The person of a token, while it lasts."""
        asked = "SELECT owner, role, label FROM tokens WHERE hash = ? AND until_wall_s > ?"
        with self._store() as store:
            row = store.execute(asked, (_digest(token), wall_s)).fetchone()
        return Person(*row) if row else None

    def _end_old(self, now_s: float) -> None:
        self._sessions = {key: each for key, each in self._sessions.items() if not _is_over(each, now_s)}

    def _end_all(self, name: str) -> None:
        self._sessions = {key: each for key, each in self._sessions.items() if each.person.name != name}

    async def _hash(self, password: str) -> str:
        async with self._one:
            return await asyncio.to_thread(HASHER.hash, password)

    async def _verify(self, hashed: str, password: str) -> bool:
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(HASHER.verify, hashed, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            self._waiting -= 1


def _is_over(session: Session, now_s: float) -> bool:
    """After half a day, and for those who may order after half an hour without them. A viewer's wall
    screen stays.
    """
    idle = session.person.role != "viewer" and now_s - session.seen_s > IDLE_S
    return idle or now_s - session.since_s > SESSION_S


def _fits(store: sqlite3.Connection, code: str, wall_s: float) -> bool:
    row = store.execute("SELECT hash, until_wall_s FROM code").fetchone()
    return row is not None and wall_s <= row[1] and hmac.compare_digest(row[0], _digest(code.strip()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check_new(name: str, password: str) -> None:
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise NotAllowed(f"a name has 1 to {NAME_MAX} printable characters")
    if len(password) < PASSWORD_MIN:
        raise NotAllowed(f"a password has at least {PASSWORD_MIN} characters")
