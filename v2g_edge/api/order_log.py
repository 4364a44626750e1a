"""Every order of the control socket, done or refused, in the log and in the journal: who, when, what, why."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import structlog

from v2g_edge.host.control import Ordered
from v2g_edge.host.journal import Journal
from v2g_edge.host.records import OrderRow

log = structlog.get_logger()

WHAT_MAX: Final = 2_000
"""Characters of an order that are kept. A firmware manifest is longer; its file and station come first."""
TEXT_MAX: Final = 200
"""Characters of a name or reason that are kept."""
BY: Final = ("by", "who")
"""Where a request says for whom it is given: the console names its own account."""
WHY: Final = "why"
SECRET: Final = re.compile(r"pass|secret|key|token|pin|auth|://", re.IGNORECASE)
"""Where an operation speaks of one of these, only the names of its parameters are kept: values may be
passwords, cards, or addresses with a password in them.
"""


class OrderLog:
    """Takes each order once it is done or refused. ``journal`` gives the open journal, None without one."""

    def __init__(self, journal: Callable[[], Journal | None], wall_s: Callable[[], float]) -> None:
        self._journal = journal
        self._wall_s = wall_s

    def record(self, ordered: Ordered) -> None:
        """Write one order down. A programme's signal comes each second and is no order of a person."""
        if ordered.method == "services" and "limits" not in ordered.params:
            return
        by = next((str(said) for key in BY if (said := ordered.params.get(key))), ordered.name)
        why = str(ordered.params.get(WHY, ""))[:TEXT_MAX]
        what = _what(ordered.method, ordered.params)
        log.warning(
            "operator_order",
            who=ordered.name,
            by=by[:TEXT_MAX],
            role=ordered.role,
            what=what,
            why=why,
            outcome=ordered.outcome[:TEXT_MAX],
        )
        if (journal := self._journal()) is not None:
            row = (self._wall_s(), ordered.name, by[:TEXT_MAX], ordered.role, what, why, ordered.outcome)
            journal.record_order(OrderRow(*row))


def _what(method: str, params: dict[str, Any]) -> str:
    """The order without who and why, as one line."""
    rest = {key: value for key, value in params.items() if key not in (*BY, WHY)}
    inner = rest.get("params")
    if isinstance(inner, dict) and any(SECRET.search(text) for text in _texts(inner)):
        rest["params"] = dict.fromkeys(inner, "…")
    text = f"{method} {msgspec.json.encode(rest).decode()}"
    return text if len(text) <= WHAT_MAX else text[: WHAT_MAX - 1] + "…"


def _texts(value: Any) -> Iterator[str]:
    """Every name and text in a value, however deep."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
