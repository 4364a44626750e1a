"""``ocpp``: all stations, or the outcome of one operation at one of them
(``v2g_edge.field.ocpp.upkeep.operations``).
"""

import re
from collections.abc import Callable
from typing import Any, Final

from v2g_edge.api.unknown_stations import entry_of
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.host.control import BadRequestError
from v2g_edge.model.site import Site

NAME: Final = re.compile(r"[A-Za-z0-9*_=:+|@.-]{1,48}")
"""What a station may be called in a site file (OCPP 2.0.1 part 2, identifierString); the daemon does not
carry the file's own checker.
"""


class OcppApi:
    """Passes operations of a person to the central system."""

    def __init__(self, ocpp: CentralSystem, site: Callable[[], Site]) -> None:
        self._ocpp = ocpp
        self._site = site

    async def ocpp(self, params: dict[str, Any]) -> dict[str, Any]:
        """Perform ``operation`` at ``station`` with ``params``; without an operation, describe all
        stations.
        """
        if params.get("operation") in (None, "", False):
            return {"stations": self._ocpp.describe(), "unknown": self._unknown()}
        station, operation = str(params.get("station", "")), str(params["operation"])
        try:
            return await self._ocpp.perform(station, operation, params.get("params") or {})
        except (ValueError, TypeError) as error:
            raise BadRequestError(str(error)) from error

    def _unknown(self) -> list[dict[str, Any]]:
        """Stations that dialled in and are not in the site file, each with an entry for it."""
        site = self._site()
        return [
            knock | {"entry": entry_of(knock["station"], site) if NAME.fullmatch(knock["station"]) else ""}
            for knock in self._ocpp.knocks.describe()
        ]
