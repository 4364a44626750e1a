"""What opens a contactor, in a form that needs neither the site file nor a register map."""

from msgspec import Struct

from v2g_edge.model.settings import ModbusLine


class OpenableContactor(Struct, frozen=True):
    """Writing ``coil`` of ``unit`` on ``line`` to 0 opens the contactor that the site file calls ``device``."""

    device: str
    line: ModbusLine
    unit: int
    coil: int
