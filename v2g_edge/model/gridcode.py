"""A grid code as data: when to trip, what to ride through, how to come back. Voltages in pu of the site's
nominal phase-to-neutral voltage, frequencies in Hz, times in s.

Made by ``config.gridcode`` from ``envelope/gridcodes/*.toml``, where each figure stands beside its source.
"""

from typing import Literal

from msgspec import Struct

Quantity = Literal["voltage_low", "voltage_high", "frequency_low", "frequency_high"]
Mode = Literal["mandatory", "permissive", "momentary_cessation"]
Span = tuple[float, float]
"""(least, greatest) value that a site file may set; equal where the code fixes the value."""


class Element(Struct, frozen=True, forbid_unknown_fields=True):
    """One must-trip element. ``time_s`` is the code's clearing time, which binds the inverter; we only back
    it up.

    A voltage element picks up when any phase is strictly beyond ``threshold``. ``mean_window_s`` > 0: it
    looks at the moving mean of that many seconds instead of at the sample.
    """

    id: str
    quantity: Quantity
    threshold: float
    time_s: float
    threshold_range: Span
    time_range_s: Span
    source: str
    mean_window_s: float = 0.0


class RideThrough(Struct, frozen=True, forbid_unknown_fields=True):
    """Between ``lo`` and ``hi`` (pu or Hz) no generator may trip before ``time_s`` + ``slope`` × (value −
    ``lo``) seconds.

    ``momentary_cessation``: export ceases while the value is strictly between the bounds, and returns with
    it, without a trip.
    """

    quantity: Quantity
    lo: float
    hi: float
    time_s: float
    mode: Mode
    source: str
    slope: float = 0.0


class EnterService(Struct, frozen=True, forbid_unknown_fields=True):
    """Return to service: voltage and frequency within the window (bounds included) for ``delay_s``, then
    either a linear ramp over ``ramp_s`` or a random further wait of up to ``random_delay_s``; the other of
    the two is 0.
    """

    v_lo_pu: float
    v_hi_pu: float
    f_lo_hz: float
    f_hi_hz: float
    delay_s: float
    ramp_s: float
    random_delay_s: float
    v_lo_range_pu: Span
    v_hi_range_pu: Span
    f_lo_range_hz: Span
    f_hi_range_hz: Span
    delay_range_s: Span
    ramp_range_s: Span
    random_delay_range_s: Span
    source: str


class Rocof(Struct, frozen=True, forbid_unknown_fields=True):
    """Loss-of-mains by rate of change of frequency: beyond ``hz_per_s`` in one direction for longer than
    ``time_s``.

    Measured over at least ``window_s`` (five cycles or more), so that one bad sample or a phase jump is not a
    rate.
    """

    hz_per_s: float
    window_s: float
    time_s: float
    source: str
    hz_per_s_range: Span
    time_range_s: Span


class GridCode(Struct, frozen=True, forbid_unknown_fields=True):
    """``draft``: a figure is unverified, and the code arms only when the site file names who signed for it.

    ``rocof_ride_hz_per_s`` is the rate the code demands to ride through (0: it names none); the tests drive
    ramps of it.
    """

    name: str
    edition: str
    nominal_hz: float
    status: Literal["verified", "draft"]
    source: str
    elements: tuple[Element, ...]
    enter_service: EnterService
    ride_through: tuple[RideThrough, ...] = ()
    rocof: Rocof | None = None
    rocof_ride_hz_per_s: float = 0.0

    def ride_through_s(self, element: Element) -> float:
        """The longest ride-through demanded anywhere beyond ``element``'s threshold, in s; 0 where the
        code names none.
        """
        low = element.quantity.endswith("low")
        longest = 0.0
        for band in self.ride_through:
            if band.quantity == element.quantity and (
                band.lo < element.threshold if low else band.hi > element.threshold
            ):
                edge = min(band.hi, element.threshold) if low else band.hi
                longest = max(longest, band.time_s + band.slope * (edge - band.lo))
        return longest
