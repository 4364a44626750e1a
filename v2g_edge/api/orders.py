"""``operate``: standing orders of a person. They act at once; the answer says whether they are on the disk
too.
"""

import asyncio
import difflib
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from v2g_edge.api.state import DepotState
from v2g_edge.envelope.checks import ROWS
from v2g_edge.envelope.table import NO_ANSWER
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.event import Event
from v2g_edge.model.snapshot import Operator
from v2g_edge.study.answer_context import NOTHING
from v2g_edge.study.names import find

ENDS: Final = {
    "when_gone": "at the next tick",
    "after_enter_service": "when the grid has been healthy for as long as the grid code asks"
    " (safety.trip_clear_by_operator = true leaves it to a person)",
    "when_unplugged": "when its vehicle is unplugged",
    "by_proof": "when it has shown for a minute, longer after each relapse, that it takes what it is told",
    "never": "never, while the daemon runs",
}
"""How a row whose cause is gone ends without a person, by its clear rule."""

TEXT_MAX: Final = 200
"""Characters of a name or reason that are kept."""


class OrdersApi:
    """Takes ``stop``, ``export_hold`` (booleans) and ``acknowledge`` ("row:subject"), with ``by`` and
    ``why``.

    ``tell`` gets an event for each order that is given or ends; ``wake`` brings the next tick forward.
    """

    def __init__(
        self,
        state: DepotState,
        file: OperatorFile,
        tell: Callable[[Event], None],
        wake: Callable[[], None],
        wall_s: Callable[[], float],
    ) -> None:
        self._state = state
        self._file = file
        self._tell = tell
        self._wake = wake
        self._wall_s = wall_s

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
        latch = self._clearable(params["acknowledge"]) if params.get("acknowledge") else ""
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
        for event in _events(params | {"acknowledge": latch}, standing, orders, self._wall_s()):
            self._tell(event)
        not_kept = await asyncio.to_thread(self._file.save, orders)
        return {"stop": orders.stop, "export_hold": orders.export_hold, "not_kept": not_kept}

    def _clearable(self, asked: str) -> str:
        """The latch as the table writes it. One that does not act or whose cause lasts is refused: the
        person must not believe that it is cleared.
        """
        latches = self._state.memory.envelope.latches
        acting = {f"{each.row}:{each.subject}": each for each in latches if each.active}
        latch = next((name for name in acting if name.lower() == asked.strip().lower()), "")
        if not latch:
            raise BadRequestError(self._not_acting(asked, list(acting)))
        if acting[latch].present:
            raise BadRequestError(f"{latch} has its cause still, so it stays; `v2g-edge status` shows it")
        row = next(row for row in ROWS if row.id == acting[latch].row)
        of_trip = row.clear == "after_enter_service" and self._state.site.safety.trip_clear_by_operator
        of_row = row.override or row.clear == "by_operator"  # as ``envelope.table`` ends them
        if not (of_row or of_trip or acting[latch].subject == NO_ANSWER):
            raise BadRequestError(f"{latch} is not a person's to clear: it ends by itself {ENDS[row.clear]}")
        return latch

    def _not_acting(self, asked: str, acting: list[str]) -> str:
        """Why nothing can be cleared, and what was meant."""
        row, _, subject = asked.partition(":")
        if row != "disobedient":
            close = difflib.get_close_matches(asked, acting, 1, 0.6)
            meant = f"; did you mean {close[0]}?" if close else ""
            return f"{asked!r} does not act; there act: {', '.join(sorted(acting)) or 'none'}{meant}"
        held = [name.partition(":")[2] for name in acting if name.startswith("disobedient:")]
        if self._state.tick is not None:
            try:
                named = find(self._state.site, self._state.tick.snapshot, NOTHING, subject)
            except KeyError as error:
                return str(error.args[0])
            if named.kind != "outlet":
                return f"{named.name} is a {named.kind}; retry takes an outlet"
        waits = f"; {', '.join(held)} {'waits' if len(held) == 1 else 'wait'} for that" if held else ""
        return f"{subject} is not held for disobedience, so there is nothing to try again{waits}"


WORDS: Final = {"stop": "stop, 0 W both ways at every outlet", "export_hold": "hold, no export"}
"""The standing orders in words, by their field."""


def _events(params: dict[str, Any], old: Operator, new: Operator, wall_s: float) -> list[Event]:
    """What the person ordered, with the name and the reason. An order that stood already is told again: it
    may be another person's.
    """
    who = f"{new.by or 'name not given'}{': ' if new.why else ''}{new.why}"
    found = []
    for key, words in WORDS.items():
        if params.get(key) is True:
            text = f"{words}, until released ({who})"
            found.append(Event("order_given", "warning", "site", text, wall_s))
        elif params.get(key) is False:
            stood = "released" if getattr(old, key) else "released, and did not stand"
            found.append(Event("order_ended", "info", "site", f"{words}: {stood} ({who})", wall_s))
    if latch := params.get("acknowledge"):
        row, _, subject = latch.partition(":")
        verb = f"retry {subject}" if row == "disobedient" else f"clear {latch}"
        found.append(Event("order_given", "info", subject, f"{verb} ({who})", wall_s))
    return found
