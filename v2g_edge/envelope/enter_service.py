"""Return to export after a trip, a loss of data, or a start: window, delay, then a ramp or a random further
wait.

The state is the latch of every grid trip. After a restart of the daemon there is no memory, and the whole
delay runs again.
"""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.envelope.gridtrip import FLOAT_NOISE_S, known
from v2g_edge.model.gridcode import EnterService, GridCode
from v2g_edge.model.snapshot import GridSample

HOLD_S: Final = 5.0
"""Least wait, outlasting a bouncing contact: IEEE 1547.1 clause 5.6 wants no export for 5 s after permit
service.
"""

State = Literal["waiting", "ramping", "in_service"]


class ServiceMemory(Struct, frozen=True):
    """Made new at start: waiting. Inside the window without a break since ``since_s``, None when not;
    ``seen_s`` is the last complete sample. ``chance`` in [0, 1] is this wait's random number, ``cause``
    why export is not fully in service. The ramp has run for ``ramped_s`` up to ``tick_s``; it stands still
    while the grid is outside the window.
    """

    state: State = "waiting"
    cause: str = "started"
    chance: float = 1.0
    since_s: float | None = None
    seen_s: float | None = None
    last_s: float | None = None
    tick_s: float = 0.0
    ramped_s: float = 0.0


class ServiceVerdict(Struct, frozen=True):
    """``share`` 0..1 of the export otherwise allowed; ``wait_s`` until it may begin if the grid stays
    good.
    """

    state: State
    share: float
    wait_s: float
    cause: str


def service_step(
    code: GridCode,
    nominal_v: float,
    memory: ServiceMemory,
    samples: tuple[GridSample, ...],
    now_s: float,
    max_age_s: float,
    *,
    trip: str,
    permitted: bool,
    chance: float,
) -> tuple[ServiceMemory, ServiceVerdict]:
    """One tick. ``trip`` ("" for none) or not ``permitted`` (contact, operator, permit service) means share 0
    this very tick.

    ``samples`` as for ``trip_step``: those since the last tick, oldest first. ``chance`` in [0, 1] becomes
    the random number of the wait that this tick begins. No complete sample within ``max_age_s`` is a loss of
    data: back to waiting.
    """
    rules = code.enter_service
    if memory.last_s is not None and memory.last_s > now_s:
        memory = ServiceMemory(cause="the clock was set back", chance=chance)
    for sample in samples:
        if sample.at_s <= now_s and (memory.last_s is None or sample.at_s > memory.last_s):
            memory = _judge(rules, nominal_v, memory, sample, max_age_s)
    cause = trip or ("" if permitted else "export not permitted")
    if not cause and memory.seen_s is None:
        cause = "no complete grid sample"
    elif not cause and memory.seen_s is not None and now_s - memory.seen_s > max_age_s:
        cause = f"last complete grid sample {now_s - memory.seen_s:.1f} s old"
    if cause:
        memory = replace(memory, state="waiting", since_s=None, cause=cause, chance=chance)
    else:
        memory = _advance(rules, memory, now_s)
    return replace(memory, tick_s=now_s), _verdict(rules, memory, now_s)


def _judge(
    rules: EnterService, nominal_v: float, memory: ServiceMemory, sample: GridSample, max_age_s: float
) -> ServiceMemory:
    """Only a complete sample inside the window keeps the delay running; a gap longer than ``max_age_s``
    breaks both.
    """
    values = [known(value, sample.at_s, max_age_s) for value in (*sample.v, sample.hz)]
    complete = None not in values
    volts = (rules.v_lo_pu * nominal_v, rules.v_hi_pu * nominal_v)
    windows = (volts, volts, volts, (rules.f_lo_hz, rules.f_hi_hz))
    within = all(
        value is not None and lo <= value <= hi for value, (lo, hi) in zip(values, windows, strict=True)
    )
    unbroken = (
        memory.since_s is not None and memory.last_s is not None and sample.at_s - memory.last_s <= max_age_s
    )
    since_s = (memory.since_s if unbroken else sample.at_s) if within else None
    if (
        complete
        and memory.state != "waiting"
        and memory.seen_s is not None
        and sample.at_s - memory.seen_s > max_age_s
    ):
        memory = replace(
            memory, state="waiting", cause=f"no complete grid sample for {sample.at_s - memory.seen_s:.1f} s"
        )
    return replace(
        memory, since_s=since_s, last_s=sample.at_s, seen_s=sample.at_s if complete else memory.seen_s
    )


def _wait_s(rules: EnterService, memory: ServiceMemory) -> float:
    return max(HOLD_S, rules.delay_s + memory.chance * rules.random_delay_s)


def _advance(rules: EnterService, memory: ServiceMemory, now_s: float) -> ServiceMemory:
    """The transitions that lead back to service. The delay ends at a sample, not between samples: only
    what was seen counts.
    """
    if memory.since_s is None or memory.last_s is None:
        return memory
    if memory.state == "waiting" and memory.last_s - memory.since_s > _wait_s(rules, memory) + FLOAT_NOISE_S:
        memory = replace(
            memory, state="ramping", ramped_s=0.0, tick_s=now_s, cause="ramping up after enter service"
        )
    if memory.state == "ramping":
        memory = replace(memory, ramped_s=memory.ramped_s + max(0.0, now_s - memory.tick_s))
    if memory.state == "ramping" and memory.ramped_s >= rules.ramp_s - FLOAT_NOISE_S:
        memory = replace(memory, state="in_service", cause="")
    return memory


def _verdict(rules: EnterService, memory: ServiceMemory, now_s: float) -> ServiceVerdict:
    if memory.state == "in_service":
        return ServiceVerdict("in_service", 1.0, 0.0, "")
    if memory.state == "ramping":
        return ServiceVerdict("ramping", memory.ramped_s / rules.ramp_s, 0.0, memory.cause)
    gone_s = now_s - memory.since_s if memory.since_s is not None else 0.0
    wait_s = max(0.0, _wait_s(rules, memory) - gone_s)
    where = "in the window" if memory.since_s is not None else "outside the window, delay not running"
    return ServiceVerdict(
        "waiting", 0.0, wait_s, f"enter service after: {memory.cause}; {where}, {wait_s:.0f} s to go"
    )
