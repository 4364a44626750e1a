"""Numbers → registers of a simulated device, packed run by run so that a poll costs microseconds."""

import math
import struct
from collections.abc import Iterable, Mapping

from msgspec import Struct

WIDTHS = {"h": 1, "H": 1, "i": 2, "I": 2, "q": 4, "Q": 4, "f": 2, "d": 4}


class Spot(Struct, frozen=True, gc=False):
    """Where the device keeps ``name``: address, ``struct`` code, raw value = (number − ``shift``) ÷
    ``scale``.
    """

    name: str
    address: int
    code: str
    scale: float = 1.0
    shift: float = 0.0
    swapped: bool = False


class Image:
    """Writes named values into a register list. Names without a value keep what is in the registers."""

    def __init__(self, spots: Iterable[Spot]) -> None:
        self.spots = sorted(spots, key=lambda spot: spot.address)
        self._runs: list[tuple[int, struct.Struct, struct.Struct, list[Spot]]] = []
        run: list[Spot] = []
        for spot in self.spots:
            if run and spot.address != run[-1].address + WIDTHS[run[-1].code]:
                self._close(run)
                run = []
            run.append(spot)
        if run:
            self._close(run)

    def _close(self, run: list[Spot]) -> None:
        count = sum(WIDTHS[spot.code] for spot in run)
        fmt = struct.Struct(">" + "".join(spot.code for spot in run))
        self._runs.append((run[0].address, fmt, struct.Struct(f">{count}H"), run))

    def write(self, registers: list[int], start: int, values: Mapping[str, float]) -> None:
        """Put ``values`` (all names of this image) into ``registers``, whose first element is address
        ``start``.
        """
        for address, pack, unpack, run in self._runs:
            words = unpack.unpack(pack.pack(*[raw(values[spot.name], spot) for spot in run]))
            registers[address - start : address - start + len(words)] = words
            for spot in run:
                if spot.swapped:
                    at, width = spot.address - start, WIDTHS[spot.code]
                    registers[at : at + width] = registers[at : at + width][::-1]


def raw(value: float, spot: Spot) -> float:
    """The raw value; integers are rounded and saturate at their type's ends, as devices do."""
    if spot.code in "fd":
        return (value - spot.shift) / spot.scale
    bits = 16 * WIDTHS[spot.code]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if spot.code.islower() else (0, 2**bits - 1)
    if math.isnan(value):
        return low if spot.code.islower() else high
    return int(min(max(round((value - spot.shift) / spot.scale), low), high))
