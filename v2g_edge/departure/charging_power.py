"""What a vehicle draws when it may draw more: its real power, which neither the charger's plate nor the car's
report need show.

Pure and replayable: each tick looks at some outlets and leaves what it learned for the next ticks. The
certificate only sees what was learned before its own tick, so a reading that is lost in it changes nothing
there; a missing reading teaches and forgets nothing. A lower power is believed after ten minutes of it, a
higher one at once. The session ends it.

Nothing is learned downwards from a charger whose setpoint is less than it could take, from the first minutes
of a ramp (they are within the ten), or where the battery itself is the limit: near full the draw falls by
itself, and the charge curve knows that. A vehicle that draws nothing at all has shown no power: it is asleep,
paused or badly plugged, and counts as idle.
"""

from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.frame import Frame
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.reading import Reading, is_fresh
from v2g_edge.model.site import Evse, Site, VehicleType
from v2g_edge.model.snapshot import EvseState, Snapshot

WINDOW_S: Final = 600.0
"""So long it must have drawn less than it might: ramps take a minute, and a cold pack warms by about 1 K a
minute.
"""
FOLLOWS: Final = 0.9
"""A charger that draws this share of what it may follows it: chargers deliver 4-6 % less than their setpoint
(evcc #12733, #12703).
"""
STEP_W: Final = 700.0
"""And so much less on top: chargers round to whole amperes, 230 W on each of three phases."""
IDLE_W: Final = 500.0
"""Less than this is the electronics of the car, no charging: IEC 61851-1 begins at 6 A, 1.4 kW on one
phase.
"""
TAPER_PCT: Final = 80.0
"""Where a vehicle's charge curve is not known, its power falls by itself from here on."""
TAPER_SHARE: Final = 0.8
"""Where the curve leaves less than this of its own peak, the battery is the limit."""
FORGET_S: Final = 3_600.0
FORGET: Final = 1.01
"""One percent for each hour without evidence: a night forgets less than the 15 % that the rules plan on
top of every need.
"""
STRIDE: Final = 5
"""Each outlet is looked at in every fifth tick: chargers report every 5 s or less often."""
CROWD: Final = 1.05
"""Where a feeder is short, a vehicle that was seen to draw less is permitted so much more than that, and
``CROWD_W``: a rise still shows.
"""
CROWD_W: Final = 500.0
SHARE_TAKEN: Final = 0.7
"""A vehicle that draws at most this share of each setpoint has one or two phases of three; a taper falls
by less within ten minutes.
"""

UNSEEN_SHARE: Final = 1.0 / 6.0
"""Until a vehicle was seen to charge, it is reckoned with this share of what charger and vehicle say: a car
that takes 16 A on one phase (3.7 kW) at an outlet of 22 kW; of a charger with four modules one works.
"""


class Window(Struct, frozen=True, array_like=True, gc=False):
    """Since ``since_s`` every sample showed less than was permitted: at least ``permitted_w``; at most
    ``drawn_w`` was drawn.
    """

    since_s: float
    permitted_w: float
    drawn_w: float


class LearnedPower(Struct, frozen=True, array_like=True, gc=False):
    """One session. ``reported_w`` is the car's last word on what it takes, ``learned_w`` what it was seen to
    take; ANY_W: none.

    ``learned_w`` was seen under ``under_w`` permitted, last confirmed (or forgotten a little) at ``told_s``.
    ``asked_w`` is the least permitted since the sample of ``seen_s``. ``idle``: draws nothing though it may.
    ``follows``: draws a share of whatever its setpoint is (one phase of three), so its setpoint must not be
    less. Times are monotonic. ``taper_w`` is what it was seen to take where the battery was the limit, under
    ``taper_under_w`` permitted. ``shown_w`` is the most that it was seen to charge with.
    """

    session: str
    reported_w: float = ANY_W
    learned_w: float = ANY_W
    under_w: float = 0.0
    told_s: float = -ANY_W
    seen_s: float = -ANY_W
    asked_w: float = 0.0
    idle: bool = False
    follows: bool = False
    window: Window | None = None
    taper_w: float = ANY_W
    taper_under_w: float = 0.0
    shown_w: float = 0.0

    @property
    def most_w(self) -> float:
        """What it takes at most, by its own word and by what was seen."""
        return min(self.reported_w, self.learned_w)


LearnedPowers = tuple[LearnedPower | None, ...]
"""In the order of ``Site.evses``; None where nothing is plugged in."""


