"""A SunSpec DER charger: measured by 701 and 713, commanded by 704 with its reversion timer, kept alive by
715.

Its sign is the generator's: W > 0 injects. Grid-code settings (703, 707-710) are read, compared, and never
written.
"""

from collections.abc import Callable
from typing import Final

import structlog
from sunspec2.device import Model, ModelError

from v2g_edge.field.board import Board
from v2g_edge.field.modbus import sunspec
from v2g_edge.field.modbus.audit import AUDITED, audit
from v2g_edge.field.modbus.codec import POWERS, Decoder, encode
from v2g_edge.field.modbus.outlet import LeasedCharger
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.sunspec import ModelAt
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.ports import ClockPort, WriteResult
from v2g_edge.model.reading import Reading, mapped
from v2g_edge.model.settings import ModbusDevice
from v2g_edge.model.snapshot import EvseStatus

log = structlog.get_logger()

POINTS: Final = {
    701: {
        "state": "St", "running": "InvSt", "connection": "ConnSt", "injected_w": "W",
        "energy_import_wh": "TotWhAbs", "energy_export_wh": "TotWhInj",
    },
    713: {"soc_pct": "SoC"},
}  # fmt: skip

RANGES: Final = {
    "injected_w": (-1e7, 1e7),
    "energy_import_wh": (0.0, 1e15),
    "energy_export_wh": (0.0, 1e15),
    "soc_pct": (0.0, 100.0),
}

W_SET: Final = 22
"""704: WSetEna 22, WSetMod 23 (1 = W), WSet 24 (int32), WSetRvrt 26 (int32), WSetEnaRvrt 30, WSetRvrtTms
31 (uint32).
"""

REVERSION: Final = (0, 0)
"""WSetRvrt: 0 W, once the timer has run out."""

SLOW_S: Final = 2.0
"""SoC and counters move slowly; one block less in most rounds."""

HEARTBEAT_S: Final = 1.0
"""715: ControllerHb + 1 each second."""

MAX_CHUNK: Final = 120
"""Registers read at once while auditing, below the protocol's 125."""

FAULT_STATE: Final = 6
"""701 InvSt FAULT."""


