"""Which role a request on the control socket needs. What is not named here needs an engineer."""

from collections.abc import Callable
from typing import Any, Final

from v2g_edge.field.ocpp.upkeep.maintenance import SITE
from v2g_edge.host.roles import Role

Params = dict[str, Any]


def _only_with(role: Role, *keys: str) -> Callable[[Params], Role]:
    """``role`` where one of the keys is given, with whatever value but those that stand for nothing; else a
    look for everyone. What is merely odd (0, an empty list) is not left to each topic to read.
    """
    return lambda params: role if any(_is_given(params.get(key)) for key in keys) else Role.VIEWER


def _is_given(value: Any) -> bool:
    return not (value is None or value is False or value == "")


def _order(params: Params) -> Role:
    return Role.VIEWER if params.get("trial") is True else Role.OPERATOR


SITE_LOOKS: Final = frozenset({"certificates", "rollout-status"})
"""Operations for all stations together that only tell how things are."""


def _ocpp(params: Params) -> Role:
    asked = params.get("operation")
    if not _is_given(asked):
        return Role.VIEWER
    looks = params.get("station") == SITE and isinstance(asked, str) and asked in SITE_LOOKS
    return Role.VIEWER if looks else Role.ENGINEER


NEEDS: Final[dict[str, Callable[[Params], Role]]] = {
    **dict.fromkeys(
        (
            "status",
            "why",
            "events",
            "plan",
            "standstill",
            "health",
            "orders",
            "history",
            "night",
            "money",
            "trips",
            "what_if",
        ),
        lambda _params: Role.VIEWER,
    ),
    **dict.fromkeys(("operate", "undo"), lambda _params: Role.OPERATOR),
    "order": _order,
    "capacity": _only_with(Role.OPERATOR, "book", "cancel"),
    "services": lambda params: Role.OPERATOR if params else Role.VIEWER,
    "cloud": lambda _params: Role.ENGINEER,
    "ocpp": _ocpp,
    "site_file": _only_with(Role.ENGINEER, "apply"),
}
"""By method."""


def role_needed(method: str, params: Params) -> Role:
    """The role for one request."""
    needs = NEEDS.get(method)
    return Role.ENGINEER if needs is None else needs(params)
