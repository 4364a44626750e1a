"""Opens contactors over connections of its own: no poll, no board, no map. For `v2g-edge failsafe`."""

import asyncio
from collections.abc import Sequence
from typing import Final

from v2g_edge.field.modbus.wire import Wire
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import ModbusLine, OpenableContactor
from v2g_edge.tasks import described

TRIES: Final = 5
"""A module that was connected to the dead daemon may take a moment to accept again."""
PAUSE_S: Final = 0.5
"""Between two tries: all tries together stay under the shortest lease that a site would set (5 s)."""
WRITE_COIL: Final = 5


async def open_contactors(contactors: Sequence[OpenableContactor], clock: ClockPort) -> dict[str, str]:
    """What became of each contactor, by device id: "opened", or why not. All are tried at the same time."""
    wires: dict[ModbusLine, Wire] = {}

    async def drop(contactor: OpenableContactor) -> tuple[str, str]:
        line = contactor.line
        wire = wires.setdefault(line, Wire(line, clock)) if line.transport == "rtu" else Wire(line, clock)
        said = ""
        for attempt in range(TRIES):
            if attempt:
                await clock.sleep_s(PAUSE_S)
            try:
                fault = await wire.write(contactor.unit, WRITE_COIL, contactor.coil, [0])
            except Exception as error:  # noqa: BLE001 - the next one must be tried, whatever happened here
                said = described(error)
                continue
            said = "opened" if fault is None else fault.why
            if fault is None:
                break
        wire.hang_up()
        return contactor.device, said

    return dict(await asyncio.gather(*map(drop, contactors)))