class SunSpecCharger(LeasedCharger):
    """Found by its models, set up through 704, audited against ``profile`` (None: no grid code to compare
    with).
    """

    def __init__(
        self,
        device: ModbusDevice,
        peer: Peer,
        profile: GridCode | None,
        board: Board,
        clock: ClockPort,
        *,
        contactor: Callable[[], bool],
    ) -> None:
        super().__init__(device, peer, board, clock, contactor=contactor)
        self._profile = profile
        self._models: dict[int, ModelAt] = {}
        self._scale = 0.0
        self._beat = 0
        self._beat_s = 0.0

    async def poll(self) -> None:
        """Search first; a device without 701 and 704 is no charger that we can drive."""
        if self._epoch not in {-1, self._peer.epoch}:
            self._models = {}  # back after an absence: perhaps with other firmware
        if not self._models:
            await self._find()
        await super().poll()
        await self._heartbeat()

    async def _find(self) -> None:
        found = await sunspec.discover(self._peer.read)
        if isinstance(found, Fault):
            return
        models = {model.id: model for model in reversed(found)}
        if 701 not in models or 704 not in models:
            log.warning("modbus_no_der", device=self._device.id, models=sorted(models), needed=[701, 704])
            return
        self._models = models
        self._blocks = []
        for model_id, names in POINTS.items():
            if model_id in models:
                block = sunspec.block_of(
                    models[model_id], names, RANGES, every_s=SLOW_S if model_id == 713 else 0.0
                )
                if block is not None:
                    self._blocks.append((Decoder(block), block))

    async def _read(self) -> None:
        """The generator's sign is turned where the value enters."""
        await super()._read()
        raw = self._values.pop("injected_w", None)
        if raw is not None:
            self._values["power_w"] = mapped(raw, float.__neg__)

    async def _prepare(self) -> None:
        """Reversion to 0 W after ``watchdog_s`` without a write, read back; then the audit."""
        if 704 not in self._models:
            return
        epoch, address = self._peer.epoch, self._models[704].address
        factor = await self._peer.read(3, address + 55, 1)
        if isinstance(factor, Fault):
            return
        exponent = factor[0] - 0x10000 if factor[0] >= 0x8000 else factor[0]
        if exponent not in POWERS:
            log.warning("modbus_setpoint_scale_missing", device=self._device.id)
            return
        self._scale = POWERS[exponent]
        self._epoch = epoch
        timer = self._timer()
        await self._audit()
        if not any(timer[1:]) or await self._peer.write(16, address + 26, list(REVERSION)) is not None:
            return
        if await self._peer.write(16, address + 30, timer) is None:
            self._dead_man = await self._read_back() is True

    def _timer(self) -> list[int]:
        """WSetEnaRvrt on, WSetRvrtTms."""
        return [1, *encode(self._device.watchdog_s, "u32")]

    async def _read_back(self) -> bool | None:
        if 704 not in self._models:
            return None
        found = await self._peer.read(3, self._models[704].address + 26, 7)
        if isinstance(found, Fault):
            return None
        return tuple(found[0:2]) == REVERSION and list(found[4:7]) == self._timer()

    async def _audit(self) -> None:
        self._grid_code_ok = True
        if self._profile is None:
            return
        problems: list[str] = []
        for model_id in AUDITED:
            if model_id not in self._models:
                continue
            model = await self._model(self._models[model_id])
            problems += [model] if isinstance(model, str) else audit(model_id, model, self._profile)
        self._grid_code_ok = not problems
        if problems:
            log.error(
                "modbus_grid_code_mismatch",
                device=self._device.id,
                code=self._profile.name,
                problems=problems,
            )

    async def _model(self, at: ModelAt) -> Model | str:
        """The whole model decoded by pysunspec2, or why not."""
        words: list[int] = []
        while len(words) < at.length + 2:
            count = min(MAX_CHUNK, at.length + 2 - len(words))
            part = await self._peer.read(3, at.address + len(words), count)
            if isinstance(part, Fault):
                return f"model {at.id} cannot be read: {part.why}"
            words += part
        try:
            return Model(at.id, model_len=at.length, data=b"".join(word.to_bytes(2, "big") for word in words))
        except (
            ModelError,
            KeyError,
            ValueError,
            IndexError,
            TypeError,
        ) as fault:  # what pysunspec2 raises on broken counts
            return f"model {at.id} makes no sense: {fault}"

    async def _send(self, power_w: float, still: Callable[[], bool]) -> WriteResult:
        if self._scale == 0.0 or 704 not in self._models:
            return "silent"  # not found yet, or searched for anew after an absence
        try:
            registers = [1, 1, *encode(-power_w, "i32", scale=self._scale)]
        except ValueError as fault:
            log.warning("modbus_setpoint_impossible", device=self._device.id, power_w=power_w, why=str(fault))
            return "rejected"
        denied = await self._peer.write(16, self._models[704].address + W_SET, registers, still)
        if denied is not None:
            return "silent" if denied.keeps else "rejected"
        self._written_s = self._clock.now_s()
        return "accepted"

    async def _heartbeat(self) -> None:
        """Only while a permit holds: a live controller with dead inputs must not keep the charger going."""
        now_s = self._clock.now_s()
        if 715 not in self._models or not self._holds or now_s - self._beat_s < HEARTBEAT_S:
            return
        self._beat_s, self._beat = now_s, (self._beat + 1) & 0x7FFF_FFFF
        await self._peer.write(16, self._models[715].address + 5, encode(self._beat, "u32"))

    def _status(self) -> tuple[EvseStatus, str]:
        state = self._values.get("running")
        if not isinstance(state, Reading):
            return "unknown", ""
        if int(state.value) == FAULT_STATE:
            return "faulted", "InvSt 6"
        connection = self._values.get("connection")
        joined = isinstance(connection, Reading) and connection.value == 1.0
        return ("occupied" if joined else "available"), ""
