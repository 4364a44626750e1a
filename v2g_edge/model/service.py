"""What a site has sold or must heed beyond its own departures: services, and limits from outside."""

from typing import Literal

from msgspec import Struct

ServiceKind = Literal[
    "fcr",
    "fcr_n",
    "fcr_d_up",
    "fcr_d_down",
    "dc",
    "dm",
    "dr",
    "regulation",
    "demand_response",
    "peak_shaving",
    "arbitrage",
    "zero_import",
    "zero_export",
    "backup",
    "limit",
]


class Service(Struct, frozen=True):
    """One service of ``[[services]]``. ``power_w`` is what is sold each way that its kind has (peak shaving:
    the target).

    ``energy_h`` above 0 overrides the hours of full activation of its kind. Lower ``priority`` goes first. It
    arms only with a contract, a meter that resolves it and a response that is fast enough
    (``rules.services.arming``); ``response_s`` and ``meter_*`` are what commissioning has measured, 0 where
    nothing was.
    """

    id: str
    kind: ServiceKind
    power_w: float = 0.0
    energy_h: float = 0.0
    priority: int = 100
    contract: bool = False
    response_s: float = 0.0
    meter_hz: float = 0.0
    meter_w: float = 0.0
    meter_s: float = 0.0


class CapacityLimit(Struct, frozen=True):
    """A limit from outside: a network operator's dimming, a capacity contract, a programme's event, a
    charging profile of an upstream central system.

    Attributes:
        direction: "import" limits what is drawn, "export" what is fed back.
        power_w: The limit in W, ≥ 0.
        from_wall_s: From when it holds, UTC epoch seconds.
        until_wall_s: Until when it holds, UTC epoch seconds; 0: until it is withdrawn.
        source: Who set it, in words that `why` shows.
        fallback_w: What holds while its source is silent, in W; None: the limit itself.
        evse: The outlet that it limits; "": the grid connection.
    """

    direction: Literal["import", "export"]
    power_w: float
    from_wall_s: float
    until_wall_s: float
    source: str
    fallback_w: float | None = None
    evse: str = ""


class Signal(Struct, frozen=True):
    """What an outside controller asks, −1 to 1 of the power sold (+ is up: less import), as of ``at_s``
    (monotonic).

    ``every_s``: how often it is sent; it holds until the next one is due.
    """

    value: float
    at_s: float
    every_s: float = 0.0
