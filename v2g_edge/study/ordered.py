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
    """An order in words, with its end and who gave it; a window of the site file has no end here."""
    limit_kw = (order.limit_w or 0.0) / 1_000.0
    target = f" with {order.soc_pct:g} %" if order.soc_pct is not None else ""
    what = {
        "boost": f"boost {order.subject}",
        "depart": f"{order.subject} leaves {clock(site, order.at_wall_s)}{target}",
        "skip": f"{order.subject} stays",
        "no-v2g": f"{order.subject} gives nothing",
        "priority": f"{order.subject} first",
        "limit": f"feeder {order.subject} at {limit_kw:g} kW",
        "mute": f"mute {order.subject}",
        "export-limit": f"feeder {order.subject} feeds back {limit_kw:g} kW at most",
        "reserve": f"{order.subject} keeps {order.soc_pct or 0.0:g} %",
    }[order.kind]
    end = f" until {clock(site, order.until_wall_s)}" if order.number else ""
    between = ": " if order.who and order.why else ""
    who = f" ({order.who}{between}{order.why})" if order.who or order.why else ""
    return f"{what}{end}{who}"