def watch(frame: Frame, snapshot: Snapshot, draws: LearnedPowers) -> LearnedPowers:
    """What is known after this tick."""
    count = len(frame.ids)
    known: list[LearnedPower | None] = list(draws) if len(draws) == count else [None] * count
    for place in range(snapshot.seq % STRIDE, count, STRIDE):
        known[place] = _look(frame, place, snapshot, known[place])
    return tuple(known)


def present(draws: LearnedPowers, snapshot: Snapshot) -> LearnedPowers:
    """Those of the sessions that still last."""
    if not draws:
        return (None,) * len(snapshot.evses)
    return tuple(
        draw
        if draw is not None and state.vehicle is not None and draw.session == state.vehicle.session
        else None
        for draw, state in zip(draws, snapshot.evses, strict=True)
    )


def restarted(draws: LearnedPowers) -> LearnedPowers:
    """For a new process, whose monotonic clock may have begun anew: what was learned stands, what was
    being watched does not.
    """
    return tuple(
        draw and replace(draw, told_s=-ANY_W, seen_s=-ANY_W, asked_w=0.0, window=None) for draw in draws
    )


class Powers(NamedTuple):
    """For the rules, by outlet, where something is known beyond the present picture: what vehicles were
    seen to draw when they might have drawn more; what is enough where a feeder is short; what they last
    said they take, where they say it no more.
    """

    drawn_w: dict[str, float]
    enough_w: dict[str, float]
    said_w: dict[str, float]


def powers_of(site: Site, snapshot: Snapshot, draws: LearnedPowers) -> Powers:
    """What the ticks before have left for this one."""
    powers = Powers({}, {}, {})
    for evse, draw, state in zip(site.evses, draws, snapshot.evses, strict=bool(draws)):
        vehicle = state.vehicle
        if draw is None or vehicle is None or vehicle.session != draw.session:
            continue
        if draw.reported_w < ANY_W and not isinstance(vehicle.max_charge_w, Reading):
            powers.said_w[evse.id] = draw.reported_w
        if draw.learned_w < ANY_W:
            powers.drawn_w[evse.id] = draw.learned_w
        if draw.idle:
            powers.enough_w[evse.id] = evse.min_charge_w  # enough to wake up with
        elif min(draw.learned_w, draw.taper_w) < ANY_W and not draw.follows:
            powers.enough_w[evse.id] = max(
                min(draw.learned_w, draw.taper_w) * CROWD + CROWD_W, evse.min_charge_w
            )
    return powers


def sure_powers(site: Site, snapshot: Snapshot, draws: LearnedPowers) -> dict[str, float]:
    """With what each vehicle surely charges, by outlet: what it was seen to take, at least a share of its
    plate. Who waits for a cheaper hour must begin so early that this is enough; it shows more at once.
    """
    sure_w = {}
    for evse, draw, state in zip(site.evses, draws, snapshot.evses, strict=bool(draws)):
        if draw is not None and state.vehicle is not None and state.vehicle.session == draw.session:
            plate_w = min(evse.max_charge_w, draw.reported_w)
            sure_w[evse.id] = max(draw.shown_w, UNSEEN_SHARE * plate_w)
    return sure_w


def _look(frame: Frame, place: int, snapshot: Snapshot, old: LearnedPower | None) -> LearnedPower | None:
    state, now_s = snapshot.evses[place], snapshot.now_s
    vehicle = state.vehicle
    if vehicle is None:
        return None
    if old is None or old.session != vehicle.session:
        old = LearnedPower(vehicle.session)
    reported = vehicle.max_charge_w
    if isinstance(reported, Reading) and reported.value != old.reported_w:
        old = replace(old, reported_w=max(reported.value, 0.0))
    permitted_w = _permitted_w(state, now_s)
    asked_w, power = min(old.asked_w, permitted_w), state.power_w
    fresh = is_fresh(power, now_s, frame.site.safety.charger_max_age_s)
    if not isinstance(power, Reading) or not fresh or power.at_s <= old.seen_s:
        return old if asked_w == old.asked_w else replace(old, asked_w=asked_w)
    old = _raise(replace(old, seen_s=power.at_s, asked_w=permitted_w), power)
    window = _window(old.window, power, asked_w)
    if window is None or power.at_s - window.since_s < WINDOW_S:
        return replace(old, window=window)
    return _judge(frame, place, snapshot, replace(old, window=None), window)


