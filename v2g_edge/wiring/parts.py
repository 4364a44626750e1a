"""From the site file to the parts that reach the field. Daemon, commissioning and failsafe build them here,
so none differs.

The site's own register maps lie in ``maps`` of the state folder; the OCPP settings and the transactions known
go with the rest.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from v2g_edge.field.board import Board
from v2g_edge.field.modbus.bus import ModbusField
from v2g_edge.field.ocpp.server import CentralSystem
from v2g_edge.field.writer import Writer
from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.mission import FleetPort
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import Settings

ORDERS: Final = "operator.json"


class Parts(NamedTuple):
    """What reads devices and moves power. ``contactor_of`` names the contactor of each OCPP outlet whose
    dead-man it is.
    """

    board: Board
    ocpp: CentralSystem
    modbus: ModbusField
    writer: Writer
    contactor_of: dict[str, str]


def state_dir_of(settings: Settings) -> Path:
    """The state folder."""
    return Path(settings.host.state_dir)


def build_parts(
    settings: Settings, clock: ClockPort, wake: Callable[[], None], fleet: FleetPort | None = None
) -> Parts:
    """All parts, not started. ValueError names every device and map that cannot be used."""
    site, state_dir = settings.site, state_dir_of(settings)
    board = Board(site, wake, fleet)
    ocpp = CentralSystem(
        settings.listeners,
        settings.stations,
        site,
        board,
        clock,
        state_dir=state_dir,
        settings=settings.ocpp,
        upstreams=settings.upstreams,
    )
    modbus = build_modbus(settings, board, clock)
    writer = Writer({**ocpp.ports, **modbus.ports}, board, clock)
    behind = {
        each.id: each.contactor
        for each in site.evses
        if each.dead_man == "contactor" and each.id in ocpp.ports
    }
    return Parts(board, ocpp, modbus, writer, behind)


def build_modbus(settings: Settings, board: Board, clock: ClockPort) -> ModbusField:
    """The Modbus part alone. ValueError names every device and map that cannot be used."""
    maps = state_dir_of(settings) / "maps"
    return ModbusField(settings.lines, settings.devices, settings.site, board, clock, maps_folder=maps)


def orders_of(settings: Settings) -> OperatorFile:
    """The standing orders: whatever moves power heeds them."""
    return OperatorFile(state_dir_of(settings) / ORDERS)


def read_contactors(parts: Parts) -> None:
    """Before a picture is taken: only its contactor makes such an OCPP charger safe, whatever the station
    says of itself.
    """
    for evse, contactor in parts.contactor_of.items():
        if parts.board.evse(evse).dead_man_ok != (proven := parts.modbus.contactor_proven(contactor)):
            parts.board.update_evse(evse, dead_man_ok=proven)
