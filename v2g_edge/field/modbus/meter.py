"""A meter: blocks read on its schedule, decoded, and put on the board as one ``MeterState``."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from v2g_edge.field.board import Board
from v2g_edge.field.modbus import sunspec
from v2g_edge.field.modbus.codec import Block, Decoder
from v2g_edge.field.modbus.peer import Peer
from v2g_edge.field.modbus.plausibility import BEYOND, EnergyCheck, judged
from v2g_edge.field.modbus.wire import Fault
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.reading import NO_SAMPLE, Measured, Unknown, mapped
from v2g_edge.model.settings import ModbusDevice
from v2g_edge.model.site import Feeder

log = structlog.get_logger()

RANGES: Final = {
    "voltage": (0.0, 1_000.0),
    "frequency": (30.0, 80.0),
    "power": (-1e9, 1e9),
    "energy": (0.0, 1e15),
    "current": (-1e5, 1e5),
}
"""What no low-voltage depot can exceed; a value outside is a fault of the data. Frequency: well beyond
every trip limit (47-66 Hz), so that a real excursion is seen as one.
"""

POINTS: Final = tuple(sunspec.METER_POINTS)
"""The names a meter's map may use; missing ones stay Unknown."""

REFUSED_BEFORE_SEARCH: Final = 3
"""Refused or garbled polls in a row after which a SunSpec device is searched anew: its chain may have
moved.
"""


def range_of(point: str) -> tuple[float, float]:
    """The widest believable range of a meter point, by the quantity it begins with."""
    return RANGES[point.partition("_")[0]]


def most_of(feeders: Iterable[Feeder], meter: str) -> float:
    """What a meter can read at most, by the limits of the feeder that it stands on; infinite where it
    stands on none.
    """
    limits = [
        max(each.import_limit_w, each.export_limit_w, each.base_load_max_w, -each.base_load_min_w)
        for each in feeders
        if each.meter == meter
    ]
    return BEYOND * max(limits) if limits else math.inf


class MeterLayout(Struct, frozen=True):
    """Where a meter's values are. ``single_phase``: its one voltage stands for all three."""

    name: str
    blocks: tuple[Block, ...]
    single_phase: bool = False


async def find_sunspec_meter(peer: Peer) -> MeterLayout | Fault:
    """The first meter model of a SunSpec device."""
    models = await sunspec.discover(peer.read)
    if isinstance(models, Fault):
        return models
    for model in models:
        if model.id in sunspec.METER_MODELS:
            block = sunspec.block_of(model, sunspec.METER_POINTS, {name: range_of(name) for name in POINTS})
            if block is not None:
                return MeterLayout(f"sunspec {model.id}", (block,), single_phase=model.id in {201, 211})
    found = ", ".join(str(model.id) for model in models)
    return Fault("refused", f"no meter model (201-204, 211-214) among {found}")


class MeterPoller:
    """Polls one meter. With ``layout`` None the device is searched for a SunSpec meter first, and again
    when it comes back.
    """

    def __init__(
        self, device: ModbusDevice, peer: Peer, layout: MeterLayout | None, board: Board, clock: ClockPort
    ) -> None:
        self._device = device
        self._peer = peer
        self._board = board
        self._clock = clock
        self._search = layout is None
        self._epoch = -1
        self._values: dict[str, Measured] = {}
        self._last: Sequence[int] | None = None
        self._repeats = 0
        self._refused = 0
        self._energy = EnergyCheck()
        self.most_w = math.inf
        """What can flow at this place at all, either way; ``ModbusField`` knows it from the feeder."""
        self._take(layout)

    def _take(self, layout: MeterLayout | None) -> None:
        self._layout = layout
        self._blocks = [(Decoder(block), block) for block in layout.blocks] if layout else []
        self._due_s = [0.0] * len(self._blocks)

    async def poll(self) -> None:
        """One round: every block that is due. Faults become Unknown values or ageing ones; nothing is
        raised.
        """
        if (
            self._search
            and (self._layout is None or self._epoch != self._peer.epoch)
            and not await self._find()
        ):
            return
        for index, (decoder, block) in enumerate(self._blocks):
            at_s = self._clock.now_s()  # before the request: the value may be as old as the question
            if at_s < self._due_s[index]:
                continue
            answer = await self._peer.read(block.function, block.address, block.count)
            self._due_s[index] = at_s + block.every_s
            if isinstance(answer, Fault):
                if answer.keeps:  # the values that stand grow old by themselves
                    self._board.update_meter(self._device.target, link=self._peer.link)
                    return
                self._fail(answer, decoder)
                break
            self._refused = 0
            if index == 0:
                self._repeats = self._repeats + 1 if answer == self._last else 0
                self._last = answer
            self._values.update(decoder.decode(answer, at_s))
        self._publish()

    async def _find(self) -> bool:
        self._values, self._last, self._repeats = {}, None, 0
        found = await find_sunspec_meter(self._peer)
        if isinstance(found, Fault):
            self._take(None)
            if found.keeps:
                self._board.update_meter(self._device.target, link=self._peer.link)
                return False
            self._values = dict.fromkeys(POINTS, Unknown(found.why))
            self._publish()
            return False
        self._epoch = self._peer.epoch
        log.info("modbus_meter_found", device=self._device.id, layout=found.name)
        self._take(found)
        return True

    def _fail(self, fault: Fault, decoder: Decoder) -> None:
        """A meter that answers wrongly has no values."""
        self._last = None
        self._values.update(decoder.unknown(fault.why))
        self._refused += 1
        if self._search and self._refused >= REFUSED_BEFORE_SEARCH:
            self._refused = 0
            self._take(None)

    def _publish(self) -> None:
        get = judged(self._values, self._energy, self.most_w).get
        turn, imported, exported = (
            (_negated, "energy_export_wh", "energy_import_wh")
            if self._device.invert
            else (_same, "energy_import_wh", "energy_export_wh")
        )
        l1_v = get("voltage_l1_v", NO_SAMPLE)
        single = self._layout is not None and self._layout.single_phase
        self._board.update_meter(
            self._device.target,
            link=self._peer.link,
            power_w=turn(get("power_w", NO_SAMPLE)),
            phase_power_w=(
                turn(get("power_l1_w", NO_SAMPLE)),
                turn(get("power_l2_w", NO_SAMPLE)),
                turn(get("power_l3_w", NO_SAMPLE)),
            ),
            phase_voltage_v=(l1_v, l1_v, l1_v)
            if single
            else (l1_v, get("voltage_l2_v", NO_SAMPLE), get("voltage_l3_v", NO_SAMPLE)),
            frequency_hz=get("frequency_hz", NO_SAMPLE),
            energy_import_wh=get(imported, NO_SAMPLE),
            energy_export_wh=get(exported, NO_SAMPLE),
            repeats=self._repeats,
        )


def _same(measured: Measured) -> Measured:
    return measured


def _negated(measured: Measured) -> Measured:
    return mapped(measured, float.__neg__)
