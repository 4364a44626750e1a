"""Tonight on one screen of 80 × 24: what needs a person first, then one line a vehicle, soonest departure
first.
"""

from typing import Any, Final

from v2g_edge.cli.screen import DIM, RED, WIDTH, YELLOW, coloured, kilowatts, local_time, number, wrapped

HEIGHT: Final = 24
NEEDS_MOST: Final = 6
"""Lines for what needs a person where vehicles fill the screen; the rest is in ``--all``."""
FIXED: Final = 4
"""Lines that are always there: site, plan, an empty one, the head of the table."""
VEHICLES_LEAST: Final = 6
HEAD: Final = f"{'vehicle':13} {'outlet':7} {'SoC → goal':>11} {'leaves':>6} {'ready':>6} {'kW':>6}  why"
URGENT: Final = frozenset({"impossible", "short", "overdue", "not_charging", "gives_nothing"})


def glance(status: dict[str, Any], page: int = 1) -> list[str]:
    """Not more than 24 lines of 80 columns."""
    zone = status.get("timezone", "")
    there = [evse for evse in status["evses"] if evse["vehicle"] is not None]
    empty = [evse for evse in status["evses"] if evse["vehicle"] is None]
    foot = _empty(empty)
    free = HEIGHT - FIXED - len(there) - len(foot)
    top = [_head(status, zone), *_orders(status), *_needs(status, zone, max(free, NEEDS_MOST))]
    room = max(HEIGHT - len(top) - len(foot) - 2, VEHICLES_LEAST)
    ordered = sorted(
        there, key=lambda evse: (not evse["risks"], evse["departure_wall_s"] or 1e18, evse["id"])
    )
    pages = max(-(-len(ordered) // (room - 1)), 1) if len(ordered) > room else 1
    page = min(page, pages)
    if pages > 1:
        room -= 1
        foot = [
            *foot,
            (
                f"page {page} of {pages}: --page {page % pages + 1} for the next vehicles, --all for every"
                " outlet"
            ),
        ]
    rows = [_row(evse, zone, status["wall_s"]) for evse in ordered[(page - 1) * room : page * room]]
    return [*top, "", coloured(HEAD, DIM), *rows, *foot]


def _head(status: dict[str, Any], zone: str) -> str:
    grid = status["grid"]
    relay = {True: "relay closed", False: "RELAY OPEN", None: "relay unknown"}[grid["relay_closed"]]
    sync = "" if status["clock_synced"] else "  CLOCK NOT SET"
    when = local_time(status["wall_s"], "%a %d %b %H:%M", zone)
    return _cut(f"{status['site']}  {when} {zone}  grid {kilowatts(grid['power_w'])} kW  {relay}{sync}")


def _orders(status: dict[str, Any]) -> list[str]:
    """The plan and what people have ordered, in one line."""
    plan, zone = status["plan"], status.get("timezone", "")
    what = (
        f"{plan['source']} plan until {local_time(plan['until_wall_s'], zone=zone)}"
        if plan
        else "no plan: charges at once"
    )
    texts = [
        text
        for key, text in (("stop", "STOP: 0 W everywhere"), ("export_hold", "export held"))
        if status["operator"][key]
    ]
    texts += [order["text"] for order in status.get("orders", [])]
    return [_cut(what + (f"   ORDERS: {'; '.join(texts)}" if texts else ""))]


def _needs(status: dict[str, Any], zone: str, most: int) -> list[str]:
    lines: list[str] = []
    for need in status.get("attention", []):
        names = ", ".join(need["subjects"][:4]) + (
            f" +{len(need['subjects']) - 4}" if len(need["subjects"]) > 4 else ""
        )
        since = (
            f" since {local_time(need['since_wall_s'], zone=zone)}"
            if need["since_wall_s"] is not None
            else ""
        )
        remedy = f". {need['remedy'][:1].upper()}{need['remedy'][1:]}." if need["remedy"] else "."
        mark = "~" if need["waits"] else "!"
        lines += wrapped(f"{names}: {need['text']}{since}{remedy}", f"{mark} ", "  ")
    kept = lines if len(lines) <= most else [*lines[: most - 1], "! and more: v2g-edge status --all"]
    return [coloured(line, RED if line.startswith("!") else YELLOW) for line in kept]


def _row(evse: dict[str, Any], zone: str, wall_s: float) -> str:
    name = evse["vehicle"] or "not known"
    name = name if len(name) <= 13 else f"…{name[-12:]}"
    goal = f"{number(evse['soc_pct'])} → {number(evse['target_soc_pct'])} %"
    if evse.get("target_wh"):  # it tells no SoC: what it was charged with since it came
        goal = f"{evse['charged_wh'] / 1e3:.0f} → {evse['target_wh'] / 1e3:.0f} kWh"
    ready_s = evse.get("ready_wall_s")
    ready = "now" if ready_s is not None and ready_s <= wall_s else local_time(ready_s, zone=zone)
    late = (
        ready_s is None
        and evse["departure_wall_s"] is not None
        and (evse["soc_pct"] is not None or bool(evse.get("target_wh")))
    )
    ready = "LATE" if late or URGENT & set(evse["risks"]) - {"gives_nothing", "not_charging"} else ready
    leaves = local_time(evse["departure_wall_s"], zone=zone)
    power, why = kilowatts(evse["power_w"]), evse.get("why", "")
    text = f"{name:13} {evse['id'][:7]:7} {goal:>11} {leaves:>6} {ready:>6} {power:>6}  {why}"
    return coloured(_cut(text), RED) if evse["risks"] else _cut(text)


def _empty(evses: list[dict[str, Any]]) -> list[str]:
    if not evses:
        return []
    names = [f"{evse['id']}{'' if evse['connected'] else ' (silent)'}" for evse in evses]
    return [_cut(f"empty: {', '.join(names)}")]


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
