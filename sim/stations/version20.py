"""The voice of a station that speaks OCPP 2.0.1 or 2.1."""

from typing import Any, Final

from sim.stations import handlers20, messages20, station21
from sim.stations.outlet import Outlet
from sim.stations.version import Message, Shown, StationContext
from v2g_edge.field.ocpp.wire.messages import Version

MEASURANDS: Final = ("SampledDataCtrlr", "TxUpdatedMeasurands")


class Version20:
    """See ``sim.stations.version.StationVersion``."""

    heartbeat_key: tuple[str, str] = ("OCPPCommCtrlr", "HeartbeatInterval")
    report_key: tuple[str, str] = ("SampledDataCtrlr", "TxUpdatedInterval")
    kept: frozenset[str] = frozenset({"TransactionEvent", "NotifyEVChargingNeeds"})

    def __init__(self, version: Version) -> None:
        self._version = version
        self._with_currents = False

    def transaction(self, identity: str, count: int) -> str:
        """The station's own."""
        return f"{identity}-{count}"

    def boot(self, identity: str, reason: str, firmware: str) -> Message:
        """BootNotification."""
        return messages20.boot(identity, reason, firmware)

    def heartbeat(self) -> Message:
        """Heartbeat."""
        return messages20.heartbeat()

    def status(self, outlet: Outlet, wall_s: float) -> Message:
        """StatusNotification."""
        return messages20.status(outlet, wall_s)

    def began(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """Occupied, the transaction, what the vehicle needs, and that it charges."""
        messages = [
            messages20.status(outlet, shown.wall_s),
            self._event(outlet, shown, "Started", "CablePluggedIn"),
            messages20.charging_needs(outlet, self._version),
        ]
        if outlet.session is not None:
            outlet.session.charging = "Charging"
        return [*messages, self._event(outlet, shown, "Updated", "ChargingStateChanged")]

    def start(self, outlet: Outlet) -> Message:
        """Never asked for: the station's own id is there from the beginning."""
        raise ValueError(f"{outlet.evse}: a 2.x transaction has its id from the beginning")

    def reported(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """A TransactionEvent."""
        return [self._event(outlet, shown, "Updated", "MeterValuePeriodic")]

    def ended(self, outlet: Outlet, shown: Shown, *, power_loss: bool) -> list[Message]:
        """The last TransactionEvent."""
        return [self._event(outlet, shown, "Ended", "AbnormalCondition" if power_loss else "EVDeparted")]

    def temperature(self, outlet: Outlet, shown: Shown, seq: int) -> list[Message]:
        """NotifyEvent."""
        return [messages20.temperature(outlet, shown.wall_s, shown.sample.pack_c, seq)]

    def caught_up(self, message: Message) -> Message:
        """Flagged as history."""
        action, payload = message
        return (action, {**payload, "offline": True}) if action == "TransactionEvent" else message

    def answer(self, owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """See ``sim.stations.handlers20``, and for what 2.1 adds ``sim.stations.station21``."""
        own = station21.answer(owner, action, payload) if self._version == "2.1" else None
        answer = handlers20.answer(owner, action, payload) if own is None else own
        self._with_currents = messages20.CURRENT in owner.variables.get(MEASURANDS, "").split(",")
        return answer

    def _event(self, outlet: Outlet, shown: Shown, kind: str, reason: str) -> Message:
        action, payload = messages20.transaction_event(
            outlet, shown.wall_s, kind, reason, shown.sample, with_soc=shown.with_soc
        )
        if self._with_currents:
            payload["meterValue"][0]["sampledValue"] += messages20.currents(shown.sample)
        return action, payload
