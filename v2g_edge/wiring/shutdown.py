"""The end of a run that was asked for: zero at every charger first, then the contactors open, then the
links close (case B11).
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.snapshot import EvseState

log = structlog.get_logger()

ZERO_WAIT_S: Final = 3.0
"""For the answers to the zeros. systemd waits 10 s in all (TimeoutStopSec); a charger that answers later
keeps its lease.
"""
OPEN_WAIT_S: Final = 2.0
"""For the contactors."""
LOOK_S: Final = 0.05


async def wind_down(
    board: Board, modbus: ModbusField, evses: tuple[str, ...], clock: ClockPort, tick: Callable[[], None]
) -> None:
    """``tick`` makes one with a stop in force. Never raises; says which outlets have not answered to their
    zero.
    """
    tick()
    begun_s = asyncio.get_running_loop().time()
    while (late := [evse for evse in evses if _waits(board.evse(evse))]) and _since(begun_s) < ZERO_WAIT_S:
        await asyncio.sleep(LOOK_S)
        tick()
    for evse in late:
        until_s = max(board.evse(evse).command.lease_until_s - clock.now_s(), 0.0)
        log.warning(
            "stopped_without_zero", evse=evse, effect=f"its lease ends by itself within {until_s:.0f} s"
        )
    try:
        async with asyncio.timeout(OPEN_WAIT_S):
            left = await modbus.open_contactors()
    except TimeoutError:
        left = sorted(modbus.contactors)
    for device in left:
        log.error(
            "contactor_not_opened",
            device=device,
            effect="its own time-out opens it; `v2g-edge failsafe` tries again",
        )


def _since(begun_s: float) -> float:
    return asyncio.get_running_loop().time() - begun_s


def _waits(state: EvseState) -> bool:
    """Whether a charger that is connected has still to answer to a zero."""
    command = state.command
    return state.link.connected and (
        command.ack == "pending" or (command.ack != "none" and command.power_w != 0.0)
    )
