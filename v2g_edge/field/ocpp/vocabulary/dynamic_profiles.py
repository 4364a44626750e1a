"""What OCPP 2.1 says more finely than a plain lease: a droop that the charger follows by itself, changes
without a new profile.

Both are leases as the others are, a TxProfile that ends by itself (see ``leases``). A station that refuses
one of them gets plain leases until it boots again.

**Droop**: operation mode LocalFrequency with ``v2xBaseline``, the setpoint, and ``v2xFreqWattCurve``, what is
added to it at a frequency (Q08). Limits and setpoints are not allowed beside them (Q08.FR.04), so the curve
alone keeps the power within the permit: its ends are flat out to ``FAR_HZ``, and no point, nor any line
between two of them, is wider than the droop.

**Dynamic** (K28): a profile of kind Dynamic has one period, and UpdateDynamicSchedule changes the numbers in
it. Its ``duration`` counts from the last update, so its ``validTo`` ends the lease; it is renewed like any
other. A station that asks (PullDynamicScheduleUpdate) gets what is wanted now, as long as the lease
stands, and Rejected afterwards. Only a station that says it has them gets one
(SmartChargingCtrlr.SupportsDynamicProfiles): another might accept it and not know when it ends.
"""

from collections.abc import Callable
from math import floor
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.field.ocpp.vocabulary.charging_profiles import LEASE_ID, Lease, lease_profile, plain_period
from v2g_edge.field.ocpp.wire.connection import Connection, Outcome
from v2g_edge.field.ocpp.wire.events import accepted, refused
from v2g_edge.model.site import FrequencyResponse

log = structlog.get_logger()

FAR_HZ: Final = 5.0
"""Beyond any frequency at which a charger stays connected (the widest grid code trips at 3.5 Hz): a
charger that would go on the last slope of a curve instead of keeping its last value finds that slope flat.
"""

FRESH: Final = 2.0 / 3.0
"""A dynamic lease with this share of its time left takes an update; one with less is renewed by a new
profile.
"""


class Standing(Struct, frozen=True):
    """The dynamic lease that a station holds: at which link, for which transaction, its period, until when
    (monotonic).
    """

    link: Connection
    transaction: str
    period: dict[str, Any]
    until_s: float


class DynamicProfiles:
    """What one outlet takes of this, and the dynamic lease that stands there. ``takes_dynamic`` once the
    station has said so.

    ``allowed``: the transaction and the ways of energy transfer that were told last (``v2x``).
    """

    def __init__(self) -> None:
        self.takes_droop, self.takes_dynamic = True, False
        self._standing: Standing | None = None
        self._wanted: dict[str, Any] = {}
        self.allowed: tuple[str, tuple[str, ...]] | None = None

    async def send(
        self,
        connection: Connection,
        lease: Lease,
        now_s: float,
        *,
        priority: int,
        key: str,
        timeout_s: float,
        still: Callable[[], bool],
    ) -> Outcome | None:
        """Put the lease to the station; None where a plain one must be tried (then ``tried`` is to be told of
        it).

        Nothing more is sent, and nothing of what stands is forgotten, once ``still`` says no: a newer lease
        is under way.
        """
        self._wanted = plain_period("2.1", lease)
        dynamic = lease.period is None
        if dynamic and not (self.takes_dynamic and lease.shape.valid_to):
            self._standing = None
            return None
        update = self._update(connection, lease, now_s)
        if update is not None:
            outcome = await connection.call(
                "UpdateDynamicSchedule", update, priority=priority, key=key, timeout_s=timeout_s, still=still
            )
            if accepted(outcome) and self._standing is not None and still():
                self._standing = replace(self._standing, period=plain_period("2.1", lease))
            if not refused(outcome) or not still():
                return outcome
        self._standing = None
        payload = lease_profile("2.1", replace(lease, dynamic=dynamic))
        outcome = await connection.call(
            "SetChargingProfile", payload, priority=priority, key=key, timeout_s=timeout_s, still=still
        )
        if dynamic and accepted(outcome) and still():
            until_s = now_s + lease.duration_s
            self._standing = Standing(connection, lease.transaction, plain_period("2.1", lease), until_s)
        return None if refused(outcome) else outcome

    def tried(self, connection: Connection, lease: Lease, outcome: Outcome) -> None:
        """What became of the plain lease: where that was taken, it was the finer word that the station
        does not take.
        """
        if not accepted(outcome):
            return
        if lease.period is not None:
            self.refuse_droop(
                connection.identity, lease.ocpp_evse, "the station refuses operation mode LocalFrequency"
            )
        elif self.takes_dynamic and lease.shape.valid_to:
            self.takes_dynamic = False
            log.info("dynamic_profile_refused", station=connection.identity, ocpp_evse=lease.ocpp_evse)

    def forget(self) -> None:
        """What stands there is not known by a clock that is unknown: the next lease is a new profile."""
        self._standing = None

    def refuse_droop(self, station: str, ocpp_evse: int, why: str) -> None:
        """Plain setpoints from now on, until the station boots."""
        self.takes_droop = False
        log.warning("droop_refused", station=station, ocpp_evse=ocpp_evse, why=why)

    def pulled(self, transaction: str, now_s: float) -> dict[str, Any]:
        """The answer to PullDynamicScheduleUpdate: the wanted numbers while the lease stands. Never
        revives one that has ended, nor one that another profile, on its way, is to replace.
        """
        held = self._standing
        if held is None or held.transaction != transaction or now_s >= held.until_s:
            return {"status": "Rejected"}
        return {"status": "Accepted", "scheduleUpdate": _numbers(held.period, self._wanted)}

    def _update(self, link: Connection, lease: Lease, now_s: float) -> dict[str, Any] | None:
        held = self._standing
        if (
            held is None
            or lease.period is not None
            or held.link is not link
            or held.transaction != lease.transaction
        ):
            return None
        numbers = _numbers(held.period, plain_period("2.1", lease))
        left_s = held.until_s - now_s
        if not numbers or not FRESH * lease.duration_s <= left_s <= lease.duration_s:
            # An update leaves the end as it is: a long lease that allows little must not come to allow more.
            return None
        return {"chargingProfileId": LEASE_ID + lease.ocpp_evse, "scheduleUpdate": numbers}


def droop_period(
    power_w: float, droop_w: float, nominal_hz: float, response: FrequencyResponse
) -> dict[str, Any]:
    """The period of a droop around ``power_w``, whole watts, never wider than permitted; low frequency
    takes power off.
    """
    base_w = int(power_w)
    wide_w = max(floor(min(power_w + droop_w - base_w, base_w - power_w + droop_w)), 0)
    dead_hz, full_hz = response.deadband_hz, response.full_hz
    points = (
        (-FAR_HZ, -wide_w),
        (-full_hz, -wide_w),
        (-dead_hz, 0),
        (dead_hz, 0),
        (full_hz, wide_w),
        (FAR_HZ, wide_w),
    )
    return {
        "startPeriod": 0,
        "operationMode": "LocalFrequency",
        "v2xBaseline": base_w,
        "v2xFreqWattCurve": [
            {"frequency": round(nominal_hz + off_hz, 4), "power": watts} for off_hz, watts in points
        ],
    }


def _names(period: dict[str, Any]) -> list[str]:
    return [name for name in ("limit", "dischargeLimit", "setpoint") if name in period]


def _numbers(held: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The numbers that turn one period into the other; empty where only a new profile can."""
    same = held.get("operationMode") == wanted.get("operationMode") and _names(held) == _names(wanted)
    return {name: wanted[name] for name in _names(wanted)} if same else {}
