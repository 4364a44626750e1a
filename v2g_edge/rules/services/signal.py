"""A signal from outside, and when it is too old to follow."""

from typing import Final

from v2g_edge.model.service import Signal

MAX_AGE_S: Final = 0.5
"""A signal this much older than the next one was due is none: droop or the plan takes over at the next
tick.
"""
TIMEOUT: Final = "ERR_SIGNAL_TIMEOUT_408"
MOST_MISSING: Final = 0.1
"""A score interval with more missing samples than this is void, not zero: it says nothing of the response."""


def followed(signal: Signal | None, now_s: float) -> tuple[float | None, str]:
    """(value from −1 to 1, "") while the signal is fresh; (None, reason) when it is not, or comes from the
    future.
    """
    if signal is None:
        return None, TIMEOUT
    age_s = now_s - signal.at_s
    if not 0.0 <= age_s <= signal.every_s + MAX_AGE_S or not -1.0 <= signal.value <= 1.0:
        return None, TIMEOUT
    return signal.value, ""
