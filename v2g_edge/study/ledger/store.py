"""The ledger on disk: one SQLite file. What a journal's ticks gave and the place in the journal are written
in one transaction, so that a kill at any time neither loses nor doubles anything.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from v2g_edge.study.ledger.book import State, Written
from v2g_edge.study.ledger.lines import FORGOTTEN, Line, Place, Remark, SocCycle, Stay, VehicleAccount
from v2g_edge.study.ledger.metering import Use

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS lines (
    start_wall_s REAL NOT NULL, meter TEXT NOT NULL, session TEXT NOT NULL, vehicle TEXT NOT NULL,
    service TEXT NOT NULL, method TEXT NOT NULL, in_wh REAL NOT NULL, out_wh REAL NOT NULL,
    discharge_s REAL NOT NULL, reference TEXT NOT NULL,
    PRIMARY KEY (start_wall_s, meter, session, vehicle, service, method, reference)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (
    vehicle TEXT NOT NULL, wall_s REAL NOT NULL, depth_pct REAL NOT NULL, mean_pct REAL NOT NULL,
    count REAL NOT NULL, pack_c REAL
);
CREATE INDEX IF NOT EXISTS turns_vehicle ON turns (vehicle, wall_s);
CREATE TABLE IF NOT EXISTS stays (arrived_wall_s REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS stays_arrived ON stays (arrived_wall_s);
CREATE TABLE IF NOT EXISTS remarks (
    wall_s REAL NOT NULL, until_wall_s REAL NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL,
    site BLOB NOT NULL, body BLOB NOT NULL);
"""
VERSION: Final = 1
ADD_LINE: Final = (
    "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " in_wh = in_wh + excluded.in_wh, out_wh = out_wh + excluded.out_wh,"
    " discharge_s = discharge_s + excluded.discharge_s"
)


class LedgerError(Exception):
    """The file is no ledger that can be used; the message names it, and says what to do."""


