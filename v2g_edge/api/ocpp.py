"""``ocpp``: all stations, or the outcome of one operation at one of them
(``v2g_edge.field.ocpp.upkeep.operations``).
"""

from typing import Any

from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.host.control import BadRequestError


class OcppApi:
    """Passes operations of a person to the central system."""

    def __init__(self, ocpp: CentralSystem) -> None:
        self._ocpp = ocpp

    async def ocpp(self, params: dict[str, Any]) -> dict[str, Any]:
        """Perform ``operation`` at ``station`` with ``params``; without an operation, describe all
        stations.
        """
        if params.get("operation") in (None, "", False):
            return {"stations": self._ocpp.describe()}
        station, operation = str(params.get("station", "")), str(params["operation"])
        try:
            return await self._ocpp.perform(station, operation, params.get("params") or {})
        except (ValueError, TypeError) as error:
            raise BadRequestError(str(error)) from error
