"""What a vehicle without SoC has taken in this session, by its outlet's own register."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.field.sentinel_values import most_w
from v2g_edge.model.reading import Measured, Reading
from v2g_edge.model.site import Evse
from v2g_edge.model.snapshot import EvseState

STEP_WH: Final = 1_000.0
"""A register may count in steps so large."""


class _Since(Struct, frozen=True):
    """Of one session: the register as it stood before, its first value within, the last one that could be,
    and one that has jumped.
    """

    session: str
    before: Measured
    first_wh: float | None = None
    last: Reading | None = None
    odd: Reading | None = None


class SessionEnergy:
    """Counts for each outlet from the first register value within the session.

    What was taken before that value, or before a register began anew, is not counted, nor is a jump that no
    outlet can carry: the need then looks larger, never smaller.
    """

    def __init__(self, evses: Iterable[Evse]) -> None:
        self._since: dict[str, _Since] = {}
        self._most_w = {evse.id: most_w(evse) for evse in evses}

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
        if register in (since.before, since.last, since.odd):
            return state
        since = self._since[evse_id] = self._with(evse_id, since, register)
        if since.first_wh is None or since.last is not register:
            return state
        charged = Reading(register.value - since.first_wh, register.at_s)
        return replace(state, vehicle=replace(vehicle, charged_wh=charged))

    def _with(self, evse_id: str, since: _Since, register: Reading) -> _Since:
        """What is known after another value. After a jump it counts from there on, if the next value fits."""
        first_wh, last, odd = since.first_wh, since.last, since.odd
        if first_wh is None or last is None or register.value < first_wh:
            return replace(since, first_wh=register.value, last=register, odd=None)
        limit_w = self._most_w[evse_id]
        if _fits(last, register, limit_w):
            return replace(since, last=register, odd=None)
        if odd is not None and _fits(odd, register, limit_w):
            return replace(since, first_wh=odd.value - (last.value - first_wh), last=register, odd=None)
        return replace(since, odd=register)


def _fits(before: Reading, after: Reading, limit_w: float) -> bool:
    """Whether a register can have run from one value to the other."""
    seconds = max(after.at_s - before.at_s, 0.0)
    return 0.0 <= after.value - before.value <= limit_w * seconds / 3_600.0 + STEP_WH
