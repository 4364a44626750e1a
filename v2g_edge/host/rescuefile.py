"""``rescue.json``: the contactors that the last good start knew, for the moment when the site file cannot
be read any more.
"""

from pathlib import Path
from typing import Final

import msgspec

from v2g_edge.model.settings import OpenableContactor
from v2g_edge.statefile import StateFile

NAME: Final = "rescue.json"

Contactors = tuple[OpenableContactor, ...]


class RescueFile(StateFile[Contactors]):
    """In the state folder, in two copies."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir / NAME, msgspec.json.encode, msgspec.json.Decoder(Contactors).decode)
