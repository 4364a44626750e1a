"""``why`` in sentences: what a vehicle does and until when, what keeps it, which outlets hold a feeder,
what a person can do.
"""

from typing import Final

from v2g_edge.cycle import Outcome
from v2g_edge.model.limits import Bound
from v2g_edge.model.plan import Plan
from v2g_edge.model.reading import Reading, fresh_or
from v2g_edge.model.site import Feeder, Site
from v2g_edge.model.snapshot import Snapshot
from v2g_edge.study.answer_context import Beside
from v2g_edge.study.feeder_loading import loading_of
from v2g_edge.study.ordered import text_of
from v2g_edge.study.outlook import Outlook, charged_of
from v2g_edge.study.rows import SHOWN_W, clock, held_by, risks_of
from v2g_edge.study.vocabulary import RISKS, reason_of, word_of

HOLDERS_SHOWN: Final = 6
DENIED: Final = frozenset({"impossible", "short", "overdue"})
"""Risks with which no time is shown at which a vehicle would be ready."""
KEEP_IN: Final = frozenset({"no-v2g", "export-limit", "reserve"})
"""Kinds of orders and windows after which less is exported."""
FEEDER_RULES: Final = frozenset({"feeder_import", "minimum_power", "unmetered", "unproven_discharge"})


def answer_of(
    site: Site,
    snapshot: Snapshot,
    plan: Plan | None,
    outcome: Outcome,
    index: int,
    outlook: Outlook,
    beside: Beside,
) -> list[str]:
    """Sentences about one outlet, the most needed first."""
    state, permit = snapshot.evses[index], outcome.permits[index]
    if state.vehicle is None:
        return [f"{permit.evse} is empty."] + ([] if state.link.connected else ["Its charger is silent."])
    lines = [_doing(site, snapshot, outcome, index, outlook, beside)]
    risks = risks_of(site, snapshot, outcome, index)
    stubborn = held_by(outcome, permit.evse)
    if stubborn is None and not DENIED & set(risks):  # the proof knows better than the estimate
        lines += [_ready(site, snapshot, index, outlook)]
    for risk in risks:
        word = RISKS[risk]
        lines.append(
            f"{_name(snapshot, permit.evse, index)} {word.says}"
            + (f": {word.remedy}." if word.remedy else ".")
        )
    lines += _kept(site, snapshot, outcome, index, beside)
    if plan is None and state.vehicle is not None:
        lines.append("There is no plan: it charges as soon as it can.")
    return [line for line in lines if line]


def _name(snapshot: Snapshot, evse: str, index: int) -> str:
    vehicle = snapshot.evses[index].vehicle
    return (vehicle.vehicle if vehicle else "") or evse


def _doing(
    site: Site, snapshot: Snapshot, outcome: Outcome, index: int, outlook: Outlook, beside: Beside
) -> str:
    permit = outcome.permits[index]
    name = _name(snapshot, permit.evse, index)
    wish = next((wish for wish in outcome.wishes if wish.evse == permit.evse), None)
    reason = reason_of(wish.reason if wish else "no vehicle")
    price, later = beside.price_at(snapshot.wall_s), outlook.begins_wall_s
    cost = f" at {price:.2f} per kWh" if price is not None else ""
    if held_by(outcome, permit.evse) is not None:
        measured = snapshot.evses[index].power_w
        now = f"{measured.value / 1_000.0:+.1f} kW" if isinstance(measured, Reading) else "an unknown power"
        return f"{name} does {now} whatever it is told (now {permit.power_w / 1_000.0:+.1f} kW)."
    if permit.power_w > SHOWN_W:
        return f"{name} may charge with {permit.power_w / 1_000.0:.1f} kW{cost}. {reason.says}."
    if permit.power_w < -SHOWN_W:
        return f"{name} may give {-permit.power_w / 1_000.0:.1f} kW{cost}. {reason.says}."
    if permit.bound_by.rule == "wish" and later is not None and later > snapshot.wall_s:
        then = beside.price_at(later)
        money = (
            f" ({then:.2f} instead of {price:.2f} per kWh)" if then is not None and price is not None else ""
        )
        return f"{name} waits until {clock(site, later)}{money}."
    return (
        f"{name} gets nothing now. {reason.says}."
        if permit.bound_by.rule == "wish"
        else f"{name} gets nothing now."
    )


