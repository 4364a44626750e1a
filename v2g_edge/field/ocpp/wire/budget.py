"""What one station may cost: octets that a message may inflate to, and octets that are taken in a while.

Everything that a message costs later (reading its JSON, judging it by its schema, handling it) grows with its
octets and its elements. ``frames.decode`` bounds the elements; this file bounds the octets. The table in
``docs/security.md`` has the figures.
"""

from collections.abc import Sequence
from typing import Final

from websockets.exceptions import PayloadTooBig
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionParameter

INFLATED_MAX: Final = 1 << 20
"""Octets that a compressed message may have once it is inflated. Stations send reports in parts of 8 to 64
KiB.
"""
INFLATED_FREE: Final = 128 << 10
INFLATED_PER_OCTET: Final = 2
"""A compressed message may inflate to the first, or to so much for each of its octets on the wire. Reading a
message and handling it costs 20 ns for each of its inflated octets, and the format goes to 1,030 times: 64
KiB on the wire may cost 5 ms. Reports of stations repeat themselves (20 to 90 times), and fit into the first;
what does not, a station may send without compression (``StationLink.may_compress``).
"""

BURST_OCTETS: Final = 2 << 20
OCTETS_PER_S: Final = 256 << 10
"""Inflated octets that a station may send in a row, and as a rate for ever: a report of everything at a start
takes 1 to 2 MB, a night's talk of one station some hundred octets a second. Beyond it the link is not
read, so that TCP holds the station back.
"""

MESSAGE_LEAST: Final = 1 << 10
"""What a frame counts at least, however short: it costs a turn, an answer and a line of the store. 256 a
second for ever.
"""


class Allowance:
    """Octets that may still be taken of a station, on whatever link. ``now_s`` is loop time."""

    __slots__ = ("_at_s", "_left")

    def __init__(self) -> None:
        self._left = float(BURST_OCTETS)
        self._at_s: float | None = None

    def spend(self, octets: int) -> None:
        """A frame of so many octets was taken."""
        self._left -= max(octets, MESSAGE_LEAST)

    def wait_s(self, now_s: float) -> float:
        """How long the link must rest before the next frame; 0 while something is left."""
        if self._at_s is not None:
            self._left = min(self._left + (now_s - self._at_s) * OCTETS_PER_S, BURST_OCTETS)
        self._at_s = now_s
        return 0.0 if self._left > 0.0 else -self._left / OCTETS_PER_S


class BoundedDeflate(PerMessageDeflate):
    """permessage-deflate that inflates no message beyond what its octets on the wire allow."""

    _wire = 0
    _inflated = 0

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """See the library. PayloadTooBig closes the link (1009)."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return frame
        if frame.opcode is not Opcode.CONT:
            self._wire = self._inflated = 0
        self._wire += len(frame.data)
        most = min(INFLATED_MAX, max(INFLATED_FREE, INFLATED_PER_OCTET * self._wire)) - self._inflated
        if most <= 0:
            raise PayloadTooBig(None, INFLATED_MAX)
        whole = super().decode(frame, max_size=most if max_size is None else min(most, max_size))
        if whole is not frame:
            self._inflated += len(whole.data)
        return whole


class BoundedDeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates as the library does."""

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """See the library."""
        told, made = super().process_request_params(params, accepted_extensions)
        bounded = BoundedDeflate(
            made.remote_no_context_takeover,
            made.local_no_context_takeover,
            made.remote_max_window_bits,
            made.local_max_window_bits,
            made.compress_settings,
        )
        return told, bounded
