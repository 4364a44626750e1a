"""What time has made of readings: records that the envelope carries from tick to tick, of outlets, meters
and feeders.
"""

from typing import Final

from msgspec import Struct

from v2g_edge.model.limits import ANY_W


class Told(Struct, frozen=True, array_like=True, gc=False):
    """From ``since_s`` on, until the next, the permit spanned ``least_w`` to ``most_w``."""

    since_s: float
    least_w: float
    most_w: float


TOLD_MOST: Final = 16
TOLD_STEP_W: Final = 100.0
"""No more permits are kept than flap once in four seconds within a minute, and no smaller steps."""


def tell(
    told: tuple[Told, ...], now_s: float, least_w: float, most_w: float, kept_s: float
) -> tuple[Told, ...]:
    """The permits of the last ``kept_s``, oldest first, with the one of ``now_s``; where they are too many,
    the two oldest become one that spans both.
    """
    last = told[-1] if told else None
    if last is None or abs(last.least_w - least_w) > TOLD_STEP_W or abs(last.most_w - most_w) > TOLD_STEP_W:
        told = (*told, Told(now_s, least_w, most_w))
    while len(told) > 1 and told[1].since_s < now_s - kept_s:
        told = told[1:]
    if len(told) > TOLD_MOST:
        first, second = told[:2]
        one = Told(first.since_s, min(first.least_w, second.least_w), max(first.most_w, second.most_w))
        told = (one, *told[2:])
    return told


class EvseMemory(Struct, frozen=True, gc=False):
    """One outlet. ``power_w`` ± ``droop_w`` is the last permit, its lease ends at ``lease_until_s``; 0 before
    the first.

    ``most_w`` ≥ 0 and ``least_w`` ≤ 0 span all permits that may still be in force there: an older one counts
    until the charger has accepted a newer. ``heat_pct`` is the mean load over about
    ``safety.thermal_time_s``. ``shown_w`` ≥ 0 is the most that it was seen to charge with since it was
    quarantined. ``told``: the permits of the last minute or so, oldest first, to judge a report by those of
    its own time. ``loose_w`` is the power last metered while no session was known there.

    ``vehicle`` is the one that was there last. Of the battery in ``session`` (see ``envelope.battery``):
    ``soc_pct`` is the last SoC reported, sampled at ``soc_at_s``; ``in_wh`` and ``out_wh`` the most that may
    have flowed since. ``event_pct`` is what the present discharge event has taken, ``counted_pct`` what of
    the discharge since the last SoC is in the ledgers, ``back_wh`` what was charged since the last discharge.
    ``top_pct`` is the most that the SoC may have been at the last tick (None: the session is new); one that
    never reported its SoC counts as empty on arrival. As far as was known at the last tick, a temperature of
    its pack was last told at ``warm_at_s``, and its power was not metered since ``dark_since_s`` (ANY_W: it
    was).
    """

    power_w: float = 0.0
    lease_until_s: float = 0.0
    most_w: float = 0.0
    least_w: float = 0.0
    session: str = ""
    heat_pct: float = 0.0
    droop_w: float = 0.0
    shown_w: float = 0.0
    loose_w: float = 0.0
    told: tuple[Told, ...] = ()
    soc_pct: float | None = None
    soc_at_s: float = -ANY_W
    in_wh: float = 0.0
    out_wh: float = 0.0
    counted_pct: float = 0.0
    event_pct: float = 0.0
    back_wh: float = 0.0
    top_pct: float | None = None
    vehicle: str = ""
    warm_at_s: float = -ANY_W
    dark_since_s: float = ANY_W


class MeterMemory(Struct, frozen=True, gc=False):
    """A meter and the sum of its chargers at ``at_s``, to see which way both move; ``against``: so often
    they parted in a row.
    """

    at_s: float
    power_w: float
    chargers_w: float
    against: int = 0


class BaseMemory(Struct, frozen=True, gc=False):
    """Peaks of a feeder's live base load: ``peak_w`` since ``since_s``, ``before_w`` in the whole window
    before; None: not seen.

    ``moved_s`` is when a permit below it last changed: samples count only some time after it. ``over_s`` is
    when its meter was last above a limit.

    ``beside_w`` are such peaks of what each of its limits carried beside the chargers (those of charging
    first, (): none seen), ``beside_before_w`` those of the window before. ``rising_w`` is the least of each
    since ``rising_s``: what does not last is no peak. ``above_w`` is the least of a base load above the
    commissioned bound since ``above_s``, None while it is not above.
    """

    moved_s: float
    since_s: float
    peak_w: float | None = None
    before_w: float | None = None
    over_s: float = -ANY_W
    beside_w: tuple[float, ...] = ()
    beside_before_w: tuple[float, ...] = ()
    rising_w: tuple[float, ...] = ()
    rising_s: float = -ANY_W
    above_w: float | None = None
    above_s: float = -ANY_W
