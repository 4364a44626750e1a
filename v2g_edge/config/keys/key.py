"""One row of the table of keys, and the kinds of rows that many keys share."""

from typing import Final, NamedTuple


class Key(NamedTuple):
    """``low`` ≤ number ≤ ``high`` (``above``: low itself is refused); ``pattern`` binds a text, or every text
    of a list.

    ``form`` says in words what the pattern allows, ``mend`` how a wrong value is mended; "" where the rest
    says it.
    """

    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: bool = False
    pattern: str = ""
    form: str = ""
    mend: str = ""


NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,47}$"
"""Ids: 48 characters (OCPP 2.0.1's identifierString has room for no more), none that needs quoting in a
URL or a topic.
"""
IDENTITY: Final = r"^[A-Za-z0-9*_=:+|@.-]{1,48}$"
"""What a station may be called: OCPP 2.0.1's identifierString, part 2 data types. "RDAM|123" is 1.6-J's
own example (3.1.1).
"""
OTHER_ID: Final = r"^[^\x00-\x1f\x7f,;]{1,200}$"
"""A card or a name of another system. A comma is a list in one text."""
LINE: Final = r"^[^\x00-\x1f\x7f]{1,200}$"
"""One line of text for people or a path that must be given."""
OPTIONAL: Final = r"^[^\x00-\x1f\x7f]{0,200}$"
HOST: Final = r"^[A-Za-z0-9.:-]{1,200}$"
"""A host name or an address, without port and path."""
LOCAL: Final = r"^((127\.0\.0\.1|\[::1\]):[0-9]{1,5}|unix:/[^\x00-\x1f\x7f]{1,95})?$"
"""The loopback or a Unix socket: what answers there asks for no password."""
CLOCK: Final = r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$"
"""A time of day, or none."""
FEED: Final = r"^(entsoe|energy-charts|nord-pool|awattar|octopus|iso-ne|pjm|caiso)?$"
"""Price services that ``market.price_services`` knows; a test holds the two together."""
POWER: Final = 100e6
"""100 MW: beyond any depot; a larger number is a unit mistake."""


def watts(text: str) -> Key:
    """A power magnitude."""
    return Key(text, "W", 0.0, POWER)


def seconds(text: str, low: float, high: float) -> Key:
    """A time span."""
    return Key(text, "s", low, high)


def percent(text: str, low: float = 0.0, high: float = 100.0) -> Key:
    """A share."""
    return Key(text, "%", low, high)


def name(text: str) -> Key:
    """An id."""
    return Key(text, pattern=NAME)


def optional(text: str) -> Key:
    """A text that may be empty."""
    return Key(text, pattern=OPTIONAL)
