"""One outlet in a few words: why its vehicle does what it does, and what of it needs a person."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from v2g_edge.cycle import Outcome
from v2g_edge.envelope.table import Latch
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.answer_context import Beside
from v2g_edge.study.outlook import Outlook
from v2g_edge.study.vocabulary import REASONS, RISKS, RULES, reason_of, word_of

SHOWN_W: Final = 50.0
"""Less power than this is nothing, on a screen of kW with one decimal."""
DRAWS_SHARE: Final = 0.1
"""An outlet that moves less than this share of its setpoint does not move."""


def clock(site: Site, wall_s: float | None) -> str:
    """A time of day in the site's own time zone; a dash for none."""
    if wall_s is None or abs(wall_s) >= ANY_W:
        return "-"
    return datetime.fromtimestamp(wall_s, tz=UTC).astimezone(ZoneInfo(site.timezone)).strftime("%H:%M")


def risks_of(site: Site, snapshot: Snapshot, outcome: Outcome, index: int) -> list[str]:
    """What endangers a departure or an export, worst first (``vocabulary.RISKS``); as of the last look at
    the fleet.
    """
    evse, state, told = site.evses[index].id, snapshot.evses[index], outcome.memory.envelope.departures
    if state.vehicle is None:
        return []
    departure = state.vehicle.departure_wall_s
    overdue = snapshot.clock_synced and isinstance(departure, Reading) and departure.value < snapshot.wall_s
    found = {
        "overdue": overdue,
        "impossible": evse in told.hopeless and not overdue,
        "short": any(evse == short for short, _ in told.short),
        "not_charging": evse in told.idle,
        "gives_nothing": _gives_nothing(site, snapshot, outcome, index),
    }
    return [risk for risk, there in found.items() if there]


def _gives_nothing(site: Site, snapshot: Snapshot, outcome: Outcome, index: int) -> bool:
    """Its order to give was accepted long enough ago, and its meter shows nothing."""
    state, safety = snapshot.evses[index], site.safety
    told_w = max(state.command.power_w, outcome.permits[index].power_w)
    if (
        told_w >= -SHOWN_W
        or state.command.ack != "accepted"
        or snapshot.now_s - state.command.sent_s < safety.obey_within_s
    ):
        return False
    return (
        is_fresh(state.power_w, snapshot.now_s, safety.charger_max_age_s)
        and state.power_w.value > DRAWS_SHARE * told_w
    )


STUBBORN: Final = ("disobedient", "priority_charging")
"""Rows of a charger that does what it likes: what it was told says nothing about what it does."""


def held_by(outcome: Outcome, evse: str) -> Latch | None:
    """The row of a charger that does not do what it is told, whatever binds its permit."""
    latches = (latch for latch in outcome.memory.envelope.latches if latch.active and latch.subject == evse)
    return next((latch for latch in latches if latch.row in STUBBORN), None)


def brief_of(
    site: Site, snapshot: Snapshot, outcome: Outcome, index: int, outlook: Outlook, beside: Beside
) -> str:
    """Why, in five words."""
    permit, state = outcome.permits[index], snapshot.evses[index]
    if not state.link.connected:
        return RULES["charger_silent"].brief
    held = held_by(outcome, permit.evse)
    if held is not None:
        return word_of(held.row).brief
    risks = risks_of(site, snapshot, outcome, index)
    short_wh = dict(outcome.memory.envelope.departures.short).get(permit.evse, 0.0)
    if risks and risks[0] in {"short", "impossible"} and short_wh:
        return f"{short_wh / 1_000.0:.1f} kWh short"
    if risks and risks[0] in {"overdue", "not_charging", "gives_nothing"}:
        return RISKS[risks[0]].brief.lower()
    rule = permit.bound_by.rule
    if rule != "wish" and not (rule == "ramp" and permit.power_w > 0.0):
        return word_of(rule).brief
    return _wish_in_brief(site, snapshot, outcome, index, outlook, beside)


def _wish_in_brief(
    site: Site, snapshot: Snapshot, outcome: Outcome, index: int, outlook: Outlook, beside: Beside
) -> str:
    permit = outcome.permits[index]
    wish = next((wish for wish in outcome.wishes if wish.evse == permit.evse), None)
    reason = wish.reason if wish else "no vehicle"
    price, later = beside.price_at(snapshot.wall_s), outlook.begins_wall_s
    cost = f" at {price:.2f}" if price is not None else ""
    if permit.power_w < -SHOWN_W:
        return f"gives{cost}"
    if permit.power_w > SHOWN_W:
        return f"charges{cost}" if reason in {"plan", "plan_site"} else reason_of(reason).brief
    if later is not None and later > snapshot.wall_s and reason in {"plan", "plan_site", "idle"}:
        then = beside.price_at(later)
        return f"waits for {clock(site, later)}" + (f" ({then:.2f})" if then is not None else "")
    return REASONS["idle"].brief if reason in {"plan", "plan_site"} else reason_of(reason).brief


def attention_of(site: Site, snapshot: Snapshot, outcome: Outcome, beside: Beside) -> list[dict[str, Any]]:
    """What needs a person, worst first: departures in danger, then rows of the safety table, alike ones
    together.
    """
    found = _departures(site, snapshot, outcome)
    by_row: dict[str, list[Latch]] = {}
    for latch in outcome.memory.envelope.latches:
        if latch.active and word_of(latch.row).need == "person":
            by_row.setdefault(latch.row, []).append(latch)
    for row, latches in by_row.items():
        word = word_of(row)
        times = [
            at for latch in latches if (at := beside.since.get(f"{latch.row}:{latch.subject}")) is not None
        ]
        subjects = [latch.subject for latch in latches]
        remedy = word.remedy.replace("OUTLET", subjects[0])
        found.append(
            {
                "kind": row,
                "subjects": subjects,
                "since_wall_s": min(times) if times else None,
                "text": word.says,
                "remedy": remedy,
                "waits": not any(latch.present for latch in latches),
            }
        )
    return found


def _departures(site: Site, snapshot: Snapshot, outcome: Outcome) -> list[dict[str, Any]]:
    """Alike ones together."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for need in _endangered(site, snapshot, outcome):
        alike = found.setdefault((need["kind"], need["text"]), need)
        if alike is not need:
            alike["subjects"] += need["subjects"]
    return list(found.values())


def _endangered(site: Site, snapshot: Snapshot, outcome: Outcome) -> Iterator[dict[str, Any]]:
    short_wh = dict(outcome.memory.envelope.departures.short)
    for index, evse in enumerate(site.evses):
        vehicle = snapshot.evses[index].vehicle
        for risk in risks_of(site, snapshot, outcome, index)[:1] if vehicle else ():
            word, lacks_wh = RISKS[risk], short_wh.get(evse.id, 0.0)
            departure = vehicle.departure_wall_s if vehicle else None
            at = f" at {clock(site, departure.value)}" if isinstance(departure, Reading) else ""
            lacks = f"lacks {lacks_wh / 1_000.0:.1f} kWh{at}" if lacks_wh and risk != "overdue" else word.says
            name = (vehicle.vehicle if vehicle else "") or evse.id
            yield {
                "kind": risk,
                "subjects": [name],
                "since_wall_s": departure.value
                if risk == "overdue" and isinstance(departure, Reading)
                else None,
                "text": f"{word.brief}: {lacks}",
                "remedy": word.remedy,
                "waits": False,
            }
