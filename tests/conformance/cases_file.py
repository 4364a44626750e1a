"""The cases are data: one TOML file a kind, one table a grid code."""

from pathlib import Path
from typing import Any

import tomli

FOLDER = Path(__file__).parent / "cases"


def load(kind: str) -> dict[str, Any]:
    """``cases/<kind>.toml``."""
    return tomli.loads((FOLDER / f"{kind}.toml").read_text(encoding="utf-8"))
