"""``operate``: standing orders of a person. They act at once; the answer says whether they are on the disk
too.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.api.state import DepotState
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile

TEXT_MAX: Final = 200
"""Characters of a name or reason that are kept."""


class OrdersApi:
    """Takes ``stop``, ``export_hold`` (booleans) and ``acknowledge`` ("row:subject"); ``by`` and ``why`` go
    into the log.

    ``wake`` brings the next tick forward.
    """

    def __init__(self, state: DepotState, file: OperatorFile, wake: Callable[[], None]) -> None:
        self._state = state
        self._file = file
        self._wake = wake

    async def operate(self, params: dict[str, Any]) -> dict[str, Any]:
        """Act on the orders at the next tick, and keep them."""
        allowed = {"stop": bool, "export_hold": bool, "acknowledge": str, "by": str, "why": str}
        wrong = [
            key for key, value in params.items() if key not in allowed or not isinstance(value, allowed[key])
        ]
        if wrong or not params.keys() - {"by", "why"}:
            raise BadRequestError(
                "operate takes stop (bool), export_hold (bool) or acknowledge (row:subject), found"
                f" {params!r}"
            )
        latch = params.get("acknowledge")
        if latch:
            self._check_clear(latch)
        standing = self._state.operator
        orders = replace(
            standing,
            stop=params.get("stop", standing.stop),
            export_hold=params.get("export_hold", standing.export_hold),
            by=params.get("by", "")[:TEXT_MAX],
            why=params.get("why", "")[:TEXT_MAX],
        )
        if orders.stop and not standing.stop and self._state.tick is not None:
            self._state.stopped_s = self._state.tick.snapshot.now_s
        # In force first, then on the disk: a full disk may cost the order its life after a restart, never its
        # effect now.
        self._state.operator = replace(orders, acknowledged=(latch,)) if latch else orders
        self._wake()
        not_kept = await asyncio.to_thread(self._file.save, orders)
        return {"stop": orders.stop, "export_hold": orders.export_hold, "not_kept": not_kept}

    def _check_clear(self, latch: str) -> None:
        """Refuse to clear a latch that does not act or whose cause lasts: the person must not believe that
        it is cleared.
        """
        latches = self._state.memory.envelope.latches
        acting = {f"{each.row}:{each.subject}": each for each in latches if each.active}
        if latch not in acting:
            raise BadRequestError(f"{latch!r} does not act; there act: {', '.join(sorted(acting)) or 'none'}")
        if acting[latch].present:
            raise BadRequestError(f"{latch} has its cause still, so it stays; `v2g-edge status` shows it")
