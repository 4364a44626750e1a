"""The only way from a permit to a charger: one writer for all, latest permit wins, leases renewed at a
third of their length.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ChargerPort, ClockPort, Saying, WriteResult
from v2g_edge.model.snapshot import CommandState
from v2g_edge.tasks import begin, end

log = structlog.get_logger()

RAISE_STEP_W: Final = 250.0
"""A raise smaller than this waits for the next renewal: chargers resolve about 0.1 A a phase, and every
message costs them.
"""

LOWER_STEP_W: Final = 10.0
"""A step towards zero is sent at once unless it is noise."""

RETRY_S: Final = 5.0
"""After a refusal or silence the same setpoint is tried again this much later, not every tick."""

WAITING_MAX_S: Final = 5.0
"""A permit waits for an answer no longer than this: ticks come each second, and where none came the inputs
may have changed.
"""

RENEW_SHARE: Final = 1.0 / 3.0
"""A lease is renewed after this share of its length: two renewals may be lost before it ends."""


class _Outlet(Struct):
    """What was last handed to one charger. ``epoch`` numbers the writes, so that a late answer cannot speak
    for a newer one.

    ``said`` is what the last write said for its permit, at ``sent_s``; ``failed``: it was not taken.
    ``session`` is the present one, ``leased`` that of the last permit which was accepted. ``waiting`` is the
    permit of the last tick, where it is to be sent once the charger has answered; ``busy``: writes under way.
    """

    port: ChargerPort
    epoch: int = 0
    said: Saying | None = None
    sent_s: float = 0.0
    failed: bool = False
    connected: bool = False
    session: str = ""
    leased: str = ""
    waiting: Permit | None = None
    waiting_s: float = 0.0
    busy: int = 0


class Writer:
    """Hands permits to chargers without ever waiting for one of them. Runs on the loop's thread.

    Each tick's permit replaces whatever waits, whether it is to be sent itself or not: what a later tick did
    not permit any more is never sent.
    """

    def __init__(self, ports: Mapping[str, ChargerPort], board: Board, clock: ClockPort) -> None:
        self._outlets = {evse: _Outlet(port) for evse, port in ports.items()}
        self._board = board
        self._clock = clock
        self._tasks: set[asyncio.Task[WriteResult]] = set()

    def submit(self, permits: tuple[Permit, ...]) -> int:
        """Take all permits of one tick, those that end a discharge first. Returns how many writes were
        started.
        """
        now_s = self._clock.now_s()
        started = 0
        for permit in sorted(permits, key=self._ends_discharge, reverse=True):
            outlet = self._outlets.get(permit.evse)
            if outlet is None:
                continue
            outlet.waiting = None
            saying = outlet.port.says(permit)
            if not self._is_due(outlet, permit, saying, now_s):
                continue
            if outlet.busy and not _narrows(outlet, saying):
                outlet.waiting, outlet.waiting_s = permit, now_s
                continue
            self._start(outlet, permit, saying, now_s)
            started += 1
        return started

    async def stop(self) -> None:
        """Cancel what is under way. The leases at the chargers end by themselves."""
        await end(*self._tasks)

    def _ends_discharge(self, permit: Permit) -> bool:
        outlet = self._outlets.get(permit.evse)
        return outlet is not None and outlet.said is not None and outlet.said.least_w < 0.0 <= permit.least_w

    def _is_due(self, outlet: _Outlet, permit: Permit, saying: Saying, now_s: float) -> bool:
        """Whether a write is due: by what would be written now, not by the permit alone."""
        state = self._board.evse(permit.evse)
        connected = state.link.connected
        came_back, outlet.connected = connected and not outlet.connected, connected
        # A lease belongs to a session (OCPP: a TxProfile to its transaction): a new vehicle begins at the
        # default profile.
        session = state.vehicle.session if state.vehicle else ""
        new_session, outlet.session = session not in (outlet.session, ""), session
        if not connected:
            outlet.said = None
            return False
        said = outlet.said
        if said is None or came_back or new_session or state.command.ack == "none":
            return True
        step_w = abs(saying.power_w) - abs(said.power_w)
        turned = saying.power_w * said.power_w < 0.0
        wider_w = saying.droop_w - said.droop_w
        if turned or step_w <= -LOWER_STEP_W or wider_w <= -LOWER_STEP_W:
            return True
        if not permit.renew and not saying.harmless:
            return False
        if saying.terms != said.terms:
            return True
        if outlet.failed:
            return now_s - outlet.sent_s >= RETRY_S
        stepped = step_w >= RAISE_STEP_W or wider_w >= RAISE_STEP_W
        # A long lease may be renewed seldom, but a small raise waits no longer than it would for a short one.
        lease_s = saying.valid_for_s if step_w == wider_w == 0.0 else permit.valid_for_s
        return stepped or now_s - outlet.sent_s >= min(lease_s, said.valid_for_s) * RENEW_SHARE

    def _start(self, outlet: _Outlet, permit: Permit, saying: Saying, now_s: float) -> None:
        outlet.epoch += 1
        outlet.said, outlet.sent_s, outlet.failed, outlet.waiting = saying, now_s, False, None
        outlet.busy += 1
        # Until it is accepted, the one before it has the lease; without one, for this session, the default
        # profile rules.
        until_s = (
            self._board.evse(permit.evse).command.lease_until_s if outlet.leased == outlet.session else 0.0
        )
        command = CommandState(permit.power_w, "pending", now_s, until_s, permit.droop_w)
        self._board.update_evse(permit.evse, command=command)
        task = begin(f"write {permit.evse}", outlet.port.write_permit(permit))
        self._tasks.add(task)
        task.add_done_callback(partial(self._written, outlet, permit, saying, outlet.epoch))

    def _written(
        self, outlet: _Outlet, permit: Permit, saying: Saying, epoch: int, task: "asyncio.Task[WriteResult]"
    ) -> None:
        """A write is over, one way or another."""
        self._tasks.discard(task)
        outlet.busy -= 1
        if task.cancelled():
            return
        failed = task.exception() is not None  # against its promise: ``begin`` reports it
        # Not where a newer one is under way, or the charger has started anew and nothing counts as written.
        if epoch == outlet.epoch and self._board.evse(permit.evse).command.ack == "pending":
            self._take_result(outlet, permit, saying, "silent" if failed else task.result())
        self._send_waiting(outlet)

    def _take_result(self, outlet: _Outlet, permit: Permit, saying: Saying, result: WriteResult) -> None:
        state = self._board.evse(permit.evse).command
        held = result in ("accepted", "withheld")
        outlet.failed = not held
        command = replace(state, ack=result)
        if held:
            outlet.leased = outlet.session
            command = replace(command, lease_until_s=state.sent_s + saying.valid_for_s)
        self._board.update_evse(permit.evse, command=command)
        if result != "accepted":
            log.warning(
                "permit_not_taken",
                evse=permit.evse,
                power_w=permit.power_w,
                said_w=saying.power_w,
                result=result,
            )

    def _send_waiting(self, outlet: _Outlet) -> None:
        """Send the last tick's permit, if its charger is still there with the vehicle that it was made
        for.
        """
        waiting, outlet.waiting = outlet.waiting, None
        now_s = self._clock.now_s()
        if waiting is None or outlet.busy or now_s - outlet.waiting_s > WAITING_MAX_S:
            return
        state = self._board.evse(waiting.evse)
        session = state.vehicle.session if state.vehicle else ""
        if state.link.connected and session == outlet.session:
            self._start(outlet, waiting, outlet.port.says(waiting), now_s)


def _narrows(outlet: _Outlet, saying: Saying) -> bool:
    """Whether it takes away some of the charger's last setpoint: that waits for no answer."""
    said = outlet.said
    if said is None:
        return False
    return min(saying.least_w, 0.0) > min(said.least_w, 0.0) or max(saying.most_w, 0.0) < max(
        said.most_w, 0.0
    )
