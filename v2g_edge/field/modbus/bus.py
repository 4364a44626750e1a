"""All Modbus lines and devices of a depot: which share a connection, which is polled when, and what reaches
the board.
"""

import asyncio
import math
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.charger import RegisterCharger
from v2g_edge.field.modbus.contact import FUNCTIONS, ContactPoller
from v2g_edge.field.modbus.der import SunSpecCharger
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.meter import MeterLayout, MeterPoller, most_of
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.register_map import MapError
from v2g_edge.field.modbus.switch import Contactor, TemperaturePoller
from v2g_edge.field.modbus.wire import Wire
from v2g_edge.field.sentinel_values import most_w
from v2g_edge.model.ports import ChargerPort, ClockPort
from v2g_edge.model.settings import ModbusDevice, ModbusLine, OpenableContactor
from v2g_edge.model.site import Site
from v2g_edge.tasks import begin, described, end, keep, report

log = structlog.get_logger()


class Poller(Protocol):
    """Something that is polled on a schedule."""

    async def poll(self) -> None:
        """One round; never raises for anything that a device does."""


def _is_built_in(device: ModbusDevice) -> bool:
    """Maps that are code: bits of contacts, and SunSpec, which describes itself."""
    return (device.role == "contact" and device.map in FUNCTIONS) or (
        device.map == "sunspec" and device.role in {"meter", "charger"}
    )


def device_problems(
    lines: tuple[ModbusLine, ...], devices: tuple[ModbusDevice, ...], maps_folder: Path | None = None
) -> list[str]:
    """Everything that keeps these devices from being read, named: lines, maps, roles, two devices under
    one address.
    """
    problems: list[str] = []
    known = {line.id for line in lines}
    places: dict[tuple[str, int, str, int], ModbusDevice] = {}
    units: dict[tuple[str, int], ModbusDevice] = {}
    for device in devices:
        if device.line not in known:
            problems.append(
                f"device {device.id}: there is no line {device.line!r}; there are {', '.join(sorted(known))}"
            )
        place = (device.line, device.unit, device.role, device.channel)
        other = places.setdefault(place, device)
        first = units.setdefault((device.line, device.unit), device)
        if other is not device:
            problems.append(
                f"device {device.id}: the same unit, role and channel as {other.id}: two devices under one"
                " address"
            )
        elif first is not device and device.role == first.role == "meter":
            problems.append(
                f"device {device.id}: unit {device.unit} on line {device.line} is already the meter"
                f" {first.id}"
            )
        if _is_built_in(device):
            continue
        if device.role == "contact":
            problems.append(
                f"device {device.id}: no map {device.map!r} for a contact; allowed are {', '.join(FUNCTIONS)}"
            )
            continue
        try:
            layout = load_map(device.map, maps_folder)
        except MapError as fault:
            problems += [f"device {device.id}: {problem}" for problem in fault.problems]
            continue
        if layout.kind != device.role:
            problems.append(
                f"device {device.id}: map {device.map} is for a {layout.kind}, not for a {device.role}"
            )
        if device.poll_s < layout.least_poll_s:
            problems.append(
                f"device {device.id}: poll_s {device.poll_s:g}; map {device.map} allows"
                f" {layout.least_poll_s:g} s or more"
            )
    return problems