def _permitted_w(state: EvseState, now_s: float) -> float:
    """What it may draw as far as its charger is known to agree; 0 when that is unsure."""
    command = state.command
    taken = command.ack in {"accepted", "pending"} and now_s < command.lease_until_s and state.link.connected
    return (
        max(command.power_w - command.droop_w, 0.0)
        if taken and not state.fault and state.status != "faulted"
        else 0.0
    )


def _raise(old: LearnedPower, power: Reading) -> LearnedPower:
    """More than ever seen counts at once; without evidence the lower power is slowly forgotten."""
    if power.value >= IDLE_W and old.idle:
        old = replace(old, idle=False)
    if _round_w(power.value) > old.shown_w:
        old = replace(old, shown_w=_round_w(power.value))
    if old.taper_w < ANY_W and power.value <= -IDLE_W:
        old = replace(old, taper_w=ANY_W, taper_under_w=0.0)  # it discharges: the battery leaves its taper
    elif old.taper_w < _round_w(power.value):
        old = replace(old, taper_w=_round_w(power.value))
    if old.learned_w >= ANY_W:
        return old
    if _round_w(power.value) > old.learned_w:
        return replace(old, learned_w=_round_w(power.value), told_s=power.at_s, window=None)
    if power.at_s - old.told_s >= FORGET_S:
        return replace(old, learned_w=old.learned_w * FORGET, told_s=power.at_s)
    return old


def _round_w(power_w: float) -> float:
    """Down to full hundreds: what flickers by less is no news, and makes no new proof."""
    return power_w // 100.0 * 100.0


def _window(old: Window | None, power: Reading, permitted_w: float) -> Window | None:
    if permitted_w <= 0.0 or power.value >= FOLLOWS * permitted_w - STEP_W:
        return None
    if power.value <= -IDLE_W:
        return None  # a discharge that nothing permits, or a meter wired the wrong way round: neither is idle
    if old is None:
        return Window(power.at_s, permitted_w, power.value)
    return Window(old.since_s, min(old.permitted_w, permitted_w), max(old.drawn_w, power.value))


def _judge(frame: Frame, place: int, snapshot: Snapshot, old: LearnedPower, window: Window) -> LearnedPower:
    """A full window in which it drew less than it might."""
    evse, vehicle, now_s = frame.site.evses[place], snapshot.evses[place].vehicle, snapshot.now_s
    if window.drawn_w < IDLE_W:
        return replace(old, idle=True)
    known = frame.known.get(vehicle.vehicle) if vehicle else None
    soc = vehicle.soc_pct if vehicle else None
    if not isinstance(soc, Reading) or not is_fresh(soc, now_s, frame.site.safety.soc_max_age_s):
        return old
    flat_w = _flat_w(evse, frame.kinds.get(known.type) if known else None, soc.value)
    if flat_w <= 0.0:
        return _taper(old, window)
    if window.drawn_w >= FOLLOWS * min(flat_w, old.reported_w) - STEP_W:
        return old
    if window.permitted_w < old.under_w and window.drawn_w < FOLLOWS * old.learned_w:
        return replace(
            old, follows=True
        )  # with a lower setpoint it drew less: the power was not the vehicle's limit
    learned_w = min(old.learned_w, _round_w(window.drawn_w))
    return replace(old, learned_w=learned_w, under_w=max(old.under_w, window.permitted_w), told_s=now_s)


def _taper(old: LearnedPower, window: Window) -> LearnedPower:
    """A full window near full. Told less, a battery in its taper goes on as before; one that follows draws
    less.
    """
    share = window.drawn_w / window.permitted_w
    before = old.taper_w / old.taper_under_w if old.taper_under_w > 0.0 else 0.0
    fell = window.permitted_w < old.taper_under_w and window.drawn_w < FOLLOWS * old.taper_w
    if fell and share <= min(SHARE_TAKEN, before * CROWD):
        return replace(old, follows=True)
    return replace(old, taper_w=_round_w(window.drawn_w), taper_under_w=window.permitted_w)


def _flat_w(evse: Evse, kind: VehicleType | None, soc_pct: float) -> float:
    """What the battery would take at this SoC (grid side) if nothing else were in the way; 0 where it is
    the limit itself.
    """
    if kind is None or not kind.charge_curve:
        return ANY_W if soc_pct < TAPER_PCT else 0.0
    powers = [point.power_w for point in kind.charge_curve]
    curve_w = (
        float(np.interp(soc_pct, [point.soc_pct for point in kind.charge_curve], powers)) / evse.efficiency
    )
    peak_w = min(max(powers) / evse.efficiency, evse.max_charge_w)
    return curve_w if curve_w >= TAPER_SHARE * peak_w else 0.0
