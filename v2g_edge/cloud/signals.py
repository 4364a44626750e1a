"""Signals of an aggregator over MQTT: a signed document every few seconds, for one service of the site.

A signal counts once, in order, and only while it is young: none can be replayed, not after a restart
either.
"""

from typing import Final

import msgspec
from msgspec import Struct

from v2g_edge.cloud.signed import SIGNAL_TYPE, BadSignature, PlanKeys

OCTETS_MAX: Final = 4 << 10
LATE_S: Final = 5.0
"""A signal may be this much older than the time between two: mobile uplinks take a second or two."""
FUTURE_S: Final = 2.0
EVERY_MAX_S: Final = 60.0


class BadSignal(ValueError):  # noqa: N818 - names the fault of a message
    """The signal does not count; the message says what was found and what is allowed."""


class SignalMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """One signal.

    Attributes:
        service: The service of the site file that it is for.
        value: What is asked, −1 to 1 of the power sold; + is up: less import.
        sequence: A whole number that grows with each signal of the service.
        at_wall_s: When it was made, UTC epoch seconds.
        every_s: How often one is sent, in s; it holds until the next one is due.
    """

    service: str
    value: float
    sequence: int
    at_wall_s: float
    every_s: float = 2.0


class SignalInbox:
    """Judges signals signed with ``keys``."""

    def __init__(self, keys: PlanKeys) -> None:
        self._keys = keys
        self._last: dict[str, int] = {}

    def take(self, payload: bytes, services: tuple[str, ...], wall_s: float) -> SignalMessage:
        """A signal that counts. ``BadSignal`` for any other."""
        if len(payload) > OCTETS_MAX:
            raise BadSignal(f"{len(payload)} octets; allowed are {OCTETS_MAX}")
        try:
            said = msgspec.json.decode(self._keys.open(payload, SIGNAL_TYPE), type=SignalMessage)
        except (BadSignature, msgspec.MsgspecError, RecursionError) as fault:
            raise BadSignal(str(fault)[:200]) from fault
        if said.service not in services:
            raise BadSignal(f"service {said.service[:40]!r}; signals are for {', '.join(services) or 'none'}")
        if not -1.0 <= said.value <= 1.0 or not 0.0 < said.every_s <= EVERY_MAX_S:
            allowed = f"allowed are value −1 to 1 and every_s up to {EVERY_MAX_S:g}"
            raise BadSignal(f"value {said.value:g} and every_s {said.every_s:g}; {allowed}")
        age_s, allowed_s = wall_s - said.at_wall_s, said.every_s + LATE_S
        if not -FUTURE_S <= age_s <= allowed_s:
            raise BadSignal(f"it is {age_s:.1f} s old; allowed are {-FUTURE_S:g} to {allowed_s:g} s")
        last = self._last.get(said.service)
        if last is not None and said.sequence <= last:
            raise BadSignal(f"sequence {said.sequence} after {last}; it must grow")
        self._last[said.service] = said.sequence
        return said