class ModbusField:
    """Runs one task per device. TCP and TLS units have a connection each, so that a slow one delays no other;
    a serial line is shared, and a unit that is gone is asked at most every 4 s there.

    ``ports`` are the chargers driven by register, by EVSE id; ``contactors`` go by device id. MapError names
    every problem of the devices and maps at once. ``peers`` (by device id) carry the counters.
    """

    def __init__(
        self,
        lines: tuple[ModbusLine, ...],
        devices: tuple[ModbusDevice, ...],
        site: Site,
        board: Board,
        clock: ClockPort,
        maps_folder: Path | None = None,
    ) -> None:
        problems = device_problems(lines, devices, maps_folder)
        if problems:
            raise MapError(problems)
        self._clock = clock
        self._board = board
        self._site = site
        self._lines = {line.id: line for line in lines}
        self._wires: dict[tuple[str, int], Wire] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False
        self._contacting: asyncio.Task[None] | None = None
        self._opening: set[str] = set()
        self.ports: dict[str, ChargerPort] = {}
        self.contactors: dict[str, Contactor] = {}
        self.peers: dict[str, Peer] = {}
        self._maps = {
            device.map: load_map(device.map, maps_folder) for device in devices if not _is_built_in(device)
        }
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
        board, clock = self._board, self._clock
        if device.role == "contact":
            return ContactPoller(device, peer, board, clock)
        names = {evse.contactor for evse in self._site.evses if evse.id == device.target and evse.contactor}

        def behind() -> bool:
            return any(self.contactor_proven(name) for name in names)

        if device.map == "sunspec":
            if device.role == "meter":
                return self._meter(device, peer, None)
            der = SunSpecCharger(device, peer, self._site.grid.profile, board, clock, contactor=behind)
            der.gives_w, der.most_w = self._gives_w(device), self._most_w(device)
            self.ports[device.target] = der
            return der
        layout = self._maps[device.map]
        if layout.status == "draft":
            log.warning("modbus_map_draft", device=device.id, map=device.map, source=layout.source)
        if device.role == "meter":
            return self._meter(device, peer, MeterLayout(layout.name, layout.blocks, layout.single_phase))
        if device.role == "temperature":
            return TemperaturePoller(device, peer, layout, board, clock)
        if device.role == "contactor":
            contactor = Contactor(
                device, peer, layout, board, clock, shown=device.target in self._site.contacts
            )
            self.contactors[device.id] = contactor
            return contactor
        charger = RegisterCharger(device, peer, layout, board, clock, contactor=behind)
        charger.gives_w, charger.most_w = self._gives_w(device), self._most_w(device)
        self.ports[device.target] = charger
        return charger

    def _meter(self, device: ModbusDevice, peer: Peer, layout: MeterLayout | None) -> MeterPoller:
        poller = MeterPoller(device, peer, layout, self._board, self._clock)
        poller.most_w = most_of(self._site.feeders, device.target)
        return poller

    def _most_w(self, device: ModbusDevice) -> float:
        """What can flow at the outlet of a charger."""
        return next((most_w(evse) for evse in self._site.evses if evse.id == device.target), math.inf)

    def _gives_w(self, device: ModbusDevice) -> float | None:
        """Discharge power of the vehicle that always stands at a charger, by its type and the outlet;
        None: nobody known does.
        """
        kind = next((vehicle.type for vehicle in self._site.vehicles if vehicle.id == device.vehicle), "")
        types = {each.id: each.max_discharge_w for each in self._site.vehicle_types}
        outlets = {evse.id: evse.max_discharge_w for evse in self._site.evses}
        return (
            min(types[kind], outlets[device.target]) if kind in types and device.target in outlets else None
        )

    def contactor_proven(self, target: str) -> bool:
        """Whether the contactor that feeds ``target`` opens by itself when we fall silent: its time-out
        was read back.
        """
        return any(row.target == target and row.dead_man for row in self.contactors.values())

    def write_contactors(self, *, closed: bool, dropped: Collection[str] = ()) -> None:
        """Feed every contactor, but open those of the targets in ``dropped``, and all where not
        ``closed``. Does not wait: it is for the tick. A round that still runs is not overtaken, except by
        an opening that is not in it.
        """
        if not self.contactors:
            return
        opening = {device for device, row in self.contactors.items() if not closed or row.target in dropped}
        if self._contacting is not None and not self._contacting.done():
            if opening <= self._opening:
                return
            self._contacting.cancel()
        self._opening = opening
        self._contacting = begin("contactors", self.feed(opening))

    async def feed(self, opening: Collection[str] = ()) -> None:
        """Proof of work for every contactor but the devices in ``opening``, which open: after a full tick
        in which all checks answered.
        """
        rows = self.contactors.items()
        done = await asyncio.gather(
            *(row.drop() if device in opening else row.feed() for device, row in rows), return_exceptions=True
        )
        for device, outcome in zip(self.contactors, done, strict=True):
            if isinstance(outcome, Exception):
                report(f"contactor {device}", f"failed with {described(outcome)}", outcome)

    def openable(self) -> tuple[OpenableContactor, ...]:
        """Every contactor in a form that needs neither site file nor map, for a rescue when both cannot be
        read.
        """
        devices = (device for device, _ in self._pollers if device.id in self.contactors)
        return tuple(
            OpenableContactor(d.id, self._lines[d.line], d.unit, self.contactors[d.id].coil) for d in devices
        )

    async def open_contactors(self) -> list[str]:
        """Open all of them now, and feed none any more; the devices that did not answer after a second
        try.
        """
        if self._contacting is not None:
            self._contacting.cancel()
        left = sorted(self.contactors)
        for _ in range(2):
            said = await asyncio.gather(
                *(self.contactors[device].drop() for device in left), return_exceptions=True
            )
            left = [device for device, result in zip(left, said, strict=True) if result != "accepted"]
        return left

    async def start(self) -> None:
        """Begin polling. Does not wait for any device: the board says what is known."""
        if not self._tasks:
            self._running = True
            self._tasks = [
                keep(f"modbus {device.id}", partial(self._run, device, poller))
                for device, poller in self._pollers
            ]

    async def stop(self) -> None:
        """End all polling and hang up."""
        self._running = False
        tasks, self._tasks = self._tasks, []
        if self._contacting is not None:
            tasks, self._contacting = [*tasks, self._contacting], None
        await end(*tasks)
        for wire in self._wires.values():
            wire.hang_up()
        await asyncio.sleep(0)  # transports close in the loop's next round

    async def _run(self, device: ModbusDevice, poller: Poller) -> None:
        """Poll every ``poll_s``; rounds that a slow device made us miss are left out, not made up.

        ``_running`` is asked after each poll: Python 3.11's ``wait_for``, inside pymodbus, loses a
        cancellation that comes together with the reply.
        """
        due_s = self._clock.now_s()
        while True:
            await poller.poll()
            if not self._running:
                return
            now_s = self._clock.now_s()
            due_s = max(due_s + device.poll_s, now_s)
            await self._clock.sleep_s(due_s - now_s)
