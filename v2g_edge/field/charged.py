"""What a vehicle that tells no SoC has taken since it was plugged in, by its outlet's own register."""

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.snapshot import EvseState


class _Since(Struct, frozen=True):
    """Of one session: the register as it stood before, and its first value within."""

    session: str
    before: Measured
    first_wh: float | None = None


class ChargedMeter:
    """Counts for each outlet from the first register value within the session.

    What was taken before that value, or before a register began anew, is not counted: the need then looks
    larger, never smaller.
    """

    def __init__(self) -> None:
        self._since: dict[str, _Since] = {}

    def counted(self, evse_id: str, state: EvseState) -> EvseState:
        """``state`` with ``charged_wh`` of its vehicle; the same object where nothing is to be counted."""
        vehicle, register = state.vehicle, state.energy_import_wh
        if vehicle is None:
            self._since.pop(evse_id, None)
            return state
        since = self._since.get(evse_id)
        if since is None or since.session != vehicle.session:
            self._since[evse_id] = _Since(vehicle.session, register)
            return state
        if isinstance(vehicle.soc_pct, Reading) or not isinstance(register, Reading):
            return state
        if register == since.before:
            return state
        first_wh = since.first_wh
        if first_wh is None or register.value < first_wh:
            first_wh = register.value
            self._since[evse_id] = replace(since, first_wh=first_wh)
        charged = Reading(register.value - first_wh, register.at_s)
        if charged == vehicle.charged_wh:
            return state
        return replace(state, vehicle=replace(vehicle, charged_wh=charged))
