"""Stand-ins for places that the schema refuses, so that what is wrong elsewhere stands in the same report.

Two stand-ins are put in each place, and a problem counts only if it comes out the same with both: then it
does not hang on what is broken, and does not repeat it in other words.
"""

import copy
from typing import Any, Final, Literal, get_args, get_origin

from v2g_edge.config.keys.key import Key
from v2g_edge.config.schema import PROBLEMS_MAX, Place, is_list, key_of, part_of, placed, without_none
from v2g_edge.model.site import CurvePoint

CURVES: Final = ([[0.0, 1.0]], [[0.0, 2.0], [100.0, 3.0]])
TEXTS: Final = ("?", "??")
"""No name that a site file may use, so that nothing refers to them."""


def stand_ins(document: dict[str, Any], places: list[Place]) -> list[dict[str, Any]]:
    """The document twice, each time with other values where it is broken; none where a whole table is
    missing or no table, or where more is broken than is told.
    """
    if len(places) > PROBLEMS_MAX:
        return []
    copies = [copy.deepcopy(document) for _ in TEXTS]
    for loc, kind in places:
        for turn, plain in enumerate(copies):
            if not _mend(plain, loc, kind, turn):
                return []
    return copies


def _mend(plain: Any, loc: tuple[int | str, ...], kind: str, turn: int) -> bool:
    """Put stand-in ``turn`` at the key of ``loc``; False where none can be given. Steps after the key lie
    within its value.
    """
    struct, field, at = placed(loc)
    unknown = kind == "extra_forbidden"
    if not unknown and (field is None or part_of(field.type) is not None):
        return False
    key = loc[-1] if unknown else loc[at]
    for step in loc[: len(loc) - 1 if unknown else at]:
        plain = plain[step]
    if unknown:
        plain.pop(key, None)
    elif field is not None:
        plain[key] = _value(without_none(field.type), key_of(struct, field.name), turn)
    return True


def _value(kind: Any, key: Key, turn: int) -> Any:
    if kind in (int, float):
        limits = (0.0 if key.low is None else key.low, 1.0 if key.high is None else key.high)
        return kind(limits[turn])
    if kind is bool:
        return bool(turn)
    if get_origin(kind) is Literal:
        return get_args(kind)[-turn]
    if kind == tuple[CurvePoint, ...]:
        return CURVES[turn]
    if is_list(kind):
        return [_value(get_args(kind)[0], key, turn)]
    return TEXTS[turn] if kind is str else {}
