"""When a simulated station sends what it sends of its own accord."""

from typing import Final

HEARTBEAT_S: Final = 300.0
REPORT_S: Final = 10.0
"""Report intervals until the central system sets others."""

TEMPERATURE_S: Final = 60.0


class Timetable:
    """``variables`` are the station's settings, of which some are intervals."""

    def __init__(self, variables: dict[tuple[str, str], str]) -> None:
        self._variables = variables
        self._due: dict[str, float] = {}

    def is_due(self, what: str, wall_s: float, interval_s: float) -> bool:
        """Whether ``what`` is sent now; it is due again ``interval_s`` later."""
        due = self._due.get(what, wall_s)
        if wall_s < due:
            return False
        self._due[what] = max(due + interval_s, wall_s)
        return True

    def set(self, what: str, wall_s: float) -> None:
        """``what`` is next due at ``wall_s``."""
        self._due[what] = wall_s

    def interval_s(self, key: tuple[str, str], otherwise_s: float) -> float:
        """The interval that the central system set, ``otherwise_s`` where it set none."""
        text = self._variables.get(key, "")
        return float(text) if text.isdigit() and int(text) > 0 else otherwise_s
