"""Signals from the cloud, to the services of the site that follow one."""

from collections.abc import Callable

from v2g_edge.api.services import signalled
from v2g_edge.api.state import DepotState
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import Signal
from v2g_edge.rules.services.registry import SERVICES


class SignalTaker:
    """Puts a signal into the next picture and wakes the tick for it."""

    def __init__(self, state: DepotState, clock: ClockPort, wake: Callable[[], None]) -> None:
        self._state = state
        self._clock = clock
        self._wake = wake

    def services(self) -> tuple[str, ...]:
        """The services that follow a signal."""
        return tuple(each.id for each in self._state.site.services if SERVICES[each.kind].moves == "signal")

    def take(self, service: str, value: float, every_s: float, age_s: float) -> None:
        """As of ``age_s`` ago."""
        signal = Signal(value, self._clock.now_s() - max(age_s, 0.0), every_s)
        self._state.operator = signalled(self._state.operator, service, signal)
        self._wake()
