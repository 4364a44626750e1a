"""What is peculiar to makes of stations: one row for each, with the field reason and its source beside it.

A row takes away or adds patience, never permission: none can declare a discharge proven, a dead-man held or a
limit wider. The first row that fits counts. What the site file says of a station comes on top of it
(``with_settings``).
"""

from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from v2g_edge.field.ocpp.vocabulary.charging_profiles import LADDER, Shape, Unit
from v2g_edge.field.ocpp.vocabulary.facts import Identity
from v2g_edge.model.settings import StationSettings


class Quirk(Struct, frozen=True):
    """``vendor``, ``model`` and ``firmware`` are patterns of what BootNotification says (``*`` for anything,
    case ignored).

    ``unit``: limits in no other. ``measurands``: nothing else may be asked for. ``settings``: configuration
    keys and values to be set first (1.6). ``make_available``: it stays out of service until an order changes
    it. ``ask_status``: it must be asked for its status after a boot too. ``remote_start``: it never begins a
    transaction by itself. ``answers_within_s``: it is slow. ``energy_factor``: times the registers it
    reports. ``discharges`` false: it never gets the order.
    """

    vendor: str
    model: str = "*"
    firmware: str = "*"
    reason: str = ""
    source: str = ""
    unit: Unit | None = None
    measurands: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    make_available: bool = False
    ask_status: bool = False
    remote_start: bool = False
    answers_within_s: float = 0.0
    energy_factor: float = 1.0
    discharges: bool = True

    def fits(self, identity: Identity) -> bool:
        """Whether this row is about such a station."""
        pairs = (
            (identity.vendor, self.vendor),
            (identity.model, self.model),
            (identity.firmware, self.firmware),
        )
        return all(fnmatchcase(text.strip().lower(), pattern.lower()) for text, pattern in pairs)

    def ladder(self) -> tuple[Shape, ...]:
        """The shapes of profiles that may be tried, best first."""
        return (
            LADDER
            if self.unit is None
            else tuple(dict.fromkeys(replace(shape, unit=self.unit) for shape in LADDER))
        )

    def asks(self, measurands: tuple[str, ...]) -> tuple[str, ...]:
        """Those of ``measurands`` that may be asked for."""
        return tuple(name for name in measurands if not self.measurands or name in self.measurands)


NO_QUIRK: Final = Quirk("*")

QUIRKS: Final = (
    Quirk(
        "ABB", "CDT_TACW*",
        reason="takes every list of measurands and starts anew, again and again, once it holds one that it "
        "does not know",
        source="lbbrhzn/ocpp #1275; the list that it does know: evcc #17979",
        measurands=("Power.Active.Import", "Energy.Active.Import.Register", "SoC"),
    ),
    Quirk(
        "Wall Box Chargers",
        reason="takes amperes only, is locked once OCPP is switched on, and waits for a remote start with "
        "the vehicle plugged in",
        source="lbbrhzn/ocpp #1245 (unit), #134 (lock), #400 and evcc #15864 (start); the vendor's name: "
        "ConnectorIO #148",
        unit="A", make_available=True, remote_start=True,
    ),
    Quirk(
        "EN+",
        reason="gives up waiting for a remote start soon after the vehicle is plugged in",
        source="evcc #15752",
        remote_start=True,
    ),
    Quirk(
        "Phoenix Contact*", "EV-CC-AC1-M3-*",
        reason="refuses every remote start until free charging is set in its own key",
        source="ConnectorIO #146 (CHARX SEC-3xxx, firmware 1.9.0)",
        settings=(("FreeMode", "true"), ("AuthorizeRemoteTxRequests", "false")), remote_start=True,
    ),
    Quirk(
        "go-e*",
        reason="takes amperes only",
        source="goecharger/go-eCharger-API-v2 #190, the maker's word",
        unit="A",
    ),
    Quirk(
        "Mennekes*",
        reason="answers after 60 s when several calls follow each other, and may tell the status of one "
        "connector of two only",
        source="evcc #26837 (Amtron 4Business), evcc #15677",
        answers_within_s=70.0, ask_status=True,
    ),
    Quirk(
        "EV-BOX*",
        reason="sends no status after it has connected, and no answer to ChangeAvailability either",
        source="evcc #15991 (Elvi)",
        ask_status=True,
    ),
    Quirk(
        "OpenEVSE*", firmware="4.[0-2].*",
        reason="reports its register in kWh and calls them Wh",
        source="OpenEVSE/openevse_esp32_firmware #703 (4.2.2)",
        energy_factor=1_000.0,
    ),
)  # fmt: skip


def quirk_of(identity: Identity, settings: StationSettings) -> Quirk:
    """What is to be heeded at a station: its make's row, and what the site file says of it."""
    return with_settings(next((row for row in QUIRKS if row.fits(identity)), NO_QUIRK), settings)


def with_settings(row: Quirk, settings: StationSettings) -> Quirk:
    """A row with what the site file says of one station on top. Discharge is off where either says so."""
    return replace(
        row,
        unit=settings.limit_unit or row.unit,
        remote_start=settings.remote_start or row.remote_start,
        answers_within_s=settings.answers_within_s or row.answers_within_s,
        discharges=settings.discharges and row.discharges,
    )
