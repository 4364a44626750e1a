"""``services``: signals and limits that programmes outside send, and what each service of the site may do
now.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from v2g_edge.api.state import DepotState
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.service import CapacityLimit, Signal
from v2g_edge.model.snapshot import Operator
from v2g_edge.rules.services.arming import Measured, refusals
from v2g_edge.rules.services.registry import SERVICES

log = structlog.get_logger()

MOST_LIMITS: Final = 200
"""Two weeks of hourly windows are 336 a direction; a programme sends the next days."""
LONGEST_PERIOD_S: Final = 60.0
ALLOWED: Final = (
    "signal {service, value from -1 to 1, every_s up to 60} or limits [{direction, power_w, from_wall_s,"
    " until_wall_s, source}]"
)


class ServicesApi:
    """Takes ``signal`` or ``limits`` (the whole list; an empty one withdraws all). ``wake`` brings the
    next tick forward.
    """

    def __init__(
        self, state: DepotState, clock: ClockPort, file: OperatorFile, wake: Callable[[], None]
    ) -> None:
        self._state = state
        self._clock = clock
        self._file = file
        self._wake = wake

    async def services(self, params: dict[str, Any]) -> dict[str, Any]:
        """Act at the next tick, and say how each service stands."""
        if params.keys() - {"signal", "limits"}:
            raise BadRequestError(f"services takes {ALLOWED}; found {params!r}")
        not_kept = ""
        if "signal" in params:
            self._signal(params["signal"])
        if "limits" in params:
            self._limits(params["limits"])
            # A limit outlives a restart; a signal does not: it would be too old.
            not_kept = await asyncio.to_thread(
                self._file.save, replace(self._state.operator, acknowledged=(), signals=())
            )
        now_s, operator = self._clock.now_s(), self._state.operator
        told = []
        for each in self._state.site.services:
            reasons = refusals(each, Measured(each.meter_hz, each.meter_w, each.meter_s, each.response_s))
            signal = next((s for name, s in operator.signals if name == each.id), None)
            told.append(
                {
                    "id": each.id,
                    "kind": each.kind,
                    "title": SERVICES[each.kind].title,
                    "power_w": each.power_w,
                    "armed": not reasons,
                    "refusals": list(reasons),
                    "signal": None if signal is None else signal.value,
                    "signal_age_s": None if signal is None else now_s - signal.at_s,
                }
            )
        return {"services": told, "limits": msgspec.to_builtins(operator.limits), "not_kept": not_kept}

    def _signal(self, said: Any) -> None:
        ids = [each.id for each in self._state.site.services if SERVICES[each.kind].moves == "signal"]
        value: Any = said.get("value") if isinstance(said, dict) else None
        every_s: Any = said.get("every_s", 0.0) if isinstance(said, dict) else None
        usable = (
            isinstance(said, dict)
            and said.get("service") in ids
            and not said.keys() - {"service", "value", "every_s"}
        )
        if not usable or not _within(value, -1.0, 1.0) or not _within(every_s, 0.0, LONGEST_PERIOD_S):
            raise BadRequestError(
                f"a signal is {ALLOWED}; services with signals: {', '.join(ids) or 'none'}; found {said!r}"
            )
        old = self._state.operator
        signal = Signal(float(value), self._clock.now_s(), float(every_s))
        self._state.operator = signalled(old, said["service"], signal)
        self._wake()

    def _limits(self, said: Any) -> None:
        try:
            limits = msgspec.convert(said, tuple[CapacityLimit, ...])
        except msgspec.ValidationError as error:
            raise BadRequestError(f"limits: {error}; services takes {ALLOWED}") from error
        numbers = [n for each in limits for n in (each.power_w, each.from_wall_s, each.until_wall_s)]
        if len(limits) > MOST_LIMITS or not all(math.isfinite(n) and n >= 0.0 for n in numbers):
            raise BadRequestError(
                f"at most {MOST_LIMITS} limits, each number finite and at least 0; found {len(limits)} limits"
            )
        self._state.operator = replace(self._state.operator, limits=limits)
        log.warning("outside_limits", limits=len(limits), sources=sorted({each.source for each in limits}))
        self._wake()


def signalled(operator: Operator, service: str, signal: Signal) -> Operator:
    """The orders with a newer signal for a service."""
    kept = tuple(item for item in operator.signals if item[0] != service)
    signals = sorted((*kept, (service, signal)), key=lambda item: item[0])
    return replace(operator, signals=tuple(signals))


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
