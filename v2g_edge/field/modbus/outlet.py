"""What all chargers on Modbus have in common: the permit as a lease, the rounds of polling, and what reaches
the board.

The lease: the charger's own watchdog, set at connect and read back, covers our death. Polls alone may keep
such a watchdog fed, so when a permit runs out un-renewed while we live, zero is written and the setpoint is
no longer repeated.
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from msgspec.structs import replace

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.codec import Block, Decoder
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.plausibility import SOC_PCT_PER_S, SOC_SLACK_PCT, jump_verdict
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.permit import Permit
from v2g_edge.model.ports import ClockPort, Saying, WriteResult
from v2g_edge.model.reading import NO_SAMPLE, Measured, Reading, Unknown
from v2g_edge.model.settings import ModbusDevice
from v2g_edge.model.snapshot import EvseStatus, VehicleState

log = structlog.get_logger()

RENEW_FRACTION: Final = 3.0
"""The setpoint is repeated at a third of the watchdog time."""

PREPARE_RETRY_S: Final = 5.0
"""A charger that did not take its set-up is asked again this much later."""

RECHECK_S: Final = 10.0
"""The dead-man is read back this often: a charger that restarts between two polls loses it unnoticed."""

PROOF_FRACTION: Final = 0.5
"""Measured export of at least half of a commanded discharge proves that the model obeys."""

PROOF_LEAST_W: Final = 500.0
"""Less is within the standby draw and metering error of a charger."""


class LeasedCharger(ABC):
    """One outlet. ``poll`` reads it, ``write_permit`` commands it. Discharge needs the dead-man read back, or
    a contactor.

    ``contactor`` tells whether a discharge-enable contactor with a proven time-out of its own stands behind
    the outlet. A kind of charger says how it is set up (``_prepare``), how a power is written (``_send``) and
    what its state means.
    """

    has_dead_man = True
    gives_w: float | None = None
    """What the vehicle here gives by the site file (its type, the outlet), for registers that do not tell.
    None: not known.
    """
    settle_s = 0.0
    most_w = math.inf
    """What can flow at the outlet at all, either way; ``ModbusField`` knows it from the site."""

    def __init__(
        self,
        device: ModbusDevice,
        peer: Peer,
        board: Board,
        clock: ClockPort,
        *,
        contactor: Callable[[], bool],
    ) -> None:
        self._device = device
        self._peer = peer
        self._board = board
        self._clock = clock
        self._contactor = contactor
        self._blocks: list[tuple[Decoder, Block]] = []
        self._due_s: dict[str, float] = {}
        self._epoch = -1
        self._prepare_s = 0.0
        self._values: dict[str, Measured] = {}
        self._power_w = 0.0
        self._taken_s = math.inf
        self._lease_until_s = -math.inf
        self._repeats = False
        self._written_s = -math.inf
        self._connected = False
        self._dead_man = False
        self._checked_s = -math.inf
        self._grid_code_ok = True
        self._lock = asyncio.Lock()
        self._turn = self._done = 0

    @abstractmethod
    async def _prepare(self) -> None:
        """Set up a charger that has just (re)appeared: sets ``_epoch`` when done and ``_dead_man`` when
        read back.
        """

    @abstractmethod
    async def _read_back(self) -> bool | None:
        """Whether the dead-man stands at the charger as it was set; None: it does not say."""

    @abstractmethod
    async def _send(self, power_w: float, still: Callable[[], bool]) -> WriteResult:
        """Write ``power_w`` (+ into the vehicle) and note ``_written_s`` when taken; nothing more of it once
        ``still`` says no.
        """

    @abstractmethod
    def _status(self) -> tuple[EvseStatus, str]:
        """Status and fault code from ``_values``."""

    async def poll(self) -> None:
        """Set up after a (re)connection, read what is due, keep the watchdog fed while the permit holds."""
        await self._read()
        unready = self._epoch != self._peer.epoch or (self.has_dead_man and not self._dead_man)
        if unready and self._peer.link.connected and self._clock.now_s() >= self._prepare_s:
            self._prepare_s = self._clock.now_s() + PREPARE_RETRY_S
            async with self._lock:
                self._dead_man = False
                await self._prepare()
            log.info("modbus_charger_prepared", device=self._device.id, dead_man=self._dead_man)
        await self._recheck()
        await self._keep()
        self._publish()

    async def _recheck(self) -> None:
        """What was set at connect is believed no longer than it is read back."""
        if not self._dead_man or self._clock.now_s() - self._checked_s < RECHECK_S:
            return
        self._checked_s = self._clock.now_s()
        if await self._read_back() is False:
            self._dead_man = False
            log.warning("modbus_dead_man_lost", device=self._device.id)

    async def _read(self) -> None:
        for decoder, block in self._blocks:
            at_s = self._clock.now_s()
            if at_s < self._due_s.get(block.name, -math.inf):
                continue
            answer = await self._peer.read(block.function, block.address, block.count)
            if isinstance(answer, Fault):
                if not answer.keeps:
                    self._values.update(decoder.unknown(answer.why))
                return
            self._due_s[block.name] = at_s + block.every_s
            self._values.update(decoder.decode(answer, at_s))

    async def _keep(self) -> None:
        """Repeat the setpoint while its permit holds; end it when the permit ran out.

        Nothing is repeated beside a newer command, nor after an absence: what was permitted meanwhile was not
        heard.
        """
        now_s, turn = self._clock.now_s(), self._turn
        if not self._peer.link.connected or self._lease_until_s == -math.inf or turn != self._done:
            return
        if now_s >= self._lease_until_s:
            async with self._lock:
                power_w = self._power_w
                if turn == self._turn and await self._end(turn):
                    log.warning("modbus_lease_ran_out", device=self._device.id, power_w=power_w)
        elif self._holds and self._dead_man and now_s - self._written_s >= self._repeat_s:
            async with self._lock:
                await self._send(self._power_w, self._still(turn))

    @property
    def _holds(self) -> bool:
        """Whether the permit that was taken last is in force, as far as is known here."""
        return self._repeats and self._clock.now_s() < self._lease_until_s

    @property
    def _repeat_s(self) -> float:
        return self._device.watchdog_s / RENEW_FRACTION

    def _still(self, turn: int) -> Callable[[], bool]:
        """Whether no newer command has come since."""
        return lambda: turn == self._turn

    def says(self, permit: Permit) -> Saying:
        """All of the permit; what a dead-man stands in the way of is said again at once when it is there, and
        so is everything after an absence.
        """
        terms = (self._dead_man or self._contactor(), self._peer.epoch)
        return Saying(permit.power_w, permit.droop_w, permit.valid_for_s, terms=terms)

    def write_permit(self, permit: Permit) -> Coroutine[Any, Any, WriteResult]:
        """As the port says. Discharge without a dead-man is ``rejected`` here too, whatever the envelope
        thought.

        A setpoint that was not taken ends the lease of the one before: that one is not repeated, zero is.
        """
        self._turn += 1
        return self._write(permit, self._turn, self._clock.now_s())

    async def _write(self, permit: Permit, turn: int, given_s: float) -> WriteResult:
        try:
            while True:
                async with self._lock:
                    if turn != self._turn:
                        return "silent"  # a newer one came while this one waited
                    rest_s = self._rest_s(permit.power_w)
                    if rest_s <= 0.0:
                        return await self._put(permit, turn, given_s)
                    if permit.power_w * self._power_w < 0.0:
                        await self._end(turn)  # what is not permitted any more ends first
                        rest_s = self._rest_s(permit.power_w)
                await self._clock.sleep_s(rest_s)  # not in the lock: what ends it does not wait
        finally:
            self._done = max(self._done, turn)

    async def _end(self, turn: int) -> bool:
        """Write zero; whether it was taken."""
        if await self._send(0.0, self._still(turn)) != "accepted":
            return False
        self._power_w, self._lease_until_s, self._taken_s = 0.0, -math.inf, math.inf
        return True

    def _rest_s(self, power_w: float) -> float:
        """How long the charger must still be left alone before it is told this; a step towards zero never
        waits.
        """
        towards_zero = abs(power_w) <= abs(self._power_w) and power_w * self._power_w >= 0.0
        return 0.0 if towards_zero else self._written_s + self.settle_s - self._clock.now_s()

    async def _put(self, permit: Permit, turn: int, given_s: float) -> WriteResult:
        self._repeats = False
        if permit.power_w < 0.0 and not (self._dead_man or self._contactor()):
            if self._lease_until_s > -math.inf:
                self._lease_until_s = given_s
            return "rejected"
        result = await self._send(permit.power_w, self._still(turn))
        taken = result == "accepted"
        if not taken or permit.power_w != self._power_w or self._taken_s == math.inf:
            self._taken_s = self._clock.now_s() if taken else math.inf
        self._power_w, self._repeats = permit.power_w, taken
        self._lease_until_s = given_s + (permit.valid_for_s if taken else 0.0)
        return result

    def _publish(self) -> None:
        evse, link, get = self._device.target, self._peer.link, self._values.get
        changed = self._connected != link.connected
        self._connected = link.connected
        if not link.connected:
            self._dead_man = self._repeats = False
            self._board.update_evse(evse, urgent=changed, link=link, dead_man_ok=False)
            return
        status, fault = self._status()
        before, power = self._board.evse(evse), get("power_w")
        if isinstance(power, Reading) and abs(power.value) > self.most_w:
            self._values["power_w"] = power = Unknown(f"{power.value:.0f} W cannot flow there")
        changes: dict[str, object] = {
            name: value
            for name in ("power_w", "energy_import_wh", "energy_export_wh")
            if (value := get(name)) is not None
        }
        asked_w = self._power_w * PROOF_FRACTION
        if self._holds and asked_w <= -PROOF_LEAST_W and isinstance(power, Reading):
            changes |= {"proven_discharge": True} if self._shows(power, asked_w) else {}
        dead_man_ok = self._dead_man or self._contactor()
        changed |= before.dead_man_ok and not dead_man_ok
        urgent = changed or fault not in {"", before.fault}
        self._board.update_evse(
            evse, urgent=urgent, link=link, status=status, fault=fault,
            dead_man_ok=dead_man_ok, grid_code_ok=self._grid_code_ok, **changes,
        )  # fmt: skip
        self._publish_vehicle(status)

    def _shows(self, power: Reading, asked_w: float) -> bool:
        """Whether a reading, sampled since the charger took the command, shows that it discharges."""
        return power.at_s >= self._taken_s and power.value <= asked_w

    def _publish_vehicle(self, status: EvseStatus) -> None:
        evse, wall_s = self._device.target, self._clock.wall_s()
        present = self._board.evse(evse).vehicle
        connected = self._values.get("connected")
        plugged = bool(connected.value) if isinstance(connected, Reading) else status == "occupied"
        if plugged and present is None:
            self._plug_in(wall_s)
        elif not plugged and present is not None and status == "available":
            self._board.unplug(evse)
        facts = {
            name: value
            for name in ("soc_pct", "capacity_wh", "max_charge_w", "max_discharge_w", "pack_c")
            if (value := self._values.get(name)) is not None
        }
        soc = facts.get("soc_pct", NO_SAMPLE)
        if plugged and present is not None and isinstance(present.soc_pct, Reading) and soc is not NO_SAMPLE:
            silent = not isinstance(soc, Reading)  # a Quasar knows it only while power flows
            if silent or jump_verdict(present.soc_pct, soc, SOC_PCT_PER_S, SOC_SLACK_PCT):
                del facts[
                    "soc_pct"
                ]  # the last value grows old until there is a new one, and that one is possible
        if facts:
            self._board.update_vehicle(evse, **facts)

    def _plug_in(self, wall_s: float) -> None:
        """A session begins. What no register can say, the site file does."""
        vehicle = VehicleState(f"{self._device.id}-{wall_s:.0f}", self._device.vehicle, wall_s)
        told = {field.name for _, block in self._blocks for field in block.fields}
        if self.gives_w is not None and "max_discharge_w" not in told:
            vehicle = replace(vehicle, max_discharge_w=Reading(self.gives_w, self._clock.now_s()))
        self._board.plug_in(self._device.target, vehicle)
