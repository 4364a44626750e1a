"""``status``, ``why``, ``events`` and ``plan``: the depot as it is, and why."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from v2g_edge.api.state import DepotState
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.plan import Price
from v2g_edge.study.answer_context import NO_STATIONS, Beside
from v2g_edge.study.explain import describe_answer, describe_status
from v2g_edge.study.ordered import order_shown


def _names(need: dict[str, Any]) -> set[str]:
    """What of a need can be muted: the row at each of its subjects."""
    return {f"{need['kind']}:{subject}" for subject in need["subjects"]}


class StatusApi:
    """Answers questions about the present depot. It changes nothing.

    ``prices`` gives those that are known now, ``stations`` the outlets of each.
    """

    def __init__(
        self,
        state: DepotState,
        prices: Callable[[], tuple[Price, ...]] = tuple,
        stations: Mapping[str, tuple[str, ...]] = NO_STATIONS,
    ) -> None:
        self._state = state
        self._prices = prices
        self._stations = stations

    async def status(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The whole depot at the last tick."""
        status = describe_status(self._state.site, *self._state.last_tick(), self._beside())
        orders = self._state.operator.orders
        status["orders"] = [order_shown(order, self._state.site) for order in orders]
        muted = {order.subject for order in orders if order.kind == "mute"}
        status["attention"] = [need for need in status["attention"] if not _names(need) <= muted]
        return status

    async def why(self, params: dict[str, Any]) -> dict[str, Any]:
        """Why an outlet, vehicle, station or feeder is as it is (``subject``), and every limit on its
        outlets.
        """
        asked = str(params.get("subject", params.get("evse", "")))
        try:
            return describe_answer(self._state.site, *self._state.last_tick(), asked, self._beside())
        except KeyError as error:
            raise BadRequestError(str(error.args[0])) from error

    async def events(self, params: dict[str, Any]) -> dict[str, Any]:
        """Events after ``since_wall_s`` (all that are kept, by default), oldest first."""
        since = params.get("since_wall_s", 0.0)
        if not isinstance(since, int | float):
            raise BadRequestError(f"since_wall_s is UTC epoch seconds, found {since!r}")
        kept = [msgspec.to_builtins(event) for event in self._state.events if event.wall_s > since]
        return {"timezone": self._state.site.timezone, "events": kept}

    async def plan(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The plan that the last tick followed, null without one; and what is expected of it where it is
        the depot's own.
        """
        plan = self._state.last_tick().plan
        own = plan is not None and plan.source == "local"
        return {
            "plan": msgspec.to_builtins(plan),
            "report": msgspec.to_builtins(self._state.report) if own else None,
        }

    def _beside(self) -> Beside:
        """Since when each row acts comes from the events that are kept; older ones have no time."""
        since: dict[str, float] = {}
        for event in self._state.events:
            row, cleared, _ = event.kind.partition(".cleared")
            if cleared:
                since.pop(f"{row}:{event.subject}", None)
            else:
                since[f"{row}:{event.subject}"] = event.wall_s
        return Beside(self._prices(), since, self._stations)