def _ready(site: Site, snapshot: Snapshot, index: int, outlook: Outlook) -> str:
    """Ready when and with what, or what is missing to say so."""
    vehicle = snapshot.evses[index].vehicle
    if vehicle is None:
        return ""
    charged = charged_of(site, snapshot.evses[index], index)
    missing = [
        what
        for what, value in (
            ("SoC", vehicle.soc_pct if charged is None else Reading(0.0, 0.0)),
            ("target", vehicle.target_soc_pct),
            ("departure", vehicle.departure_wall_s),
        )
        if not isinstance(value, Reading)
    ]
    if missing:
        return (
            f"Not known: {', '.join(missing)}. It charges with what is left; say it with `v2g-edge depart`."
        )
    departure, target = vehicle.departure_wall_s, vehicle.target_soc_pct
    leaves = f"leaves {clock(site, departure.value)}" if isinstance(departure, Reading) else ""
    goal = f"{target.value:.0f} %" if isinstance(target, Reading) else ""
    if charged is not None:
        goal = f"{charged[1] / 1e3:.0f} kWh charged ({charged[0] / 1e3:.1f} kWh so far)"
    if outlook.ready_wall_s is None:
        has_soc = outlook.leaves_with_pct is not None and charged is None
        left = f" with {outlook.leaves_with_pct:.0f} %" if has_soc else ""
        return f"Not ready with {goal} in time: {leaves}{left}."
    if outlook.ready_wall_s <= snapshot.wall_s:
        return f"Ready now with {goal}, {leaves}."
    return f"Ready {clock(site, outlook.ready_wall_s)} with {goal}, {leaves}."


def _kept(site: Site, snapshot: Snapshot, outcome: Outcome, index: int, beside: Beside) -> list[str]:
    """What limits it, since when, what to do; and who holds the feeder where that is full."""
    permit, state = outcome.permits[index], snapshot.evses[index]
    rule, source = permit.bound_by.rule, permit.bound_by.source
    stubborn = held_by(outcome, permit.evse)
    if stubborn is not None:
        rule, source = stubborn.row, stubborn.text
    elif rule == "wish" and (outside := _outside(outcome, index)) is not None:
        rule, source = outside.rule, outside.source
    lines = []
    if rule != "wish":
        word = word_of(rule)
        subject = next(
            (
                latch.subject
                for latch in outcome.memory.envelope.latches
                if latch.active and latch.row == rule and latch.subject in {permit.evse, "site"}
            ),
            "",
        )
        since = beside.since.get(f"{rule}:{subject}")
        when = f" since {clock(site, since)}" if since is not None else ""
        remedy = word.remedy.replace("OUTLET", permit.evse).replace("FEEDER", site.evses[index].feeder)
        lines.append(f"{word.says}{when}: {source}." + (f" What to do: {remedy}." if remedy else ""))
    if not state.link.connected and rule != "charger_silent":
        lines.append("Its charger is silent.")
    if rule in FEEDER_RULES:
        feeder = next(each for each in site.feeders if each.id == site.evses[index].feeder)
        lines += say_room(site, snapshot, outcome, feeder)
    return lines


def _outside(outcome: Outcome, index: int) -> Bound | None:
    """The limit from outside at which a wish ends: the rules know it too, and wish no more."""
    power_w = outcome.permits[index].power_w
    return next(
        (
            bound
            for bound in outcome.bounds[index]
            if bound.rule == "outside_limit"
            and (bound.max_w <= power_w + SHOWN_W or bound.min_w >= power_w - SHOWN_W)
        ),
        None,
    )


