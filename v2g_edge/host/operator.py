"""What people on site have ordered, kept on disk: a stop survives a restart and a power cut."""

import threading
from pathlib import Path

import msgspec
from msgspec.structs import replace

from v2g_edge.model.snapshot import Operator
from v2g_edge.statefile import StateFile


class OperatorFile:
    """``operator.json`` in the state folder, in two copies. Where neither can be read, a stop is taken to
    stand.
    """

    def __init__(self, path: Path) -> None:
        self._file = StateFile[Operator](path, msgspec.json.encode, msgspec.json.Decoder(Operator).decode)
        self._unsaved: Operator | None = None
        self._one_at_a_time = threading.Lock()
        self.fault = ""

    def load(self) -> Operator:
        """The standing orders; none where the file was never written. ``fault`` says what could not be
        read.
        """
        found = self._file.load()
        self.fault = found.fault
        if found.value is not None:
            return replace(found.value, closing=False)
        return Operator(stop=True) if found.fault else Operator()

    def save(self, operator: Operator) -> str:
        """Keep the orders on the disk. "" when they are there; else why not, and ``save_again`` tries
        again.
        """
        self._unsaved = replace(operator, closing=False)  # that is this process's own
        return self.save_again()

    def save_again(self) -> str:
        """Write what could not be written before. "" when nothing is left to write."""
        with self._one_at_a_time:  # an order and the housekeeping write from threads of their own
            orders = self._unsaved
            if orders is None:
                return ""
            try:
                self._file.save(orders)
            except OSError as error:
                return str(error)
            if self._unsaved is orders:
                self._unsaved = None
            return ""
