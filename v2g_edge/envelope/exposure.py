"""What each charger may be doing whatever it is told now: the worst case that counts on its feeders."""

from typing import Final, Literal

from msgspec import Struct

from v2g_edge.envelope.facts import TURNS, Context, Outlet, ends_by_itself, has_lapsed, never_came
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Evse
from v2g_edge.model.snapshot import EvseState

UNMETERED_S: Final = 60.0
"""A charger whose power was not metered for so long is counted at its rating for good, and may use it. Before
that it may be a report that is late.
"""
LATE_S: Final = 30.0
"""A station may take what it was sent so much later (the longest wait for an answer): the lease begins then.
"""


class Exposure(Struct, frozen=True, gc=False):
    """What a charger may be doing whatever its setpoint is now: fixed where it does not follow, else until
    the effect is seen. One that ``tries`` had the order to discharge and was never seen to: it may charge
    at its rating instead, and that room is no other's. ``own_w``: what a fixed one may be permitted to
    charge with, because it is counted anyway; one that listens is fixed where its power is not metered.
    ``follows`` false: quarantined. One that ``rests`` is not metered and at its default: it counts at that,
    and once it is permitted more, at its rating (``own_w``). ``rest_w``: what one would count at rest.
    """

    listens: bool
    charge_w: float
    discharge_w: float
    tries: bool = False
    own_w: float = 0.0
    follows: bool = True
    rests: bool = False
    rest_w: float = ANY_W

    @property
    def fixed_w(self) -> float:
        """What is counted for its charging whatever it is permitted."""
        return self.charge_w if self.own_w or not self.listens else 0.0


Quarantine = Literal["", "disobedient", "priority"]


def exposure_of(context: Context, o: Outlet, *, quarantine: Quarantine = "") -> Exposure:
    """Worst case of one outlet: last permit and last measurement, whichever is more;
    unknown is the rating.

    One whose power nothing meters counts at its rating and is permitted out of that: waiting for an effect
    that is never seen it would get nothing for good, and so would all the others. What was metered up to the
    last tick decides, so that no reading that is lost in this one makes its permit wider. While nothing above
    its default can be in force it counts at that, as one that is silent does: so others have their turn.

    Nothing plugged in draws nothing, whatever its charger was caught at: only what is metered there all the
    same counts.
    """
    memory, evse = o.memory, o.evse
    if never_came(o):
        return Exposure(False, evse.fallback_w, 0.0, own_w=evse.fallback_w)
    if o.vehicle is None and o.listens:
        return Exposure(
            True,
            min(max(memory.loose_w, 0.0), evse.max_charge_w),
            min(max(-memory.loose_w, 0.0), _most_out_w(evse)),
        )
    if quarantine:
        return _quarantined(context, o, quarantine)
    if has_lapsed(o, context.snapshot.now_s):
        # A default that nothing shows is none.
        alone_w = evse.fallback_w if o.state.default_held else evse.max_charge_w
        return Exposure(False, alone_w, 0.0, own_w=evse.fallback_w)
    tries = not o.state.proven_discharge and min(memory.least_w, o.state.command.power_w) < 0.0
    own_w = 0.0 if o.listens else evse.fallback_w
    dark = context.snapshot.now_s - memory.dark_since_s > UNMETERED_S
    if dark and o.listens:
        all_w, out_w = evse.max_charge_w, _most_out_w(evse)
        if not can_rest(evse, o.state):
            return Exposure(True, all_w, out_w, tries, all_w)
        rests, rest_w = _has_rested(context, o), evse.fallback_w
        return Exposure(True, rest_w if rests else all_w, out_w, tries, all_w, rests=rests, rest_w=rest_w)
    if dark or not o.metered:
        return Exposure(o.listens, evse.max_charge_w, _most_out_w(evse), tries, own_w)
    charge_w = max(min(o.power_w, evse.max_charge_w), memory.most_w, own_w)
    discharge_w = max(min(-o.power_w, _most_out_w(evse)), -memory.least_w)
    return Exposure(o.listens, evse.max_charge_w if tries else charge_w, discharge_w, tries, own_w)


def can_rest(evse: Evse, state: EvseState) -> bool:
    """Whether a charger is known to fall back by itself, so that at rest it counts at its fallback."""
    return ends_by_itself(evse) and state.default_held


def _has_rested(context: Context, o: Outlet) -> bool:
    """Whether a charger was permitted no more than its fallback for a whole lease, and has taken that: then
    only its default can be in force, whatever it was permitted before.
    """
    told, least_w = o.memory.told, min(o.memory.least_w, o.state.command.power_w)
    since_s = context.snapshot.now_s - context.site.safety.lease_s - LATE_S
    if not told or told[0].since_s > since_s or least_w < 0.0:
        return False
    return max(o.memory.most_w, *[each.most_w for each in told]) <= o.evse.fallback_w


def _most_out_w(evse: Evse) -> float:
    return 0.0 if evse.discharge_by == "none" else evse.max_discharge_w


def _quarantined(context: Context, o: Outlet, quarantine: Quarantine) -> Exposure:
    """A charger that does as it likes counts at its rating; where two meters bound what it does, at the most
    that it has shown.

    Whatever is counted, it goes on charging out of it: with what it was last permitted, at least at the
    fallback, at least at its minimum. That is the supervised retry by which it proves itself. No reading of
    this tick moves it, so none that is lost can.
    """
    evse, memory = o.evse, o.memory
    if quarantine == "priority":
        return Exposure(False, evse.max_charge_w, _most_out_w(evse), own_w=evse.max_charge_w, follows=False)
    own_w = min(max(memory.most_w, evse.fallback_w, evse.min_charge_w), evse.max_charge_w)
    if not (o.listens and o.metered and _is_witnessed(context, o)):
        return Exposure(False, evse.max_charge_w, _most_out_w(evse), own_w=own_w, follows=False)
    charge_w = min(max(memory.shown_w, o.power_w, own_w), evse.max_charge_w)
    discharge_w = min(max(-o.power_w, -memory.least_w, 0.0), _most_out_w(evse))
    return Exposure(False, charge_w, discharge_w, own_w=own_w, follows=False)


def _is_witnessed(context: Context, o: Outlet) -> bool:
    """Whether a meter above the outlet is read, is whole, and agrees with what the chargers below it say."""
    place, frozen_reads = context.frame.ids.index(o.id), context.site.safety.frozen_reads
    return any(
        meter.sure
        and not meter.odd
        and not meter.beyond
        and meter.against < TURNS
        and meter.state.repeats < frozen_reads
        for meter, span in zip(context.meters, context.frame.spans, strict=True)
        if place in span.members
    )
