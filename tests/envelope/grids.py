"""A small grid code whose delays are easy to count, and samples for it: 100 V and 50 Hz are nominal."""

from v2g_edge.model.gridcode import Element, EnterService, GridCode, Quantity, RideThrough, Rocof
from v2g_edge.model.reading import Measured, Reading, Unknown
from v2g_edge.model.snapshot import GridSample

NOMINAL_V = 100.0
MAX_AGE_S = 2.0
BLANK = Unknown("blank")


def element(
    name: str, quantity: Quantity, threshold: float, time_s: float, mean_window_s: float = 0.0
) -> Element:
    fixed = (threshold, threshold)
    return Element(name, quantity, threshold, time_s, fixed, (time_s, time_s), "a test", mean_window_s)


def enter_service(delay_s: float = 10.0, ramp_s: float = 20.0, random_delay_s: float = 0.0) -> EnterService:
    span = (0.0, 1000.0)
    return EnterService(
        0.9,
        1.1,
        49.5,
        50.5,
        delay_s,
        ramp_s,
        random_delay_s,
        span,
        span,
        span,
        span,
        span,
        span,
        span,
        "a test",
    )


def toy(
    *elements: Element,
    rides: tuple[RideThrough, ...] = (),
    enter: EnterService | None = None,
    rocof: Rocof | None = None,
) -> GridCode:
    """By default: UV below 0.8 pu for 2 s, OV above 1.2 pu for 1 s, UF below 48 Hz for 3 s, OF above 52 Hz
    for 0.5 s.
    """
    return GridCode(
        name="toy",
        edition="1",
        nominal_hz=50.0,
        status="verified",
        source="a test",
        elements=elements
        or (
            element("UV", "voltage_low", 0.8, 2.0),
            element("OV", "voltage_high", 1.2, 1.0),
            element("UF", "frequency_low", 48.0, 3.0),
            element("OF", "frequency_high", 52.0, 0.5),
        ),
        enter_service=enter or enter_service(),
        ride_through=rides,
        rocof=rocof,
    )


def sample(
    at_s: float,
    v: float | tuple[float | None, float | None, float | None] | None = 100.0,
    hz: float | None = 50.0,
) -> GridSample:
    """None is a value that nobody knows."""
    volts = v if isinstance(v, tuple) else (v, v, v)
    phases: list[Measured] = [BLANK if volt is None else Reading(volt, at_s) for volt in volts]
    return GridSample(at_s, (phases[0], phases[1], phases[2]), BLANK if hz is None else Reading(hz, at_s))
