"""What stations say, in one vocabulary for all versions. Power + is into the vehicle, whatever the wire's
words.
"""

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.model.snapshot import EvseStatus

SessionPhase = Literal["started", "updated", "ended"]
Stage = Literal["", "preparing", "running", "finishing"]


TEXT_MAX: Final = 255
"""Characters kept of a word of a station: the longest that a schema allows for a name or an identifier
(2.1 idToken).
"""


WORD_MAX: Final = 10_000
"""Characters of a word that is kept as it is: the longest that a schema allows (a certificate chain)."""


def word(value: object) -> str:
    """An identifier or another short text of a station; a number as its digits. TypeError for a list or a
    table, of which a lenient link lets any size pass, ValueError for a text that no schema would allow.
    """
    if isinstance(value, str):
        if len(value) > WORD_MAX:
            raise ValueError(f"a text of {len(value)} characters; allowed are {WORD_MAX}")
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 17.0 is a whole number in JSON
    if isinstance(value, bool | int | float):
        return str(value)
    raise TypeError(f"expected a text, found {type(value).__name__}")


def readable(text: object) -> str:
    """A station's word as people may see it: short, on one line, and without what would steer their
    terminal; "" for what is no word.
    """
    plain = text if isinstance(text, str) else word(text) if isinstance(text, bool | int | float) else ""
    short = plain[:TEXT_MAX]
    if short.isprintable():
        return short
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in short)


class Identity(Struct, frozen=True):
    """The identity that a station reports (BootNotification). Quirks and proven capabilities go by vendor,
    model and firmware.
    """

    vendor: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""

    def kind(self) -> str:
        """The key of everything known of this make."""
        return f"{self.vendor}/{self.model}/{self.firmware}"


class Sample(Struct, frozen=True, gc=False):
    """One set of meter values. ``at_wall_s`` is the station's clock, None when it gave no readable time.

    ``power_w`` net, + into the vehicle; registers in Wh; None where the station did not say. ``derived``: the
    power was reckoned from currents and voltages; "one phase" where a current was reported without a phase,
    so that it may flow in each.
    ``phase_w``: the same on each phase of the charger, None where not all three were reported.
    """

    at_wall_s: float | None
    power_w: float | None = None
    import_wh: float | None = None
    export_wh: float | None = None
    soc_pct: float | None = None
    pack_c: float | None = None
    derived: Literal["", "currents", "one phase"] = ""
    phase_w: tuple[float, float, float] | None = None

    def registers_times(self, factor: float) -> "Sample":
        """The same with its registers scaled."""
        if factor == 1.0:
            return self
        import_wh, export_wh = (
            None if wh is None else wh * factor for wh in (self.import_wh, self.export_wh)
        )
        return replace(self, import_wh=import_wh, export_wh=export_wh)

    def says_something(self) -> bool:
        """Whether any value of use was in it."""
        return not (self.power_w is self.import_wh is self.export_wh is self.soc_pct is self.pack_c is None)


class Needs(Struct, frozen=True):
    """What a vehicle needs and allows (NotifyEVChargingNeeds). None: not said.

    ``requested`` and ``available`` are ways of energy transfer by their ISO 15118-20 names
    (EnergyTransferModeEnumType).
    """

    departure_wall_s: float | None = None
    target_soc_pct: float | None = None
    soc_pct: float | None = None
    capacity_wh: float | None = None
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    requested: str = ""
    available: tuple[str, ...] = ()


class SessionEvent(Struct, frozen=True, gc=False):
    """A transaction begins, goes on, or ends, as a station reports it, perhaps late and more than once.

    ``ocpp_evse`` 0: not said. ``vehicle`` "" where no token was given. ``offline``: it happened while there
    was no link. ``plugged`` says whether a vehicle is connected, None where the station did not say.
    ``told_wall_s``: when it was last reported, where it has no time of its own.
    """

    phase: SessionPhase
    transaction: str
    ocpp_evse: int
    at_wall_s: float | None
    seq: int = 0
    vehicle: str = ""
    offline: bool = False
    plugged: bool | None = None
    told_wall_s: float | None = None


class Session(Struct, frozen=True):
    """A transaction on disk: ``evse`` our id ("" until it is reported), ``seq`` the last sequence number,
    ``*_wh`` registers.

    ``presumed``: no end was reported, another fact refuted it (``sessions.presume_over``); news of it opens
    it again.
    """

    station: str
    transaction: str
    evse: str
    vehicle: str
    started_wall_s: float
    ended_wall_s: float | None = None
    seq: int = -1
    import_wh: float | None = None
    export_wh: float | None = None
    needs: Needs = Needs()
    presumed: bool = False


class StatusReport(Struct, frozen=True):
    """A connector's status. ``ocpp_evse`` 0 is the station as a whole. ``fault`` is "" or the station's own
    code.

    ``ocpp_connector`` 0 is the EVSE as a whole: in 1.6, where the one is the other, always. ``stage`` is what
    1.6 says more of an occupied one: no transaction yet, one that runs, one that has stopped. ``at_wall_s``
    is the station's clock, if it gave one.
    """

    ocpp_evse: int
    ocpp_connector: int
    status: EvseStatus
    fault: str = ""
    stage: Stage = ""
    at_wall_s: float | None = None
