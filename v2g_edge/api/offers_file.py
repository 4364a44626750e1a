"""``offers.json`` in the state folder, in two copies: the export that is sold.

Where neither copy can be read, it is not known what is sold, and nothing is offered until every booking that
there can have been is over.
"""

import math
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from v2g_edge.departure.capacity import Ledger, Offer
from v2g_edge.statefile import StateFile

NO_DOUBT: Final = 0.0
UNTIL_THE_CLOCK_IS_RIGHT: Final = -1.0


class Kept(Struct, frozen=True):
    """``doubt_wall_s``: until then it is not known what is sold. 0: it is known; −1: the end is reckoned
    once wall time is synchronised.
    """

    offers: tuple[Offer, ...] = ()
    doubt_wall_s: float = NO_DOUBT


class OffersFile:
    """Bookings on the disk. ``longest_s``: the longest that a booking can last."""

    def __init__(self, path: Path, longest_s: float) -> None:
        self._path = path
        self._longest_s = longest_s
        self._file = StateFile[Kept](path, msgspec.json.encode, _kept)
        self.last = Ledger()
        """As it was read or written last."""
        self.fault = ""
        """What could not be read, in words for an alarm; "" where all is well."""

    def load(self, wall_s: float, *, synced: bool) -> Ledger:
        """What is sold. ValueError while that is not known; it says until when."""
        found = self._file.load()
        kept = found.value or Kept(doubt_wall_s=UNTIL_THE_CLOCK_IS_RIGHT if found.fault else NO_DOUBT)
        if found.fault:
            self.fault = found.fault
        if kept.doubt_wall_s == UNTIL_THE_CLOCK_IS_RIGHT and synced:
            kept = Kept(kept.offers, wall_s + self._longest_s)
        if (found.value is None and found.fault) or kept != (found.value or Kept()):
            self._file.save(kept)
        if kept.doubt_wall_s and (not synced or wall_s < kept.doubt_wall_s):
            hours = math.ceil(max(kept.doubt_wall_s - wall_s, 0.0) / 3_600.0) if synced else "24"
            raise ValueError(
                f"{self._path} was damaged, so what is sold is not known: nothing is offered for {hours} h,"
                " until every booking is over. `v2g-edge restore` puts a backup of it back"
            )
        self.last = Ledger(kept.offers)
        return self.last

    def save(self, ledger: Ledger) -> None:
        """Replace both copies; on the disk when this returns. OSError where the disk refuses."""
        self._file.save(Kept(ledger.offers))
        self.last = ledger


def _kept(data: bytes) -> Kept:
    return msgspec.json.decode(data, type=Kept)
