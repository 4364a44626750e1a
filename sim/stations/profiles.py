"""Charging profiles inside a station: which one rules at an outlet, at what power, and until when.

Neutral to the protocol version. OCPP 2.0.1 part 2 K01 and 1.6 section 3.13: within a purpose the highest
stack level that is in force wins; a transaction's own profile stands above the default; station-wide maxima
cut both. Negative limits are discharge setpoints of that magnitude.
"""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Purpose = Literal["max", "default", "tx"]

NEVER_S: Final = 1e15
"""Later than any played time."""

CHANGES_MAX: Final = 1_024
"""Periods of a composite schedule: the most that a schedule may have (OCPP 2.0.1)."""


class Profile(Struct, frozen=True):
    """``periods`` are (offset in s, limit in W) from ``start_wall_s``; the schedule ends at ``end_wall_s``.

    ``outlet`` 0 is the whole station. ``transaction`` is "" for all purposes but "tx". ``lasts_s`` > 0: a
    dynamic profile (2.1 K28), which ends so long after its last update and at ``valid_to_wall_s``.
    ``offline_s``: it is gone so long after the link. ``curve`` adds W to the limit at a frequency: (Hz, W),
    rising Hz (2.1 Q08).
    """

    id: int
    stack: int
    purpose: Purpose
    outlet: int
    start_wall_s: float
    end_wall_s: float
    periods: tuple[tuple[float, float], ...]
    transaction: str = ""
    lasts_s: float = 0.0
    valid_to_wall_s: float = NEVER_S
    offline_s: float = NEVER_S
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def least_w(self) -> float:
        """The least of its limits."""
        return min((limit_w for _, limit_w in self.periods), default=0.0)

    def limit_w(self, wall_s: float) -> float | None:
        """Its limit at ``wall_s``; None when it is not in force."""
        if not self.start_wall_s <= wall_s < self.end_wall_s:
            return None
        limit_w = None
        for offset_s, period_w in self.periods:
            if wall_s < self.start_wall_s + offset_s:
                break
            limit_w = period_w
        return limit_w

    def next_change_s(self, wall_s: float) -> float:
        """The next time after ``wall_s`` at which ``limit_w`` may change."""
        times = (
            self.start_wall_s,
            self.end_wall_s,
            *(self.start_wall_s + offset_s for offset_s, _ in self.periods),
        )
        return min((time_s for time_s in times if time_s > wall_s), default=NEVER_S)


