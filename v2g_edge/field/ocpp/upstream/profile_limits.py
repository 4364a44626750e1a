"""Charging profiles of an upstream central system as limits from outside. None of them reaches a charger.

At each moment the profile with the highest stack level counts, of each purpose (OCPP 1.6 3.13.2, 2.0.1 K01):
a TxProfile goes before a TxDefaultProfile, and one for the whole station bounds the sum of its outlets.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from v2g_edge.field.ocpp.wire.timestamps import parse_wall
from v2g_edge.model.service import CapacityLimit

PROFILES_MAX: Final = 50
"""Profiles of one station that are kept; stations in the field take 10 to 20."""

PERIODS_MAX: Final = 1_024
"""Periods of one schedule (OCPP 2.0.1: ChargingScheduleMaxPeriods is below this everywhere)."""

FOREVER_S: Final = 1e15
"""Stands for no end, in seconds: beyond every date, and still a number that JSON can hold."""

DAY_S: Final = 86_400.0
REPEATS_S: Final = {"Daily": DAY_S, "Weekly": 7 * DAY_S}
OF_STATION: Final = frozenset(
    {"ChargePointMaxProfile", "ChargingStationMaxProfile", "ChargingStationExternalConstraints"}
)

PURPOSES: Final = ("TxProfile", "TxDefaultProfile", *sorted(OF_STATION))
KINDS: Final = frozenset({"Absolute", "Recurring", "Relative"})
CHARGING: Final = "ChargingOnly"
NO_LIMIT: Final = frozenset(
    {"setpoint", "setpoint_L2", "setpoint_L3", "setpointReactive", "dischargeLimit", "dischargeLimit_L2"}
    | {"dischargeLimit_L3", "v2xBaseline", "v2xFreqWattCurve", "v2xSignalWattCurve", "preconditioningRequest"}
    | {"limit_L2", "limit_L3", "evseSleep"}
)
"""What a period of 2.1 may hold beyond a limit: a site that does not do it must not say that it does."""


class Refused(ValueError):  # noqa: N818 - an answer to the upstream, no program error
    """A profile that cannot be a limit; its text says why."""


class Profile(Struct, frozen=True):
    """One profile, in one form for all versions.

    Attributes:
        id: Its number.
        evse: Number of the outlet at the station (1.6: connector); 0: the station as a whole.
        purpose: Its purpose as OCPP spells it.
        level: Its stack level.
        start_wall_s: When its schedule begins, UTC epoch seconds; None: with the transaction.
        repeats_s: Length of a repetition in s; 0: none.
        from_wall_s: From when it is valid, UTC epoch seconds.
        until_wall_s: Until when it is valid, UTC epoch seconds; ``FOREVER_S``: until it is cleared.
        duration_s: Length of the schedule in s; ``FOREVER_S``: no end.
        amperes: Whether the limits are in A a phase, not in W.
        periods: Start in s, limit, and number of phases (0: those of the outlet), by rising start.
        transaction: The transaction that it is for, as the upstream calls it; "": any.
    """

    id: int
    evse: int
    purpose: str
    level: int
    start_wall_s: float | None
    repeats_s: float
    from_wall_s: float
    until_wall_s: float
    duration_s: float
    amperes: bool
    periods: tuple[tuple[float, float, int], ...]
    transaction: str = ""

    def limit_at(self, wall_s: float, begun_wall_s: float) -> tuple[float, int, float] | None:
        """The limit, its phases, and until when it holds; None where the profile says nothing now."""
        if not self.from_wall_s <= wall_s < self.until_wall_s:
            return None
        start_wall_s = begun_wall_s if self.start_wall_s is None else self.start_wall_s
        if wall_s < start_wall_s:
            return None
        if self.repeats_s:
            start_wall_s = wall_s - (wall_s - start_wall_s) % self.repeats_s
        elapsed_s = wall_s - start_wall_s
        if elapsed_s >= self.duration_s:
            return None
        now = [place for place, period in enumerate(self.periods) if period[0] <= elapsed_s]
        if not now:
            return None
        ends_s = [self.duration_s, *(period[0] for period in self.periods[now[-1] + 1 : now[-1] + 2])]
        if self.repeats_s:
            ends_s.append(self.repeats_s)
        _, limit, phases = self.periods[now[-1]]
        return limit, phases, min(start_wall_s + min(ends_s), self.until_wall_s)


class Plugged(Struct, frozen=True, gc=False):
    """What the profiles need to know of an outlet.

    Attributes:
        evse: Our name of it.
        phase_w: Power of one ampere on one phase, in W (the nominal voltage).
        phases: Number of its phases.
        transaction: The transaction that runs, as the upstream calls it; "": none.
        begun_wall_s: When it began, UTC epoch seconds.
    """

    evse: str
    phase_w: float
    phases: int
    transaction: str = ""
    begun_wall_s: float = 0.0


class ProfileBook:
    """The profiles of one station. ``source`` begins the words that `why` shows."""

    def __init__(self, source: str, kept: bytes = b"") -> None:
        self._source = source
        self._profiles: dict[int, Profile] = {}
        if kept:
            for each in msgspec.json.decode(kept, type=list[Profile]):
                self._profiles[each.id] = each

    def __len__(self) -> int:
        return len(self._profiles)

    def encoded(self) -> bytes:
        """To be kept and read again."""
        return msgspec.json.encode(list(self._profiles.values()))

    def add(self, payload: Mapping[str, Any], wall_s: float) -> Profile:
        """Take the profile of a SetChargingProfile. ``Refused`` says why it cannot be a limit."""
        profile = read_profile(payload, wall_s)
        same = [
            old.id
            for old in self._profiles.values()
            if old.id == profile.id
            or (old.evse, old.purpose, old.level, old.transaction)
            == (profile.evse, profile.purpose, profile.level, profile.transaction)
        ]
        if len(self._profiles) - len(same) >= PROFILES_MAX:
            raise Refused(f"{PROFILES_MAX} profiles are kept already: clear some first")
        for old in same:
            del self._profiles[old]
        self._profiles[profile.id] = profile
        return profile

    def clear(self, payload: Mapping[str, Any]) -> int:
        """Drop what a ClearChargingProfile names; how many were dropped."""
        criteria = payload.get("chargingProfileCriteria", payload)
        number = payload.get("chargingProfileId", payload.get("id"))
        evse = criteria.get("evseId", criteria.get("connectorId"))
        wanted = {
            "id": number,
            "evse": evse,
            "purpose": criteria.get("chargingProfilePurpose"),
            "level": criteria.get("stackLevel"),
        }
        if number is not None:
            wanted = {"id": number}
        gone = [
            each.id
            for each in self._profiles.values()
            if all(value is None or getattr(each, name) == value for name, value in wanted.items())
        ]
        for each in gone:
            del self._profiles[each]
        return len(gone)

    def end_transaction(self, transaction: str) -> bool:
        """Drop the profiles of a transaction that is over; whether there were any."""
        gone = [p.id for p in self._profiles.values() if p.transaction and p.transaction == transaction]
        for each in gone:
            del self._profiles[each]
        return bool(gone)

    def limits_at(self, wall_s: float, outlets: Mapping[int, Plugged]) -> tuple[CapacityLimit, ...]:
        """What the profiles allow now, outlet by outlet. A limit of the station is shared evenly by the
        outlets that have a transaction.
        """
        if not self._profiles:
            return ()
        found = []
        busy = max(sum(bool(each.transaction) for each in outlets.values()), 1)
        for number, outlet in outlets.items():
            mine = self._of(number, outlet)
            tx = _highest([p for p in mine if p.purpose == "TxProfile"], wall_s, outlet)
            tx = tx or _highest([p for p in mine if p.purpose == "TxDefaultProfile"], wall_s, outlet)
            found += [self._limit(each, outlet, 1) for each in (tx,) if each is not None]
            for purpose in OF_STATION:
                whole = _highest([p for p in mine if p.purpose == purpose], wall_s, outlet)
                if whole is not None:
                    found.append(self._limit(whole, outlet, busy if outlet.transaction else 1))
        return tuple(found)

    def _of(self, number: int, outlet: Plugged) -> list[Profile]:
        return [
            profile
            for profile in self._profiles.values()
            if profile.evse in {0, number}
            and (not profile.transaction or profile.transaction == outlet.transaction)
        ]

    def _limit(self, active: "Active", outlet: Plugged, shares: int) -> CapacityLimit:
        profile, limit, phases, until_wall_s = active
        each_w = outlet.phase_w * (phases or outlet.phases) if profile.amperes else 1.0
        source = f"{self._source}: profile {profile.id} ({profile.purpose})"
        if shares > 1:
            source += f", shared by {shares}"
        until = 0.0 if until_wall_s >= FOREVER_S else until_wall_s
        return CapacityLimit("import", limit * each_w / shares, 0.0, until, source, evse=outlet.evse)


Active = tuple[Profile, float, int, float]
"""A profile that says something now: itself, its limit, its phases, and until when."""


def _highest(profiles: Iterable[Profile], wall_s: float, outlet: Plugged) -> Active | None:
    """The one that counts: an outlet's own before the station's, then the highest stack level."""
    for profile in sorted(profiles, key=lambda each: (each.evse == 0, -each.level)):
        if (found := profile.limit_at(wall_s, outlet.begun_wall_s)) is not None:
            return profile, *found
    return None


def read_profile(payload: Mapping[str, Any], wall_s: float) -> Profile:
    """A SetChargingProfile whose schema was checked. ``Refused`` for what is no limit of charging."""
    said = payload.get("csChargingProfiles") or payload.get("chargingProfile")
    number = payload.get("connectorId", payload.get("evseId", 0))
    if not isinstance(said, Mapping):
        raise Refused("the message holds no profile")
    schedules = said["chargingSchedule"]
    if isinstance(schedules, list):
        if len(schedules) != 1:
            raise Refused(f"one schedule is taken, found {len(schedules)}")
        schedules = schedules[0]
    purpose, kind = str(said["chargingProfilePurpose"]), str(said["chargingProfileKind"])
    if purpose not in PURPOSES or kind not in KINDS:
        raise Refused(f"{kind} {purpose} is no limit that is known; known are {', '.join(PURPOSES)}")
    for each in schedules["chargingSchedulePeriod"]:
        if "limit" not in each or each.get("operationMode", CHARGING) != CHARGING or NO_LIMIT & set(each):
            raise Refused("a period that is more than a limit of charging: that is for this depot to decide")
    periods = tuple(
        (float(each["startPeriod"]), float(each["limit"]), int(each.get("numberPhases") or 0))
        for each in schedules["chargingSchedulePeriod"]
    )
    _check_periods(periods)
    start = parse_wall(schedules.get("startSchedule"))
    if kind != "Relative" and start is None:
        start = wall_s
    repeats_s = REPEATS_S.get(str(said.get("recurrencyKind")), DAY_S) if kind == "Recurring" else 0.0
    return Profile(
        id=int(said.get("chargingProfileId", said.get("id", 0))),
        evse=int(number),
        purpose=purpose,
        level=int(said["stackLevel"]),
        start_wall_s=None if kind == "Relative" else start,
        repeats_s=repeats_s,
        from_wall_s=parse_wall(said.get("validFrom")) or 0.0,
        until_wall_s=parse_wall(said.get("validTo")) or FOREVER_S,
        duration_s=float(schedules.get("duration") or FOREVER_S),
        amperes=schedules["chargingRateUnit"] == "A",
        periods=periods,
        transaction=str(said["transactionId"]) if said.get("transactionId") is not None else "",
    )


def _check_periods(periods: tuple[tuple[float, float, int], ...]) -> None:
    if not 1 <= len(periods) <= PERIODS_MAX:
        raise Refused(f"1 to {PERIODS_MAX} periods are taken, found {len(periods)}")
    if list(periods) != sorted(periods, key=lambda period: period[0]):
        raise Refused("the periods are not in order")
    if any(not math.isfinite(limit) or limit < 0.0 for _, limit, _ in periods):
        raise Refused("a limit below 0 asks for discharge: that is for this depot to decide")
