"""Plans as a cloud would send them."""

import json
from datetime import UTC, datetime
from typing import Any

WALL_S = 1_767_225_600.0
"""2026-01-01 00:00 UTC."""


def stamp(after_s: float) -> str:
    return datetime.fromtimestamp(WALL_S + after_s, UTC).isoformat()


def plan_dict(revision: int = 1, evse_w: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Two hours from ``WALL_S`` in two slots; ``evse_w`` of the first, ``changes`` at the top."""
    first = {"start": stamp(0), "end": stamp(3_600), "evse_w": {"b1": 11_000.0} if evse_w is None else evse_w}
    second = {"start": stamp(3_600), "end": stamp(7_200), "site_w": -20_000}
    plan = {
        "revision": revision,
        "issued": stamp(-60),
        "valid_from": stamp(0),
        "valid_until": stamp(7_200),
        "slots": [first, second],
    }
    return plan | changes


def plan_bytes(revision: int = 1, evse_w: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return json.dumps(plan_dict(revision, evse_w, **changes)).encode()
