"""What a register map says, typed. Made by ``map_parser`` from the TOML files in ``maps`` and in the site's
folder.
"""

import math
from typing import Literal

from msgspec import Struct

from v2g_edge.field.modbus.codec import Block, RegisterType


class MapError(ValueError):
    """A map cannot be used. ``problems`` are all of them, each "file: key: what is wrong"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Target(Struct, frozen=True, gc=False):
    """A register to write: raw = value × ``sign`` / ``scale``. ``absolute``: not moved by the channel."""

    address: int
    type: RegisterType
    scale: float
    sign: int
    function: int
    swapped: bool
    absolute: bool


class Command(Struct, frozen=True):
    """How a charger or contactor is commanded. ``setup``, ``start`` and ``stop`` are (address, value) of
    single registers.
    """

    setup: tuple[tuple[int, int], ...] = ()
    setpoint: Target | None = None
    charge: Target | None = None
    discharge: Target | None = None
    start: tuple[int, int] | None = None
    stop: tuple[int, int] | None = None
    watchdog: Target | None = None
    settle_s: float = 0.0
    min_charge_w: float = 0.0
    max_watchdog_s: float = math.inf
    coil: int = -1


class RegisterMap(Struct, frozen=True):
    """A device family. ``states`` maps raw state numbers to our status. Addresses are those of channel
    ``first_channel``.
    """

    id: str
    name: str
    kind: Literal["meter", "charger", "temperature", "contactor"]
    status: Literal["verified", "draft"]
    source: str
    blocks: tuple[Block, ...]
    fixed_blocks: frozenset[str]
    states: dict[int, str]
    command: Command
    channel_stride: int = 0
    command_stride: int = 0
    first_channel: int = 0
    least_poll_s: float = 0.0
    frequency_resolution_hz: float = 0.001
    single_phase: bool = False
