"""On which phases of its charger a vehicle draws, from what a station measures on each."""

from typing import Final, get_args

from v2g_edge.model.snapshot import VehiclePhases

LEAST_W: Final = 1_000.0
"""Less than this is no charging: IEC 61851-1 begins at 6 A, 1.4 kW on one phase."""
USED_SHARE: Final = 0.2
"""A phase with less than this share of the fullest one carries filters and meters' offsets, and no
charging.
"""
UNEVEN: Final = 1.25
"""A phase with more than this multiple of the mean of those in use is loaded unevenly: then all may flow
on it.
"""
READINGS: Final = 2
"""So many readings in a row must agree: the phases of one may be from before and after a start."""

KNOWN: Final[dict[str, VehiclePhases]] = {phases: phases for phases in get_args(VehiclePhases)}


class SeenPhases:
    """What the readings of one session have shown. A reading that contradicts it ends it at once."""

    def __init__(self) -> None:
        self._session = ""
        self._last = ""
        self._times = 0
        self._seen: VehiclePhases = ""

    def add(self, session: str, phase_w: tuple[float, float, float]) -> VehiclePhases:
        """Take in a reading, either way; returns the phases that the session has shown, "" while it has
        not.
        """
        if session != self._session:
            self._session, self._last, self._times, self._seen = session, "", 0, ""
        amounts = tuple(map(abs, phase_w))
        if sum(amounts) < LEAST_W:
            return self._seen
        used = [amount for amount in amounts if amount >= USED_SHARE * max(amounts)]
        name = "".join(f"L{n}" for n, amount in enumerate(amounts, 1) if amount >= USED_SHARE * max(amounts))
        if max(amounts) > UNEVEN * sum(used) / len(used):
            name = ""
        self._times = self._times + 1 if name == self._last else 1
        self._last = name
        if name != self._seen:
            self._seen = KNOWN[name] if self._times >= READINGS else ""
        return self._seen
