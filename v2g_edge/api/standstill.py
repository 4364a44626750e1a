"""``standstill``: which outlets are proven to be at 0 W after a stop, and what is to be done at the
others.
"""

from typing import Any, Final

from v2g_edge.api.state import DepotState
from v2g_edge.model.reading import Reading
from v2g_edge.model.site import Evse
from v2g_edge.model.snapshot import EvseState, Snapshot

ZERO_W: Final = 250.0
"""Less is the standby draw of a charger and the error of its meter."""


class StandstillApi:
    """Answers from the last tick. It changes nothing."""

    def __init__(self, state: DepotState) -> None:
        self._state = state

    async def standstill(self, _params: dict[str, Any]) -> dict[str, Any]:
        """Every outlet: its ``state`` (proven, silent, waiting, disobedient), what was found, and what to
        do there.
        """
        snapshot, since_s = self._state.last_tick().snapshot, self._state.stopped_s
        stop = self._state.operator.stop and snapshot.operator.stop
        rows = [
            _row(evse, state, snapshot, since_s)
            for evse, state in zip(self._state.site.evses, snapshot.evses, strict=True)
        ]
        return {"stop": stop, "evses": rows, "proven": stop and all(row["state"] == "proven" for row in rows)}


def _row(evse: Evse, state: EvseState, snapshot: Snapshot, since_s: float) -> dict[str, Any]:
    how, found = _judged(state, snapshot, since_s)
    contactor = (
        f"open its contactor {evse.contactor} (`v2g-edge failsafe`), or" if evse.contactor else "go there:"
    )
    mend = "" if how in {"proven", "waiting"} else f"{contactor} switch off its breaker"
    return {"id": evse.id, "state": how, "found": found, "do": mend}


def _judged(state: EvseState, snapshot: Snapshot, since_s: float) -> tuple[str, str]:
    power = state.power_w
    if not state.link.connected:
        left_s = state.command.lease_until_s - snapshot.now_s
        lease = (
            f"its lease runs for {left_s:.0f} s more"
            if left_s > 0.0
            else "its lease has run out: it is at its default"
        )
        return "silent", f"not connected, {lease}"
    if isinstance(power, Reading) and power.at_s >= since_s:
        if abs(power.value) <= ZERO_W:
            return "proven", f"{power.value:.0f} W measured {snapshot.now_s - power.at_s:.0f} s ago"
        if state.command.ack == "pending":
            return "waiting", f"{power.value:.0f} W, its answer is awaited"
        return "disobedient", f"{power.value:.0f} W measured, told 0 W ({state.command.ack})"
    if state.vehicle is None and state.status == "available":
        return "proven", "no vehicle is plugged in"
    return "waiting", "its power has not been measured since the stop"