def say_room(site: Site, snapshot: Snapshot, outcome: Outcome, feeder: Feeder) -> list[str]:
    """Which outlets hold a feeder, and what is left of it, in a sentence."""
    loading = loading_of(site, snapshot, outcome, feeder)
    holders = loading.holders
    parts = [
        f"{each.name} {each.power_w / 1_000.0:.1f} kW{f' ({each.why})' if each.why else ''}"
        for each in holders[:HOLDERS_SHOWN]
    ]
    if len(holders) > HOLDERS_SHOWN:
        rest_w = sum(each.power_w for each in holders[HOLDERS_SHOWN:])
        parts.append(f"{len(holders) - HOLDERS_SHOWN} more {rest_w / 1_000.0:.1f} kW")
    parts.append(f"base load {loading.base_w / 1_000.0:.1f} kW")
    text = (
        f"Feeder {feeder.id}, {feeder.import_limit_w / 1_000.0:.1f} kW in: {', '.join(parts)}; free"
        f" {loading.free_w / 1_000.0:.1f} kW."
    )
    return [text]


def export_answer(site: Site, snapshot: Snapshot, outcome: Outcome, beside: Beside) -> list[str]:
    """Why so little flows out: what every outlet with a vehicle that may give is bound by, alike ones
    together.
    """
    permitted = {vehicle.id for vehicle in site.vehicles if vehicle.may_discharge}
    kept = {order.subject for order in snapshot.operator.orders if order.kind == "no-v2g"}
    groups: dict[str, list[str]] = {}
    outlets: dict[str, str] = {}
    less: dict[str, list[str]] = {}
    out_w, able = 0.0, 0
    for index, evse in enumerate(site.evses):
        vehicle, permit = snapshot.evses[index].vehicle, outcome.permits[index]
        if vehicle is None or evse.max_discharge_w <= 0.0 or vehicle.vehicle not in permitted:
            continue
        if vehicle.vehicle in kept:
            continue  # the order says so, below
        able += 1
        out_w += max(-permit.power_w, 0.0)
        if permit.power_w < -SHOWN_W and permit.bound_by.rule != "wish":
            less.setdefault(permit.bound_by.rule, []).append(vehicle.vehicle)
        if permit.power_w >= -SHOWN_W:
            closed = [bound.rule for bound in outcome.bounds[index] if bound.min_w >= 0.0]
            rule = min(closed, key=lambda rule: word_of(rule).need != "person") if closed else "wish"
            groups.setdefault(rule, []).append(vehicle.vehicle)
            outlets.setdefault(rule, evse.id)
    lines = [f"{out_w / 1_000.0:.1f} kW may flow out of {able} vehicles that may give."]
    lines += _taken_here(site, snapshot)
    lines += [f"{word_of(rule).says}, so less: {', '.join(names[:8])}." for rule, names in less.items()]
    for rule, names in sorted(groups.items(), key=lambda item: -len(item[1])):
        word = word_of(rule)
        since = beside.since.get(f"{rule}:site")
        says = "Nothing keeps them; the plan asks nothing of them now" if rule == "wish" else word.says
        when = f" since {clock(site, since)}" if since is not None else ""
        lines.append(
            f"{says}{when}: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}."
            + (f" What to do: {word.remedy.replace('OUTLET', outlets[rule])}." if word.remedy else "")
        )
    return lines + _ordered(site, snapshot)


def _taken_here(site: Site, snapshot: Snapshot) -> list[str]:
    """What of it vehicles on site take, so that it does not reach the grid."""
    takers = []
    for evse, state in zip(site.evses, snapshot.evses, strict=True):
        power_w = fresh_or(state.power_w, snapshot.now_s, site.safety.charger_max_age_s, 0.0)
        if state.vehicle is not None and power_w > SHOWN_W:
            takers.append((power_w, state.vehicle.vehicle or evse.id))
    takers.sort(reverse=True)
    names = ", ".join(f"{name} {power_w / 1_000.0:.1f} kW" for power_w, name in takers[:HOLDERS_SHOWN])
    return (
        [f"Vehicles here take {sum(w for w, _ in takers) / 1_000.0:.1f} kW of it: {names}."] if takers else []
    )


def _ordered(site: Site, snapshot: Snapshot) -> list[str]:
    """Orders of people and windows of the site file that keep something in."""
    orders = [order for order in snapshot.operator.orders if order.kind in KEEP_IN]
    lines = [f"Ordered: {text_of(order, site)}." for order in orders if order.number]
    return lines + [f"Site file: {text_of(order, site)}." for order in orders if not order.number]
