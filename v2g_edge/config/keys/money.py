"""Keys of prices and demand charges."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import FEED, Key, name, optional, percent
from v2g_edge.model.calendar import WINDOW
from v2g_edge.model.settings import DemandCharge, PriceSettings, TimeOfUse

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
    PriceSettings: {
        "file": optional(
            "File of prices: CSV, ENTSO-E XML, JSON of a price service, or a CAISO zip; its form is"
            ' recognised. "": none.'
        ),
        "export_per_kwh": Key("Earned for a kWh fed back, on top of the price.", "per kWh", -100.0, 100.0),
        "wear_per_kwh": Key("What a kWh taken out of a battery costs.", "per kWh", 0.0, 100.0),
        "pack_price_per_kwh": Key(
            "Price of a new battery: wear then follows from the depth of discharge; 0: wear_per_kwh alone.",
            "per kWh",
            0.0,
            10_000.0,
        ),
        "fixed_per_kwh": Key("Taxes and fees on each kWh drawn.", "per kWh", -100.0, 100.0),
        "planner": Key(
            "What plans: the optimiser (the plain price rule stands in when it fails), or the price rule"
            " alone."
        ),
        "shift_to_year": Key("Reads the file as if it were of this year; 0: as it is.", "", 0, 9_999),
        "unit": Key(
            'Unit of energy of a CSV whose header does not say it: "MWh" or "kWh".', pattern=r"^(MWh|kWh)?$"
        ),
        "currency": Key("Currency (ISO 4217) where the file does not say it.", pattern=r"^([A-Z]{3})?$"),
        "feed": Key(
            'Price service to ask, see docs/energy-manager.md; "": none, the file alone.', pattern=FEED
        ),
        "url": optional('Another address of the price service; "": the one it documents.'),
        "key_file": optional("File that holds the key of the price service (USER:PASSWORD for iso-ne)."),
        "export_below_zero": Key(
            "Whether to feed back while that costs money: it burns energy for the spread of negative prices."
        ),
        "tls_1_2": Key("Whether the price service may be asked over TLS 1.2."),
        "zone": optional("Bidding zone, area, location or node whose prices are wanted."),
        "sequence": Key(
            "Auction to take from an ENTSO-E document; 1 is the coupled day-ahead auction (SDAC).", "", 1, 9
        ),
        "file_timezone": optional('Time zone of a CSV whose times and header name none; "": UTC.'),
    },
    TimeOfUse: {
        "id": name("Name of the band."),
        "when": Key(
            "Days and hours in which it holds.",
            pattern=WINDOW,
            form='lines like "Mo-Fr 07:00-20:00", "PH 00:00-24:00" or "11-01/03-31 17:00-20:00"',
        ),
        "per_kwh": Key("Price of a kWh drawn then.", "per kWh", -100.0, 100.0),
    },
    DemandCharge: {
        "id": name("Name of the charge."),
        "per_kw": Key("What a kW of the month's highest window costs.", "per kW", 0.0, 10_000.0),
        "window_s": Key("Length of a metering window; it begins on the clock.", "s", 60.0, 86_400.0),
        "billed_kw": Key(
            "Billed already, this month or by the tariff: below it a kW costs nothing more.",
            "kW",
            0.0,
            100_000.0,
        ),
        "ratchet_pct": percent("At least this share of the highest of the eleven months before is billed."),
    },
}