class Store:
    """A ledger file, open. It is made where there is none."""

    def __init__(self, path: Path, *, write: bool = True) -> None:
        if not write and not path.exists():
            raise LedgerError(f"{path}: there is no ledger; `v2g-edge ledger --journal FILE` makes one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path) if write else sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            if write:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.executescript(SCHEMA)
            row = self._db.execute("SELECT version, site, body FROM state WHERE id = 1").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"{path}: cannot be used as a ledger ({error})") from error
        if row and row[0] != VERSION:
            raise LedgerError(f"{path}: ledger of form {row[0]}, this program writes form {VERSION}")
        self._site: bytes = row[1] if row else b""
        self._body: bytes = row[2] if row else b""

    def state(self) -> State | None:
        """Where the bookkeeper stopped; None in a new file."""
        return msgspec.msgpack.decode(self._body, type=State) if self._body else None

    @property
    def site(self) -> Place:
        """The site as the newest tick knew it; without a name in a new file."""
        return msgspec.msgpack.decode(self._site, type=Place) if self._site else Place()

    def keep(self, written: Written, state: State, place: Place) -> None:
        """Write what was closed, and where the bookkeeper stands: all of it or none."""
        body, site = msgspec.msgpack.encode(state), msgspec.msgpack.encode(place)
        with self._db:
            self._db.executemany(ADD_LINE, (_row(line) for line in written.lines))
            self._db.executemany(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)",
                (msgspec.structs.astuple(t) for t in written.turns),
            )
            self._db.executemany(
                "INSERT INTO stays VALUES (?, ?)",
                ((stay.arrived_wall_s, msgspec.msgpack.encode(stay)) for stay in written.stays),
            )
            self._db.executemany(
                "INSERT INTO remarks VALUES (?, ?, ?, ?, ?)",
                (msgspec.structs.astuple(r) for r in written.remarks),
            )
            self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?)", (VERSION, site, body))
        self._body, self._site = body, site

    def correct(self, lines: Iterable[Line], remarks: Iterable[Remark]) -> int:
        """Add corrections by hand; one whose reference is known already changes nothing. Gives how many are
        new.
        """
        known = {str(row[0]) for row in self._db.execute("SELECT DISTINCT reference FROM lines")}
        new = [line for line in lines if line.reference not in known]
        fresh = {line.reference for line in new}
        with self._db:
            self._db.executemany(ADD_LINE, (_row(line) for line in new))
            self._db.executemany(
                "INSERT INTO remarks VALUES (?, ?, ?, ?, ?)",
                (
                    msgspec.structs.astuple(r)
                    for r in remarks
                    if any(r.text.startswith(f"{f}:") for f in fresh)
                ),
            )
        return len(fresh)

    def forget(self, vehicle: str) -> int:
        """Remember a vehicle no more: its energy stays in all totals, under no name; its stays, cycles, SoC
        and temperatures are deleted. Gives how many lines were changed. LedgerError while it is plugged in.
        """
        state = self.state()
        if state is not None and any(stay.vehicle == vehicle for stay in state.garage.here.values()):
            raise LedgerError(f"{vehicle} is plugged in now; it can be forgotten when it has left")
        self._db.execute("PRAGMA secure_delete=ON")
        rows = self._db.execute("SELECT * FROM lines WHERE vehicle = ?", (vehicle,)).fetchall()
        kept = [
            rowid
            for rowid, body in self._db.execute("SELECT rowid, body FROM stays")
            if msgspec.msgpack.decode(body, type=Stay).vehicle == vehicle
        ]
        with self._db:
            self._db.execute("DELETE FROM lines WHERE vehicle = ?", (vehicle,))
            self._db.executemany(ADD_LINE, ((*r[:2], FORGOTTEN, FORGOTTEN, *r[4:]) for r in rows))
            self._db.execute("DELETE FROM turns WHERE vehicle = ?", (vehicle,))
            self._db.executemany("DELETE FROM stays WHERE rowid = ?", ((rowid,) for rowid in kept))
            self._db.execute("UPDATE remarks SET subject = ? WHERE subject = ?", (FORGOTTEN, vehicle))
            if state is not None:
                forgotten(state, vehicle)
                self._body = msgspec.msgpack.encode(state)
                self._db.execute("UPDATE state SET body = ? WHERE id = 1", (self._body,))
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(rows)

    def lines(self, from_wall_s: float, until_wall_s: float) -> Iterator[Line]:
        """Lines of intervals that begin in a time, by interval. Those still open are among them."""
        for row in self._db.execute(
            "SELECT * FROM lines WHERE start_wall_s >= ? AND start_wall_s < ? ORDER BY start_wall_s",
            (from_wall_s, until_wall_s),
        ):
            yield Line(*row)
        state = self.state()
        for account in state.meters.values() if state else ():
            yield from (
                line
                for line in account.closed(float("inf"))
                if from_wall_s <= line.start_wall_s < until_wall_s
            )

    def given(self) -> dict[str, tuple[float, float]]:
        """(Wh, seconds) of discharge of each vehicle, from the first line to now; no feeder's meter."""
        asked = (
            "SELECT vehicle, SUM(out_wh), SUM(discharge_s) FROM lines WHERE vehicle <> '' GROUP BY vehicle"
        )
        sums = {str(row[0]): (float(row[1]), float(row[2])) for row in self._db.execute(asked)}
        state = self.state()
        for account in state.meters.values() if state else ():
            for line in account.closed(float("inf")):
                wh, seconds = sums.get(line.vehicle, (0.0, 0.0))
                if line.vehicle:
                    sums[line.vehicle] = (wh + line.out_wh, seconds + line.discharge_s)
        return sums

    def turns(self, from_wall_s: float, until_wall_s: float) -> list[SocCycle]:
        """Cycles that closed in a time, by vehicle."""
        query = "SELECT * FROM turns WHERE wall_s >= ? AND wall_s < ? ORDER BY vehicle, wall_s, rowid"
        return [SocCycle(*row) for row in self._db.execute(query, (from_wall_s, until_wall_s))]

    def stays(self, from_wall_s: float, until_wall_s: float) -> list[Stay]:
        """Stays that began before the end of a time and ended after its beginning; present ones have none."""
        query = "SELECT body FROM stays WHERE arrived_wall_s < ? ORDER BY arrived_wall_s, rowid"
        kept = (msgspec.msgpack.decode(row[0], type=Stay) for row in self._db.execute(query, (until_wall_s,)))
        found = [stay for stay in kept if stay.left_wall_s is None or stay.left_wall_s > from_wall_s]
        state = self.state()
        here = state.garage.here.values() if state else ()
        return found + [stay for stay in here if stay.arrived_wall_s < until_wall_s]

    def remarks(self, from_wall_s: float, until_wall_s: float) -> list[Remark]:
        """Remarks that touch a time."""
        query = "SELECT * FROM remarks WHERE wall_s < ? AND until_wall_s >= ? ORDER BY wall_s, rowid"
        return [Remark(*row) for row in self._db.execute(query, (until_wall_s, from_wall_s))]

    def accounts(self) -> dict[str, VehicleAccount]:
        """Vehicles' whole lives in this ledger."""
        state = self.state()
        return {name: known.account for name, known in state.garage.vehicles.items()} if state else {}

    def span(self) -> tuple[float, float]:
        """(first, last) wall time of what is kept; (0, 0) where nothing is."""
        first = self._db.execute("SELECT MIN(start_wall_s) FROM lines").fetchone()[0]
        state = self.state()
        if state is None or state.at is None:
            return 0.0, 0.0
        opened = min((key[0] for m in state.meters.values() for key in m.open), default=state.at.wall_s)
        return min(float(first) if first is not None else opened, opened), state.at.wall_s

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def forgotten(state: State, vehicle: str) -> None:
    """The bookkeeper's state without a vehicle; its energy that is not written yet stays, under no name."""
    state.garage.vehicles.pop(vehicle, None)
    for account in state.meters.values():
        if account.use.vehicle == vehicle:
            account.use = Use(FORGOTTEN, FORGOTTEN, account.use.service)
        for key in [key for key in account.open if key[2] == vehicle]:
            values = account.open.pop(key)
            line = account.open.setdefault((key[0], FORGOTTEN, FORGOTTEN, *key[3:]), [0.0, 0.0, 0.0])
            for n, value in enumerate(values):
                line[n] += value


def _row(line: Line) -> tuple[object, ...]:
    return msgspec.structs.astuple(line)
