"""The only way from a permit to a charger: one writer for all, latest permit wins, leases renewed at a third of their length."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ChargerPort, ClockPort
from v2g_edge.model.snapshot import CommandState
from v2g_edge.tasks import begin

log = structlog.get_logger()

RAISE_STEP_W: Final = 250.0
"""A raise smaller than this waits for the next renewal: chargers resolve about 0.1 A a phase, and every message costs them."""

LOWER_STEP_W: Final = 10.0
"""A step towards zero is sent at once unless it is noise."""

RETRY_S: Final = 5.0
"""After a refusal or silence the same setpoint is tried again this much later, not every tick."""


class _Outlet:
    """What was last handed to one charger. ``epoch`` numbers the writes, so that a late answer cannot speak for a newer one.

    ``session`` is the present one, ``leased`` that of the last permit which was accepted.
    """

    def __init__(self, port: ChargerPort) -> None:
        self.port = port
        self.epoch = 0
        self.sent: Permit | None = None
        self.sent_s = 0.0
        self.failed = False
        self.connected = False
        self.session = ""
        self.leased = ""
        self.waiting: Permit | None = None
        self.busy = 0


class Writer:
    """Hands permits to chargers without ever waiting for one of them. Runs on the loop's thread."""

    def __init__(self, ports: Mapping[str, ChargerPort], board: Board, clock: ClockPort) -> None:
        self._outlets = {evse: _Outlet(port) for evse, port in ports.items()}
        self._board = board
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, permits: tuple[Permit, ...]) -> int:
        """Take all permits of one tick, those that end a discharge first. Returns how many writes were started."""
        now_s = self._clock.now_s()
        started = 0
        for permit in sorted(permits, key=self._ends_discharge, reverse=True):
            outlet = self._outlets.get(permit.evse)
            if outlet is not None and self._is_due(outlet, permit, now_s):
                safer = self._ends_discharge(permit)
                if outlet.busy and not safer:
                    outlet.waiting = permit
                    continue
                self._start(outlet, permit, now_s)
                started += 1
        return started

    async def stop(self) -> None:
        """Cancel what is under way. The leases at the chargers end by themselves."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ends_discharge(self, permit: Permit) -> bool:
        outlet = self._outlets.get(permit.evse)
        return outlet is not None and outlet.sent is not None and outlet.sent.least_w < 0.0 <= permit.least_w

    def _is_due(self, outlet: _Outlet, permit: Permit, now_s: float) -> bool:
        state = self._board.evse(permit.evse)
        connected = state.link.connected
        came_back, outlet.connected = connected and not outlet.connected, connected
        # A lease belongs to a session (OCPP: a TxProfile to its transaction): a new vehicle begins at the default profile.
        session = state.vehicle.session if state.vehicle else ""
        new_session, outlet.session = session not in (outlet.session, ""), session
        if not connected:
            outlet.sent = None
            return False
        sent = outlet.sent
        if sent is None or came_back or new_session or state.command.ack == "none":
            return True
        step_w = abs(permit.power_w) - abs(sent.power_w)
        turned = permit.power_w * sent.power_w < 0.0
        wider_w = permit.droop_w - sent.droop_w
        if turned or step_w <= -LOWER_STEP_W or wider_w <= -LOWER_STEP_W:
            return True
        if not permit.renew:
            return False
        if outlet.failed:
            return now_s - outlet.sent_s >= RETRY_S
        return step_w >= RAISE_STEP_W or wider_w >= RAISE_STEP_W or now_s - outlet.sent_s >= permit.valid_for_s / 3.0

    def _start(self, outlet: _Outlet, permit: Permit, now_s: float) -> None:
        outlet.epoch += 1
        outlet.sent, outlet.sent_s, outlet.failed, outlet.waiting = permit, now_s, False, None
        outlet.busy += 1
        # Until it is accepted, the one before it has the lease; without one, for this session, the default profile rules.
        until_s = self._board.evse(permit.evse).command.lease_until_s if outlet.leased == outlet.session else 0.0
        command = CommandState(permit.power_w, "pending", now_s, until_s, permit.droop_w)
        self._board.update_evse(permit.evse, command=command)
        task = begin(f"write {permit.evse}", self._write(outlet, permit, outlet.epoch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, outlet: _Outlet, permit: Permit, epoch: int) -> None:
        try:
            result = await outlet.port.write_permit(permit)
        finally:
            outlet.busy -= 1
        if epoch != outlet.epoch or self._board.evse(permit.evse).command.ack != "pending":
            return  # a newer one is under way, or the charger has started anew and nothing counts as told
        outlet.failed = result != "accepted"
        state = self._board.evse(permit.evse).command
        command = replace(state, ack=result)
        if result == "accepted":
            outlet.leased = outlet.session
            command = replace(command, lease_until_s=state.sent_s + permit.valid_for_s)
        self._board.update_evse(permit.evse, command=command)
        if outlet.failed:
            log.warning("permit_not_taken", evse=permit.evse, power_w=permit.power_w, result=result)
        waiting = outlet.waiting
        if waiting is not None and not outlet.busy:
            self._start(outlet, waiting, self._clock.now_s())
