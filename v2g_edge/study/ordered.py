"""Orders of people in words."""

from typing import Any

from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Order
from v2g_edge.study.rows import clock


def order_shown(order: Order, site: Site) -> dict[str, Any]:
    """An order as status and lists show it."""
    return {
        "number": order.number,
        "kind": order.kind,
        "subject": order.subject,
        "until_wall_s": order.until_wall_s,
        "text": text_of(order, site),
    }


def text_of(order: Order, site: Site) -> str:
    """An order in words, with its end and who gave it."""
    what = {
        "boost": f"boost {order.subject}",
        "depart": f"{order.subject} leaves {clock(site, order.at_wall_s)}"
        + (f" with {order.soc_pct:g} %" if order.soc_pct is not None else ""),
        "skip": f"{order.subject} stays",
        "no-v2g": f"{order.subject} gives nothing",
        "priority": f"{order.subject} first",
        "limit": f"feeder {order.subject} at {(order.limit_w or 0.0) / 1_000.0:g} kW",
        "mute": f"mute {order.subject}",
    }[order.kind]
    who = (
        f" ({order.who}{': ' if order.who and order.why else ''}{order.why})"
        if order.who or order.why
        else ""
    )
    return f"{what} until {clock(site, order.until_wall_s)}{who}"
