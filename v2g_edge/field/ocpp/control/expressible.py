"""What of a permit can be said at an outlet, and why no discharge can."""

from typing import Final

from v2g_edge.field.ocpp.station.outlet import Outlet
from v2g_edge.field.ocpp.station.station import Station
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort

SILENT_MAX: Final = 2
"""After so many setpoints in a row without an answer nothing is discharged until one comes: the stop would
not come through.
"""

DISCHARGE_WORD: Final[dict[Version, str]] = {
    "1.6": "negative_limit",
    "2.0.1": "negative_limit",
    "2.1": "setpoint",
}
"""How each version commands discharge; 2.1 also takes negative limits, "for backwards compatibility" (its
schema).
"""


class Expressible:
    """Bounds every command to what is agreed, proven and understood. ``silent``: setpoints in a row that were
    not answered.
    """

    def __init__(self, station: Station, outlet: Outlet, clock: ClockPort) -> None:
        self._station = station
        self._outlet = outlet
        self._clock = clock
        self.silent = 0

    def power_w(self, power_w: float, no_discharge: str) -> float:
        """What may be commanded of a permit: discharge only where it is agreed, and only as far as it is
        proven.

        Where the station's clock is not known, no more than its default profile allows: a lease may come into
        force at any time.
        """
        outlet = self._outlet
        if power_w < 0.0:
            return 0.0 if no_discharge else outlet.watch.allowed_w(power_w, outlet.evse.min_discharge_w)
        if not self._station.clock_skew.known:
            return min(power_w, outlet.evse.fallback_w)
        now_s = self._clock.now_s()
        held_w = outlet.held_w(now_s) if outlet.charge_refusals.holds(now_s) else None
        return power_w if held_w is None else min(power_w, max(held_w, 0.0))

    def no_discharge(self, version: Version) -> str:
        """Why nothing can be discharged here now, in words for people; "" where it can, or has yet to be
        tried.
        """
        outlet, station = self._outlet, self._station
        if outlet.evse.discharge_by == "none":
            return ""  # the site file says so, and has a row of its own
        if not station.model.quirk.discharges:
            return "its make, or discharges = false in the site file, forbids it"
        if not self.can_discharge(version):
            return f"discharge_by = {outlet.evse.discharge_by} cannot be said in OCPP {version}"
        station.model.consult(outlet)
        if outlet.watch.proof == "refuted":
            return (
                f"refuted: make {station.identity.kind()} charged while discharge was commanded"
                " (retry-discharge tries it anew)"
            )
        if outlet.discharge_refusals.holds(self._clock.now_s()):
            return (
                f"the station refuses it ({outlet.discharge_refusals.why or 'no reason given'}), and is tried"
                " again rarely"
            )
        if outlet.watch.gave_up:
            return "this vehicle gave nothing when it was asked to"
        if not station.clock_skew.known:
            return "the station's clock is not known" if outlet.session is not None else ""
        return f"{self.silent} setpoints in a row were not answered" if self.silent >= SILENT_MAX else ""

    def can_discharge(self, version: Version) -> bool:
        """Whether the site file, the make and the version agree on a way to say it."""
        by = self._outlet.evse.discharge_by
        if not self._station.model.quirk.discharges:
            return False
        return by == DISCHARGE_WORD[version] or (version == "2.1" and by == "negative_limit")

    def droop_w(self, permit: Permit, power_w: float, version: Version) -> float:
        """What may be commanded of a permitted droop: all where discharge is proven and the station
        follows, else nothing.
        """
        outlet, watch = self._outlet, self._outlet.watch
        takes = (
            version == "2.1"
            and outlet.evse.discharge_by == "setpoint"
            and outlet.shape.unit == "W"
            and outlet.dynamic.takes_droop
        )
        trusted = (
            watch.proof == "proven"
            and watch.follows
            and self.silent < SILENT_MAX
            and self._station.clock_skew.known
        )
        return permit.droop_w if takes and trusted and power_w == permit.power_w else 0.0
