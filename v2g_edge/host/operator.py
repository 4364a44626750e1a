"""What people on site have ordered, kept on disk: a stop survives a restart and a power cut."""

from pathlib import Path

import msgspec
import structlog

from v2g_edge.host.statefile import write_atomically
from v2g_edge.model.snapshot import Operator

log = structlog.get_logger()


class OperatorFile:
    """``operator.json`` in the state folder, written atomically. One that cannot be read counts as stop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Operator:
        """The standing orders; none where the file was never written."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Operator)
        except FileNotFoundError:
            return Operator()
        except (OSError, msgspec.MsgspecError) as error:
            log.error("operator_file_unreadable", file=str(self._path), error=str(error), consequence="operator stop")
            return Operator(stop=True)

    def save(self, operator: Operator) -> None:
        """Replace the file; the new orders are on the disk when this returns. OSError where the disk refuses."""
        write_atomically(self._path, msgspec.json.encode(operator))
