"""A firmware roll-out as a value: stations of one make are updated in waves, and a wave that is not wholly
good stops it all.

A member is good when it has reported that the firmware is installed, has come back with the expected version
in its BootNotification and has behaved for the soak time: connected, no fault, following its setpoints.
Whatever else happens stops the roll-out: no further station is asked until an operator continues or aborts.
Functions of values and of time that passed; ``rollouts`` does the talking.

A station where a vehicle stands is never asked to begin: it is waited for, or left out. What it does later
with a vehicle that came meanwhile is the station's own affair (OCPP has it install when it is idle); that
time does not count against the deadline.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

Phase = Literal["waiting", "updating", "soaking", "good", "skipped", "failed"]
State = Literal["running", "stopped", "aborted", "finished"]

FAILURES: Final = frozenset(
    {"DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature"}
)
"""Firmware statuses that end an update (1.6 7.25 and security extensions, 2.x FirmwareStatusEnumType)."""

SCHEDULED: Final = frozenset({"DownloadScheduled", "Downloaded", "SignatureVerified", "InstallScheduled"})
"""Statuses in which a station may be waiting for the time of installation that it was given."""

RESTARTS_MAX: Final = 2
"""Restarts of a station while it soaks; more is no good firmware."""


class Update(Struct, frozen=True):
    """What is installed. ``make`` is vendor/model, ``version`` what BootNotification will say. Times UTC
    seconds, 0: at once.
    """

    make: str
    version: str
    location: str
    retrieve_wall_s: float = 0.0
    install_wall_s: float = 0.0
    signature: str = ""
    certificate: str = ""


class Terms(Struct, frozen=True):
    """``deadline_s`` without news fails a member; ``at_once`` are under way together; ``busy``: wait for
    it or skip it.
    """

    soak_s: float = 3_600.0
    deadline_s: float = 7_200.0
    at_once: int = 10
    busy: Literal["wait", "skip"] = "wait"


class Member(Struct, frozen=True):
    """One station. ``spent_s`` is what counts of the present phase, ``away_s`` how long it is gone while
    it soaks.
    """

    station: str
    wave: int
    phase: Phase = "waiting"
    status: str = ""
    why: str = ""
    installed: bool = False
    booted: bool = False
    inquired: bool = False
    spent_s: float = 0.0
    away_s: float = 0.0
    restarts: int = 0


class Rollout(Struct, frozen=True):
    """All of it. ``number`` is the request id of its messages, ``wave`` counts from 1."""

    number: int
    update: Update
    terms: Terms
    members: tuple[Member, ...]
    state: State = "running"
    wave: int = 1
    why: str = ""


class View(NamedTuple):
    """A station as it is now. ``busy`` and ``trouble`` say what is the matter, "" when nothing is."""

    connected: bool
    firmware: str
    busy: str
    trouble: str


class Ask(NamedTuple):
    """What is to be sent: the update, or the question how far it is."""

    station: str
    what: Literal["update", "status"]


def begin(
    number: int, update: Update, terms: Terms, stations: Sequence[str], waves: Sequence[int | str]
) -> Rollout:
    """``waves``: how many, or "10%" of all; those that are left are one more. ValueError says what is
    wrong.
    """
    sizes = [_size(wave, len(stations)) for wave in waves]
    members: list[Member] = []
    for place, station in enumerate(stations):
        wave = next((n for n in range(len(sizes)) if place < sum(sizes[: n + 1])), len(sizes))
        members.append(Member(station, wave + 1))
    return Rollout(number, update, terms, tuple(members))


def _size(wave: int | str, of: int) -> int:
    if isinstance(wave, int) and not isinstance(wave, bool) and wave > 0:
        return wave
    if isinstance(wave, str) and wave.endswith("%") and wave[:-1].isdigit() and 0 < int(wave[:-1]) <= 100:
        return ceil(of * int(wave[:-1]) / 100)
    raise ValueError(f'a wave is a number of stations or a share as "10%", found {wave!r}')


def step(
    rollout: Rollout, views: Mapping[str, View], elapsed_s: float, wall_s: float
) -> tuple[Rollout, list[Ask]]:
    """Go on by ``elapsed_s``. What is asked for must be on disk before it is sent."""
    asks: list[Ask] = []
    members: list[Member] = []
    under_way = sum(member.phase == "updating" for member in rollout.members)
    for member in rollout.members:
        view = views[member.station]
        after = member
        if member.phase == "waiting" and rollout.state == "running" and member.wave == rollout.wave:
            after = _start(rollout, member, view, under_way, wall_s)
            if after.phase == "updating":
                under_way += 1
                asks.append(Ask(member.station, "update"))
        elif member.phase == "updating":
            after = _update(rollout, member, view, elapsed_s, wall_s)
            if after.inquired and not member.inquired:
                asks.append(Ask(member.station, "status"))
        elif member.phase == "soaking":
            after = _soak(rollout, member, view, elapsed_s)
        members.append(after)
    return _gate(replace(rollout, members=tuple(members))), asks


def _start(rollout: Rollout, member: Member, view: View, under_way: int, wall_s: float) -> Member:
    if view.connected and view.firmware == rollout.update.version:
        return replace(member, phase="soaking", installed=True, booted=True, why="")
    hindered = "not connected" if not view.connected else view.busy or view.trouble
    if hindered and rollout.terms.busy == "skip":
        return replace(member, phase="skipped", why=hindered)
    if hindered:
        return replace(member, why=f"waits: {hindered}")
    if wall_s < rollout.update.retrieve_wall_s:
        return replace(member, why="waits: the time to retrieve it has not come")
    if under_way >= rollout.terms.at_once:
        return replace(member, why=f"waits: {under_way} others are under way")
    return replace(member, phase="updating", why="", spent_s=0.0)


def _update(rollout: Rollout, member: Member, view: View, elapsed_s: float, wall_s: float) -> Member:
    booted = member.booted or (view.connected and view.firmware == rollout.update.version)
    if booted and member.installed:
        return replace(member, phase="soaking", booted=True, spent_s=0.0, why="")
    held = bool(view.busy) or (member.status in SCHEDULED and wall_s < rollout.update.install_wall_s)
    spent_s = member.spent_s if held else member.spent_s + elapsed_s
    if spent_s > rollout.terms.deadline_s:
        lacking = (
            "not back with the new version"
            if member.installed
            else f"nothing new after {member.status or 'the request'}"
        )
        return replace(member, phase="failed", why=f"{lacking} for {spent_s:.0f} s")
    return replace(member, booted=booted, inquired=member.inquired or booted, spent_s=spent_s, why=view.busy)


def _soak(rollout: Rollout, member: Member, view: View, elapsed_s: float) -> Member:
    if not view.connected:
        away_s = member.away_s + elapsed_s
        gone = away_s > rollout.terms.deadline_s
        why = f"not connected for {away_s:.0f} s after the update"
        return replace(member, away_s=away_s, phase="failed" if gone else "soaking", why=why)
    if view.firmware != rollout.update.version:
        return replace(
            member, phase="failed", why=f"runs {view.firmware!r} again, not {rollout.update.version!r}"
        )
    if view.trouble:
        return replace(member, phase="failed", why=f"{view.trouble}, after the update")
    spent_s = member.spent_s + elapsed_s
    good = spent_s >= rollout.terms.soak_s
    return replace(member, spent_s=spent_s, away_s=0.0, phase="good" if good else "soaking", why="")


def _gate(rollout: Rollout) -> Rollout:
    """Between the waves: no station goes on after a failure, or after a wave that showed nothing."""
    if rollout.state != "running":
        return rollout
    failed = [f"{member.station}: {member.why}" for member in rollout.members if member.phase == "failed"]
    if failed:
        return replace(rollout, state="stopped", why="; ".join(failed))
    now = [member for member in rollout.members if member.wave == rollout.wave]
    if any(member.phase not in ("good", "skipped") for member in now):
        return rollout
    if rollout.wave >= max(member.wave for member in rollout.members):
        return replace(rollout, state="finished", why="")
    if not any(member.phase == "good" for member in now):
        return replace(
            rollout,
            state="stopped",
            why=f"wave {rollout.wave} showed nothing: all of its stations were left out",
        )
    return replace(rollout, wave=rollout.wave + 1)


def on_status(rollout: Rollout, station: str, status: str, request: int | None) -> Rollout:
    """A firmware status. One of another request is not about this roll-out; plain 1.6 names none."""

    def heard(member: Member) -> Member:
        if member.phase not in ("updating", "soaking") or (request is not None and request != rollout.number):
            return member
        if status in FAILURES:
            return replace(member, phase="failed", status=status, why=status)
        if status == "Idle":  # nothing is under way: with the new version running, the update is over
            return replace(member, installed=member.installed or member.booted)
        new = status != member.status
        return replace(
            member,
            status=status,
            installed=member.installed or status == "Installed",
            spent_s=0.0 if new else member.spent_s,
        )

    return _changed(rollout, station, heard)


def on_boot(rollout: Rollout, station: str, firmware: str) -> Rollout:
    """A station has started, with this version."""
    expected = rollout.update.version

    def heard(member: Member) -> Member:
        if member.phase == "updating" and firmware == expected:
            return replace(member, booted=True, spent_s=0.0)
        if member.phase == "updating" and member.installed:
            return replace(
                member, phase="failed", why=f"came back with version {firmware!r}, not {expected!r}"
            )
        if member.phase == "soaking":
            restarts = member.restarts + 1
            failed = firmware != expected or restarts > RESTARTS_MAX
            why = f"restarted with version {firmware!r}, {restarts} times in all" if failed else ""
            return replace(member, restarts=restarts, phase="failed" if failed else "soaking", why=why)
        return member

    return _changed(rollout, station, heard)


def on_refusal(rollout: Rollout, station: str, why: str) -> Rollout:
    """It does not take the request."""
    return _changed(rollout, station, lambda member: replace(member, phase="failed", why=f"refused: {why}"))


def not_sent(rollout: Rollout, station: str) -> Rollout:
    """The request has not reached it: it is its turn again."""
    return _changed(
        rollout, station, lambda member: replace(member, phase="waiting", why="waits: the link was lost")
    )


def resumed(rollout: Rollout, *, retry: bool) -> Rollout:
    """An operator says go on: those that failed are tried again, or left out. ValueError unless it is
    stopped.
    """
    if rollout.state != "stopped":
        raise ValueError(f"the roll-out is {rollout.state}; only a stopped one can be continued")

    def again(member: Member) -> Member:
        return (
            Member(member.station, member.wave)
            if retry
            else replace(member, phase="skipped", why=f"left out: {member.why}")
        )

    members = tuple(again(member) if member.phase == "failed" else member for member in rollout.members)
    pending = any(
        each.wave == rollout.wave and each.phase in ("waiting", "updating", "soaking") for each in members
    )
    last = rollout.wave >= max(each.wave for each in members)
    return replace(
        rollout, members=members, state="running", wave=rollout.wave + (not pending and not last), why=""
    )


def aborted(rollout: Rollout) -> Rollout:
    """An operator ends it. What stations have begun they finish. ValueError when it is over already."""
    if rollout.state not in ("running", "stopped"):
        raise ValueError(f"the roll-out is {rollout.state} already")
    members = tuple(
        replace(m, phase="skipped", why="aborted") if m.phase == "waiting" else m for m in rollout.members
    )
    return replace(rollout, members=members, state="aborted", why="by an operator")


def _changed(rollout: Rollout, station: str, change: Callable[[Member], Member]) -> Rollout:
    members = tuple(change(member) if member.station == station else member for member in rollout.members)
    return rollout if members == rollout.members else replace(rollout, members=members)
