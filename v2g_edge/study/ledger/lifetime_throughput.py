"""What each vehicle has given in its life, for the warranty's caps: a file that the daemon reads."""

import json
from pathlib import Path
from typing import Final

from v2g_edge.study.ledger.lines import FORGOTTEN
from v2g_edge.study.ledger.store import Store

NAME: Final = "lives.json"


def write_lives(store: Store, path: Path) -> None:
    """Energy and hours given by vehicle, and until when they are counted; whole or not at all. Raises
    ``OSError``.
    """
    given = store.given()
    vehicles = {
        name: {"discharge_wh": round(wh, 1), "discharge_h": round(seconds / 3_600.0, 4)}
        for name, (wh, seconds) in sorted(given.items())
        if name not in {"", FORGOTTEN}
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"until_wall_s": store.span()[1], "vehicles": vehicles}), encoding="utf-8")
    fresh.replace(path)
