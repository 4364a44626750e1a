"""Broken products, each made by patching one thing: a rule taken away, turned round, or made generous."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from msgspec.structs import replace

import v2g_edge.departure.admit_exports as admission_room
import v2g_edge.envelope.bounds as bounds_room
import v2g_edge.envelope.checks as checks_room
import v2g_edge.envelope.enter_service as service_room
import v2g_edge.envelope.exposure as exposure_room
import v2g_edge.envelope.facts as facts_room
import v2g_edge.envelope.limits as limits_room
import v2g_edge.envelope.permits as permits_room
import v2g_edge.envelope.table as table_room
import v2g_edge.rules.sharing as sharing_room
import v2g_edge.rules.wishes as wishes_room
from sim.runners import pure
from v2g_edge.cycle import Memory
from v2g_edge.rules.headroom import NO_PHASES

Patch = contextlib.AbstractContextManager[Any]
Break = Callable[[], list[Patch]]

FROM_S = 300.0
"""A condition that is seen where there is none begins after this, when the depot is up."""


@contextlib.contextmanager
def broken(how: Break) -> Iterator[None]:
    """The product, broken so; its last gate is open, for it would end the run before a judge sees
    anything.
    """
    with contextlib.ExitStack() as patches:
        patches.enter_context(
            mock.patch.object(permits_room, "pass_gate", lambda _site, _snapshot, permits: permits)
        )
        for patch in how():
            patches.enter_context(patch)
        yield


def _counted(row: Any, c: Any) -> int:
    return {"site": 1, "meter": len(c.meters), "evse": len(c.outlets)}[row.scope]


def without(*ids: str) -> Break:
    """The safety table without these rows."""

    def rows() -> list[Patch]:
        def blind(row: Any) -> Callable[[Any, Any], table_room.Found]:
            return lambda c, _held: table_room.Found(_counted(row, c), {})

        kept = [row._replace(check=blind(row)) if row.id in ids else row for row in checks_room.ROWS]
        return [mock.patch.object(permits_room, "ROWS", tuple(kept))]

    return rows


def always(row_id: str, subject: str) -> Break:
    """A row that sees its condition where there is none."""

    def rows() -> list[Patch]:
        def check(row: Any) -> Callable[[Any, Any], table_room.Found]:
            def look(c: Any, _held: Any) -> table_room.Found:
                return table_room.Found(
                    _counted(row, c), {subject: "so"} if c.snapshot.now_s > 1_000.0 + FROM_S else {}
                )

            return look

        kept = [row._replace(check=check(row)) if row.id == row_id else row for row in checks_room.ROWS]
        return [mock.patch.object(permits_room, "ROWS", tuple(kept))]

    return rows


def instead(room: Any, name: str, new: Any) -> Break:
    """Another function in place of one of the product."""
    return lambda: [mock.patch.object(room, name, new)]


def around(room: Any, name: str, turn: Callable[[Any], Any]) -> Break:
    """``turn`` applied to what a function of the product gives."""

    def patches() -> list[Patch]:
        real = getattr(room, name)
        return [mock.patch.object(room, name, lambda *args, **named: turn(real(*args, **named)))]

    return patches


def all_of(*breaks: Break) -> Break:
    """All at once: where the product guards twice, both guards have to go."""
    return lambda: [patch for each in breaks for patch in each()]


def _needs(turn: Callable[[Any], Any]) -> Break:
    return around(wishes_room, "need_of", lambda need: need and turn(need))


def _turned(limits: Any, turn: Callable[[Any], Any]) -> Any:
    return limits._make(tuple(turn(limit) for limit in side) for side in limits)


def _limits(turn: Callable[[Any], Any]) -> Break:
    return all_of(
        around(limits_room, "_limits", lambda limits: _turned(limits, turn)),
        around(sharing_room, "charge_limit", lambda limit_w: 1e9),
        around(sharing_room, "export_limit", lambda limit_w: 1e9),
    )


def _ramp_off() -> list[Patch]:
    real = permits_room._permit
    return [
        mock.patch.object(
            permits_room,
            "_permit",
            lambda o, wish, bounds, left, _ramp, lease_s, *, renew: real(
                o, wish, bounds, left, 1e12, lease_s, renew=renew
            ),
        )
    ]


def _silent_is_nothing() -> list[Patch]:
    real = exposure_room.exposure_of
    nothing = exposure_room.Exposure(False, 0.0, 0.0)
    return [
        mock.patch.object(
            permits_room, "exposure_of", lambda c, o, **named: real(c, o, **named) if o.listens else nothing
        )
    ]


def _orders(factor: float) -> Break:
    def patches() -> list[Patch]:
        real = pure.PureRun._send

        def send(self: pure.PureRun, permit: Any, kinds: Any) -> None:
            real(self, replace(permit, power_w=factor * permit.power_w), kinds)

        return [mock.patch.object(pure.PureRun, "_send", send)]

    return patches


in_service = instead(permits_room, "Grid", lambda *_: facts_room.Grid("", "", "", 1.0))
ramps_off: Break = _ramp_off
silent_counted_0: Break = _silent_is_nothing
quarantine_off = without("disobedient")
base_load_0 = instead(permits_room, "live_bases", lambda c, _bases: (0.0,) * len(c.frame.tree.feeders))
departures_always_proven = around(
    admission_room,
    "certify",
    lambda found: (replace(found[0], feasible=True, shortfalls=(), impossible=(), touched=()), found[1]),
)
proof_says_yes = all_of(
    around(permits_room, "admit_exports", lambda verdict: verdict._replace(refused={})),
    # The rules reckon with the feeders on their own, and alone keep every departure that is tried here: a
    # proof that says yes is lost only where that second line is broken, too.
    instead(wishes_room, "_mark_urgent", lambda *_: None),
)
orders_beyond_permit = _orders(1.3)
orders_turned = _orders(-1.0)
relay_ignored = all_of(without("grid_relay_open", "not_in_service"), in_service)
frequency_ignored = all_of(without("grid_fault", "not_in_service", "momentary_cessation"), in_service)
silent_contact_ignored = all_of(without("grid_relay_silent", "not_in_service"), in_service)
no_wait_for_service = instead(service_room, "_wait_s", lambda *_: 0.0)
feeders_ignored = all_of(
    instead(permits_room, "fit", lambda c, *_: [{} for _ in c.outlets]), _limits(lambda limit: limit)
)  # fmt: skip
phases_ignored = all_of(
    instead(limits_room, "_on_phase", lambda *_: []),
    instead(wishes_room, "phases_of", lambda *_: NO_PHASES),
)
feeders_generous = _limits(lambda limit: limit._replace(limit_w=1.2 * limit.limit_w))
excess_ignored = all_of(
    around(
        limits_room, "_limits", lambda limits: _turned(limits, lambda limit: limit._replace(metered=None))
    ),
    instead(permits_room, "live_bases", lambda c, _bases: c.frame.tree.base_max_w),
)
pack_ignored = all_of(without("pack_temperature"), instead(bounds_room, "_falling", lambda *_: 1.0))
day_not_booked = around(permits_room, "observe", lambda memory: replace(memory, taken_pct={}))
event_never_deep = around(
    permits_room,
    "observe",
    lambda memory: replace(memory, evses=tuple(replace(evse, event_pct=0.0) for evse in memory.evses)),
)
restart_forgets = instead(pure, "restarted", lambda *_: Memory())
latch_for_ever = instead(table_room, "_is_proven", lambda *_: False)
quarantined_counted_0 = instead(
    exposure_room, "_quarantined", lambda *_: exposure_room.Exposure(False, 0.0, 0.0, follows=False)
)
never_urgent = all_of(
    _needs(lambda need: replace(need, latest_start_s=1e9)),
    instead(wishes_room, "_mark_urgent", lambda *_: None),
)
needs_halved = _needs(
    lambda need: replace(
        need,
        energy_wh=0.5 * need.energy_wh,
        latest_start_s=need.latest_start_s + 0.5 * (need.departs_in_s - need.latest_start_s),
    )
)
