"""What the depot leaves of what an upstream asked for, told to that upstream.

OCPP 2.x has NotifyChargingLimit and ClearedChargingLimit for it (2.0.1 K12, K13). OCPP 1.6 has nothing: there
it is told by DataTransfer, under the vendor id that the site file names. The present state is told, never a
history: nothing of it waits through an outage.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from v2g_edge.field.ocpp.station.store import SqliteStore
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.orders import OUTSIDE
from v2g_edge.model.permit import Permit
from v2g_edge.model.settings import UpstreamSettings

REPORT_S: Final = 60.0
"""Least time between two reports about one outlet."""

SIGNIFICANT: Final = 0.1
"""Share of what was asked for by which a limit must differ to be told (LimitChangeSignificance of 2.0.1)."""

MESSAGE_ID: Final = "ChargingLimit"
"""Of the DataTransfer."""

UPSTREAM: Final = "upstream "
"""Begins the source of a limit that an upstream has set."""


FEEDER: Final = "feeder_import"
"""The rule by which a limit of the connection bounds an outlet."""


class Limited(NamedTuple):
    """A limit: whose it is (EMS, SO or Other, as OCPP names sources), and the power left, in W."""

    source: str
    power_w: float


class Report(NamedTuple):
    """One message, the outlet that it is about, and what is known upstream once it is answered."""

    action: str
    payload: dict[str, Any]
    outlet: int
    known: Limited | None


class LimitReports:
    """For one station at one upstream."""

    def __init__(self, settings: UpstreamSettings, name: str, store: SqliteStore) -> None:
        self._settings = settings
        self._store = store
        self._fact = f"upstream/limited/{name}"
        kept = msgspec.json.decode(store.fact(self._fact) or "{}", type=dict[int, str])
        self._told = {outlet: Limited(source, float("-inf")) for outlet, source in kept.items()}
        self._now: dict[int, Limited | None] = {}
        self._told_s: dict[int, float] = {}
        self._significant_w: dict[int, float] = {}
        self.refused = False
        """Whether the upstream does not take them, on the present link."""

    def speaks(self, version: Version) -> bool:
        """Whether there is anything to tell at all."""
        can = version != "1.6" or bool(self._settings.limit_vendor_id)
        return can and self._settings.report_limits and not self.refused

    def see(self, outlet: int, asked_w: float, left: Limited) -> None:
        """What is left to an outlet with a transaction, beside what the upstream asked for."""
        self._significant_w[outlet] = SIGNIFICANT * asked_w
        self._now[outlet] = left if left.power_w < asked_w - SIGNIFICANT * asked_w else None

    def see_idle(self, outlet: int) -> None:
        """No transaction: nothing is limited."""
        self._now[outlet] = None

    def due(self, version: Version, now_s: float) -> Report | None:
        """The next message, where one is due. ``now_s`` is monotonic."""
        for outlet, now in self._now.items():
            told = self._told.get(outlet)
            if (now is None and told is None) or now_s - self._told_s.get(outlet, -REPORT_S) < REPORT_S:
                continue
            if told is not None and (now is None or now.source != told.source):
                return Report(*self._message(version, outlet, told, cleared=True), outlet, None)
            least_w = self._significant_w.get(outlet, 0.0)
            if now is not None and (told is None or abs(now.power_w - told.power_w) >= least_w):
                return Report(*self._message(version, outlet, now, cleared=False), outlet, now)
        return None

    def answered(self, report: Report, now_s: float) -> None:
        """The upstream has it."""
        known, before = report.known, self._told.get(report.outlet)
        if known is None:
            self._told.pop(report.outlet, None)
        else:
            self._told[report.outlet] = known
        if known is not None or self._now.get(report.outlet) is None:
            self._told_s[report.outlet] = now_s  # else the limit of another source follows at once
        if (before and before.source) != (known and known.source):
            kept = {outlet: limited.source for outlet, limited in self._told.items()}
            self._store.remember(self._fact, msgspec.json.encode(kept).decode())
            self._store.when_durable(lambda _: None)

    def _message(
        self, version: Version, outlet: int, limited: Limited, *, cleared: bool
    ) -> tuple[str, dict[str, Any]]:
        power_w = float(int(limited.power_w)) if not cleared else 0.0
        if version == "1.6":
            said: Mapping[str, Any] = {"connectorId": outlet, "source": limited.source}
            said = {**said, "cleared": True} if cleared else {**said, "limit_w": power_w}
            data = msgspec.json.encode(said).decode()
            vendor = self._settings.limit_vendor_id
            return "DataTransfer", {"vendorId": vendor, "messageId": MESSAGE_ID, "data": data}
        if cleared:
            return "ClearedChargingLimit", {"chargingLimitSource": limited.source, "evseId": outlet}
        schedule = {
            "id": outlet,
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": power_w}],
        }
        limit = {"chargingLimitSource": limited.source}
        return "NotifyChargingLimit", {
            "evseId": outlet,
            "chargingLimit": limit,
            "chargingSchedule": [schedule],
        }


def left_by(permit: Permit, *, dimmed: bool) -> Limited:
    """What a permit leaves, and whose limit that is: a system operator's where it has ``dimmed`` the
    connection and that is what binds, another upstream's, else the depot's own.
    """
    rule, source = permit.bound_by.rule, "EMS"
    if rule == OUTSIDE:
        source = "Other" if permit.bound_by.source.startswith(UPSTREAM) else "SO"
    elif dimmed and rule == FEEDER:
        source = "SO"
    return Limited(source, max(permit.power_w, 0.0))
