"""``status``, ``why``, ``events`` and ``plan``: the depot as it is, and why."""

from typing import Any

import msgspec

from v2g_edge.api.state import DepotState
from v2g_edge.host.control import BadRequestError
from v2g_edge.study.explain import describe_status, describe_why


class StatusApi:
    """Answers questions about the present depot. It changes nothing."""

    def __init__(self, state: DepotState) -> None:
        self._state = state

    async def status(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The whole depot at the last tick."""
        return describe_status(self._state.site, *self._state.last_tick())

    async def why(self, params: dict[str, Any]) -> dict[str, Any]:
        """Every limit on one outlet, and the one that binds."""
        tick = self._state.last_tick()
        try:
            return describe_why(self._state.site, tick.snapshot, tick.outcome, str(params.get("evse", "")))
        except KeyError as error:
            raise BadRequestError(str(error.args[0])) from error

    async def events(self, params: dict[str, Any]) -> dict[str, Any]:
        """Events after ``since_wall_s`` (all that are kept, by default), oldest first."""
        since = params.get("since_wall_s", 0.0)
        if not isinstance(since, int | float):
            raise BadRequestError(f"since_wall_s is UTC epoch seconds, found {since!r}")
        return {"events": [msgspec.to_builtins(event) for event in self._state.events if event.wall_s > since]}

    async def plan(self, _params: dict[str, Any]) -> dict[str, Any]:
        """The plan that the last tick followed, null without one; and what is expected of it where it is the depot's own."""
        plan = self._state.last_tick().plan
        own = plan is not None and plan.source == "local"
        return {"plan": msgspec.to_builtins(plan), "report": msgspec.to_builtins(self._state.report) if own else None}