class ProfileStore:
    """All profiles of one station."""

    def __init__(self) -> None:
        self._profiles: dict[tuple[int, int], Profile] = {}
        self._cache: dict[tuple[int, str], tuple[float, float | None]] = {}
        self._curved = self._ends_offline = False

    def put(self, profile: Profile) -> bool:
        """Install it; the same id replaces. False for another id at the same purpose, level and outlet
        (conflicting).
        """
        for known in self._profiles.values():
            same_place = (known.purpose, known.stack, known.outlet) == (
                profile.purpose,
                profile.stack,
                profile.outlet,
            )
            if same_place and known.id != profile.id and known.transaction == profile.transaction:
                if profile.purpose == "tx":
                    return False
                del self._profiles[known.id, known.outlet]
                break
        self._profiles[profile.id, profile.outlet] = profile
        self._changed()
        return True

    def clear(
        self, *, purpose: Purpose | None = None, profile_id: int | None = None, outlet: int | None = None
    ) -> int:
        """Remove what matches every criterion given; returns how many."""
        gone = [
            key
            for key, known in self._profiles.items()
            if purpose in {None, known.purpose}
            and profile_id in {None, known.id}
            and outlet in {None, known.outlet}
        ]
        for key in gone:
            del self._profiles[key]
        self._changed()
        return len(gone)

    def update(self, profile_id: int, limit_w: float, wall_s: float) -> bool:
        """Change the one limit of a dynamic profile; its time begins anew. False where there is no such
        profile.
        """
        key, known = next(
            ((k, p) for k, p in self._profiles.items() if p.id == profile_id and p.lasts_s), (None, None)
        )
        if key is None or known is None:
            return False
        end_wall_s = min(wall_s + known.lasts_s, known.valid_to_wall_s)
        self._profiles[key] = replace(
            known, start_wall_s=wall_s, end_wall_s=end_wall_s, periods=((0.0, limit_w),)
        )
        self._changed()
        return True

    def lost_link(self, for_s: float) -> None:
        """Without a link for so long: what was only to be trusted with one is gone for good
        (``invalidAfterOfflineDuration``).
        """
        if not self._ends_offline:
            return
        for key in [key for key, known in self._profiles.items() if for_s >= known.offline_s]:
            del self._profiles[key]
            self._changed()

    def curve(self, outlet: int, transaction: str, wall_s: float) -> tuple[tuple[float, float], ...]:
        """The frequency curve of the transaction's profile in force; empty where it has none."""
        if not self._curved:
            return ()
        mine = [
            p
            for p in self._profiles.values()
            if p.outlet in {0, outlet} and p.transaction == transaction and p.curve
        ]
        ruling = [p for p in mine if p.limit_w(wall_s) is not None]
        return max(ruling, key=lambda profile: profile.stack).curve if ruling and transaction else ()

    def all(self) -> tuple[Profile, ...]:
        """Everything installed."""
        return tuple(self._profiles.values())

    def limit_w(self, outlet: int, transaction: str, wall_s: float) -> float | None:
        """The limit at an outlet; None where no profile says anything, so that full power may flow."""
        until_s, limit_w = self._cache.get((outlet, transaction), (-NEVER_S, None))
        if wall_s >= until_s:
            until_s, limit_w = self.next_change_s(outlet, wall_s), self._work_out(outlet, transaction, wall_s)
            self._cache[outlet, transaction] = until_s, limit_w
        return limit_w

    def _changed(self) -> None:
        """Other profiles: what was worked out from them holds no more."""
        self._cache.clear()
        self._curved = any(known.curve for known in self._profiles.values())
        self._ends_offline = any(known.offline_s < NEVER_S for known in self._profiles.values())

    def clock_changed(self) -> None:
        """What was worked out for a later time holds no more."""
        self._cache.clear()

    def next_change_s(self, outlet: int, wall_s: float) -> float:
        """The next time at which the limit at an outlet may change by itself."""
        return min(
            (known.next_change_s(wall_s) for known in self._profiles.values() if known.outlet in {0, outlet}),
            default=NEVER_S,
        )

    def composite(
        self, outlet: int, transaction: str, wall_s: float, duration_s: float, full_w: float
    ) -> list[tuple[float, float]]:
        """(offset in s, limit in W) periods for ``duration_s`` from ``wall_s``; ``full_w`` where nothing
        limits.
        """
        periods: list[tuple[float, float]] = []
        time_s = wall_s
        while time_s < wall_s + duration_s and len(periods) < CHANGES_MAX:
            limit_w = self._work_out(outlet, transaction, time_s)
            power_w = full_w if limit_w is None else limit_w
            if not periods or periods[-1][1] != power_w:
                periods.append((time_s - wall_s, power_w))
            time_s = self.next_change_s(outlet, time_s)
        return periods

    def _work_out(self, outlet: int, transaction: str, wall_s: float) -> float | None:
        ruling: dict[Purpose, tuple[int, float]] = {}
        for known in self._profiles.values():
            if known.outlet not in {0, outlet} or (
                known.purpose == "tx" and known.transaction not in {"", transaction}
            ):
                continue
            if known.purpose == "tx" and not transaction:
                continue
            limit_w = known.limit_w(wall_s)
            if limit_w is not None and (
                known.purpose not in ruling or known.stack > ruling[known.purpose][0]
            ):
                ruling[known.purpose] = known.stack, limit_w
        own = ruling.get("tx") or ruling.get("default")
        return min((rule[1] for rule in (own, ruling.get("max")) if rule is not None), default=None)
