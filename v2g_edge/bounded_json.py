"""Reads JSON that others send, for every room: its octets bound what it may cost, before it is read."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

VALUES_FREE: Final = 6 << 10
OCTETS_PER_VALUE: Final = 16
"""Values that a text may hold: the first, and one for so many octets. Each takes 60 octets and 50 ns at least
once it is read, and ``{}`` has two octets. Stations' messages have 18 octets a value; the densest legal one,
a report of 1,024 periods, has 9, and 9,300 values in all. A charging request of VDV 463 has 25.
"""

NUMBER_MAX: Final = 64
"""Characters of a number; a double has 17 digits. Reading, comparing and writing a whole number takes the
square of its digits: 0.1 ms each for 4,000 of them.
"""
INTEGER_BITS: Final = (10**NUMBER_MAX).bit_length()

_PLAIN: Final = bytes.maketrans(b"123456789.E+", b"0000000000e-")
_LONG: Final = b"0" * (NUMBER_MAX + 1)
_LARGE: Final = b"e000"
_SMALL: Final = b"e-000"
"""How a number like ``1e308`` or of more than ``NUMBER_MAX`` digits looks after ``_PLAIN``; some words do.
The decoder's own way takes 35 to 50 µs for a number near the ends of what a double can hold (from 1e290 on),
and 0.03 to 0.6 µs for any other. A regular expression would take longer to find them than they take.
"""
NUMBERS_MAX: Final = 2_048
"""Values of a text with more than ``NUMBER_MAX`` digits in a row, be it in a word: each is looked at by
Python then, for 0.2 µs.
"""
FLOATS_MAX: Final = 256
"""Numbers with a point or an exponent in a large text with an extreme one like 1e308, which no honest message
has: each is a call of ours then, for 1 µs.
"""


class TooManyValues(ValueError):  # noqa: N818 - it names the text, not a program error
    """The text would hold more than its octets allow."""


def decode(text: str | bytes) -> Any:
    """The document. ``TooManyValues`` where it has too many; any other ValueError (and RecursionError) where
    it is no JSON, or a number is too long.
    """
    octets = text.encode("utf-8", "replace") if isinstance(text, str) else text
    plain = octets.translate(_PLAIN)
    decoder, has_long = _decoder_for(octets, plain), _LONG in plain
    if has_long and _values_of(octets) > NUMBERS_MAX:
        raise TooManyValues(f"more than {NUMBERS_MAX} values, and digits without end")
    try:
        document = decoder.decode(text)
    except msgspec.DecodeError as fault:
        raise ValueError(str(fault)) from fault
    if has_long and _has_long_integer(document):
        raise ValueError(f"a whole number of more than {NUMBER_MAX} digits")
    return document


def _has_long_integer(document: Any) -> bool:
    """Where the digits of a number are, and not those of a text, is only seen once it is read."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
        elif type(value) is int and value.bit_length() > INTEGER_BITS:
            return True
    return False


def read_float(text: str) -> float:
    """A JSON number with a point or an exponent; 1e308 takes a fortieth of the decoder's own time."""
    if len(text) > NUMBER_MAX:
        raise ValueError(f"a number of {len(text)} characters; allowed are {NUMBER_MAX}")
    return float(text)


def _read_few() -> Callable[[str], float]:
    """``read_float`` for ``FLOATS_MAX`` numbers."""
    left = FLOATS_MAX

    def read(text: str) -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"more than {FLOATS_MAX} numbers, and some like 1e308")
        return read_float(text)

    return read


_small_decoder: Final = msgspec.json.Decoder(float_hook=read_float)
_plain_decoder: Final = msgspec.json.Decoder()


def _values_of(octets: bytes) -> int:
    """At most: each value has its comma, or opens a list or table; so do signs in texts."""
    return len(octets) - len(octets.translate(None, b",[{"))


def _decoder_for(octets: bytes, plain: bytes) -> "msgspec.json.Decoder[Any]":
    """A text as long as its allowance needs no look."""
    most = VALUES_FREE + len(octets) // OCTETS_PER_VALUE
    if len(octets) <= most:
        # A call of ours for each number is dear too: only where there is one that the decoder is slow at.
        return _small_decoder if _looks_extreme(plain) else _plain_decoder
    found = _values_of(octets)
    if found > most:
        raise TooManyValues(f"{found} values in {len(octets)} bytes; allowed are {most}")
    if _looks_extreme(plain):
        return msgspec.json.Decoder(float_hook=_read_few())
    return _plain_decoder


def _looks_extreme(plain: bytes) -> bool:
    return _LARGE in plain or _SMALL in plain or _LONG in plain
