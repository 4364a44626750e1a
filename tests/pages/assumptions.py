"""The fields of the console's *ROI* page, as a study takes them: ``python -m tests.pages.assumptions``."""

import json
from pathlib import Path
from typing import Any, Final

from v2g_edge.console.roi import FUTURES_MAX
from v2g_edge.study.invest.assumptions import RANGES, Assumptions, read_assumptions
from v2g_edge.study.wear.model import SHIPPED

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "roi-50-vans.toml"
TARGET: Final = ROOT / "v2g_edge" / "console" / "static" / "assumptions.json"


def fields() -> dict[str, Any]:
    """Each number with its range, and the value of the example file to begin with."""
    example = read_assumptions(EXAMPLE)
    numbers = [_field(example, *row) for row in RANGES]
    models = sorted(path.stem for path in SHIPPED.glob("*.toml"))
    weights = {season: example.seasonal_weight.get(season, 1.0) for season in example.seasonal_weight}
    return {
        "fields": numbers,
        "curve": example.prices.curve,
        "model": example.wear.model,
        "models": models,
        "seasonal_weight": weights,
        "currency": example.currency,
    }


def _field(example: Assumptions, table: str, key: str, least: float, most: float) -> dict[str, Any]:
    value = getattr(getattr(example, table) if table else example, key)
    name = f"{table}.{key}" if table else key
    most = FUTURES_MAX if name == "paths" else most
    return {"name": name, "value": value, "min": least, "max": most, "whole": isinstance(value, int)}


def rendered() -> str:
    """The file."""
    return json.dumps(fields(), indent=0) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
