"""``cloud``: what a person may order of the link to the cloud."""

from typing import Any

import structlog

from v2g_edge.cloud.session import CloudSession
from v2g_edge.host.control import BadRequestError

log = structlog.get_logger()


class CloudApi:
    """Takes ``reset_revision`` (true) and ``why``."""

    def __init__(self, cloud: CloudSession) -> None:
        self._cloud = cloud

    async def cloud(self, params: dict[str, Any]) -> dict[str, Any]:
        """Forget the newest plan's revision, so that the cloud's next plan is taken whatever its number."""
        if params.get("reset_revision") is not True or params.keys() - {"reset_revision", "why"}:
            raise BadRequestError(f"cloud takes reset_revision (true) and why (text), found {params!r}")
        forgotten = self._cloud.reset_revision()
        log.warning("plan_revision_reset", forgotten=forgotten, why=str(params.get("why", ""))[:200])
        return {"forgotten": forgotten}
