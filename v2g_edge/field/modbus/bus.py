"""All Modbus lines and devices of a depot: who shares a connection, who is polled when, and what reaches the board."""

import asyncio
from typing import Protocol

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.contact import FUNCTIONS, ContactPoller
from v2g_edge.field.modbus.meter import MeterPoller
from v2g_edge.field.modbus.wire import Peer, Wire
from v2g_edge.model.ports import ChargerPort, ClockPort
from v2g_edge.model.settings import ModbusDevice, ModbusLine
from v2g_edge.model.site import Site

log = structlog.get_logger()


class Poller(Protocol):
    """Something that is polled on a schedule."""

    async def poll(self) -> None:
        """One round; never raises for anything that a device does."""


class ModbusField:
    """Runs one task per device. TCP and TLS units have a connection each, so that a slow one delays nobody; a serial line
    is shared, and a unit that is gone is asked at most every 5 s there.

    ``ports`` are the chargers driven by register, by EVSE id. ``peers`` (by device id) carry the counters.
    """

    def __init__(
        self, lines: tuple[ModbusLine, ...], devices: tuple[ModbusDevice, ...], site: Site, board: Board, clock: ClockPort
    ) -> None:
        self._clock = clock
        self._board = board
        self._site = site
        self._lines = {line.id: line for line in lines}
        self._wires: dict[tuple[str, int], Wire] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False
        self.ports: dict[str, ChargerPort] = {}
        self.peers: dict[str, Peer] = {}
        self._pollers: list[tuple[ModbusDevice, Poller]] = []
        by_unit: dict[tuple[str, int], Peer] = {}
        for device in devices:
            key = (device.line, device.unit)
            if key not in by_unit:
                by_unit[key] = self._peer(device)
            self.peers[device.id] = by_unit[key]
            self._pollers.append((device, self._poller(device, by_unit[key])))

    def _peer(self, device: ModbusDevice) -> Peer:
        line = self._lines[device.line]
        shared = line.transport == "rtu"
        key = (line.id, 0 if shared else device.unit)
        if key not in self._wires:
            self._wires[key] = Wire(line, self._clock)
        return Peer(self._wires[key], device.unit, shared=shared)

    def _poller(self, device: ModbusDevice, peer: Peer) -> Poller:
        if device.role == "meter" and device.map == "sunspec":
            return MeterPoller(device, peer, None, self._board, self._clock)
        if device.role == "contact" and device.map in FUNCTIONS:
            return ContactPoller(device, peer, self._board, self._clock)
        raise ValueError(f"device {device.id}: no map {device.map!r} for role {device.role!r}")

    async def start(self) -> None:
        """Begin polling. Does not wait for any device: the board says what is known."""
        if not self._tasks:
            self._running = True
            self._tasks = [
                asyncio.create_task(self._run(device, poller), name=f"modbus {device.id}") for device, poller in self._pollers
            ]

    async def stop(self) -> None:
        """End all polling and hang up."""
        self._running = False
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for wire in self._wires.values():
            wire.hang_up()

    async def _run(self, device: ModbusDevice, poller: Poller) -> None:
        """Poll every ``poll_s``; rounds that a slow device made us miss are left out, not made up.

        ``_running`` is asked after each poll: Python 3.11's ``wait_for``, inside pymodbus, loses a cancellation that comes
        together with the reply.
        """
        due_s = self._clock.now_s()
        while True:
            await poller.poll()
            if not self._running:
                return
            now_s = self._clock.now_s()
            due_s = max(due_s + device.poll_s, now_s)
            await self._clock.sleep_s(due_s - now_s)
