"""The voice of a station that speaks OCPP 1.6."""

from typing import Any

from sim.stations import handlers16, messages16
from sim.stations.outlet import Outlet
from sim.stations.version import Message, Shown, StationContext


class Version16:
    """See ``sim.stations.version.StationVersion``."""

    heartbeat_key: tuple[str, str] = ("", "HeartbeatInterval")
    report_key: tuple[str, str] = ("", "MeterValueSampleInterval")
    kept: frozenset[str] = frozenset({"StopTransaction"})

    def __init__(self) -> None:
        self._listed = ""

    def transaction(self, identity: str, count: int) -> str:
        """Given by the central system."""
        return ""

    def boot(self, identity: str, reason: str, firmware: str) -> Message:
        """BootNotification; 1.6 gives no reason."""
        told = {
            "chargePointVendor": "v2g-edge sim",
            "chargePointModel": "SimBidi 16",
            "chargePointSerialNumber": identity[:25],
        }
        return "BootNotification", {**told, "firmwareVersion": firmware}

    def heartbeat(self) -> Message:
        """Heartbeat."""
        return "Heartbeat", {}

    def status(self, outlet: Outlet, wall_s: float) -> Message:
        """StatusNotification."""
        return messages16.status(outlet, wall_s)

    def began(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """Preparing, and the transaction."""
        return [messages16.status(outlet, shown.wall_s), messages16.start(outlet)]

    def start(self, outlet: Outlet) -> Message:
        """StartTransaction."""
        return messages16.start(outlet)

    def reported(self, outlet: Outlet, shown: Shown) -> list[Message]:
        """MeterValues."""
        return [messages16.meter_values(outlet, shown, self._listed)]

    def ended(self, outlet: Outlet, shown: Shown, *, power_loss: bool) -> list[Message]:
        """StopTransaction, of a transaction that has an id."""
        reason = "PowerLoss" if power_loss else "EVDisconnected"
        wall_s, meter_wh = shown.wall_s, shown.sample.import_wh
        return [messages16.stop(outlet.transaction, wall_s, meter_wh, reason)] if outlet.transaction else []

    def temperature(self, outlet: Outlet, shown: Shown, seq: int) -> list[Message]:
        """Among the meter values."""
        return []

    def caught_up(self, message: Message) -> Message:
        """As it was: its time says when."""
        return message

    def answer(self, owner: StationContext, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """See ``sim.stations.handlers16``."""
        answer = handlers16.answer(owner, action, payload)
        self._listed = owner.variables.get(("", handlers16.SAMPLED), "")
        return answer
