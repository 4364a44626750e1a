"""Keys of kinds of vehicles, vehicles, and windows of time."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import CLOCK, OTHER_ID, POWER, Key, name, optional, percent, watts
from v2g_edge.model.calendar import DEPARTURE, WINDOW
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import Vehicle, VehicleType, Window

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
    VehicleType: {
        "id": name("Name of the kind."),
        "capacity_wh": Key("Usable capacity of the battery when new.", "Wh", 1_000.0, 5_000_000.0),
        "min_soc_pct": percent("Discharge ends here."),
        "max_soc_pct": percent("Charging ends here."),
        "charge_curve": Key(
            "Points [SoC in %, power in W] the battery takes at most; rising SoC.", "%, W", 0.0, POWER
        ),
        "max_discharge_w": watts("Most the vehicle gives; 0: it cannot."),
        "depth_per_event_pct": percent("Most SoC taken out in one discharge event."),
        "depth_per_day_pct": percent("Most SoC taken out in a day."),
        "pack_min_c": Key(
            "Below this pack temperature the vehicle gives nothing; -1e12 where it reports none.",
            "°C",
            -ANY_W,
            80.0,
        ),
        "pack_max_c": Key(
            "Above this pack temperature the same; 1e12 where it reports none.", "°C", -50.0, ANY_W
        ),
        "derate_from_c": Key("From here to pack_max_c the power falls to zero.", "°C", -50.0, ANY_W),
        "soh_floor_pct": percent("Below this state of health the vehicle does not discharge."),
        "warranty_discharge_wh": Key(
            "Energy discharged for the grid that the warranty covers; 1e12: the maker sets no cap.",
            "Wh",
            0.0,
            ANY_W,
        ),
        "warranty_discharge_h": Key(
            "Hours of discharge that the warranty covers; 1e12: no cap.", "h", 0.0, ANY_W
        ),
        "warranty_efc": Key(
            "Equivalent full cycles that the warranty covers; 1e12: no cap.", "cycles", 0.0, ANY_W
        ),
        "needs_authorisation": Key(
            "Whether the vehicle carries the inverter (SAE J3072) and needs the permission to discharge."
        ),
    },
    Vehicle: {
        "id": name("What the charger reports: EVCCID, VIN or id token."),
        "other_ids": Key(
            "Further cards, MAC addresses and names under which chargers and other systems report it. Case"
            " does not matter, nor colons between octets.",
            pattern=OTHER_ID,
            form='a list like ["04:A2:7F:12", "Van 7"]: 1 to 200 characters each, no comma',
            mend='Each id is a text of its own: ["04A27F12", "04A27F13"].',
        ),
        "type": name("The kind of vehicle."),
        "may_discharge": Key("Standing permission to discharge this vehicle."),
        "reserve_soc_pct": percent("Kept on top of what each departure needs."),
        "departs": Key(
            'Daily departure "HH:MM" in the site\'s timezone, for chargers that cannot say it (OCPP 1.6,'
            ' registers); "": none.',
            pattern=CLOCK,
            form='a time of day "HH:MM", or "" for none',
            mend='Write two digits each, like "05:30".',
        ),
        "target_soc_pct": percent("State of charge it needs at departs; what the charger says goes first."),
        "target_wh": Key(
            "The same in Wh in its battery, instead of target_soc_pct; for a vehicle that tells no SoC what"
            " it is charged with; 0: target_soc_pct counts.",
            "Wh",
            0.0,
            5_000_000.0,
        ),
        "departures": Key(
            'Days that differ from departs, one text a line: days, time ("-": it stays), and its SoC or kWh'
            " if others.",
            pattern=DEPARTURE,
            form='lines like "Mo-Fr 05:30", "Sa 08:00 60", "Su 08:00 45kWh", "PH -", "2026-12-24 12:00"',
            mend=(
                "Days (Mo Tu We Th Fr Sa Su, PH a holiday, or a date), a space, HH:MM or -, and a SoC or kWh"
                " if others."
            ),
        ),
        "stationary": Key(
            "A battery that stays at its outlet: it has no departure, and is used between min_soc_pct and"
            " max_soc_pct of its type.",
        ),
    },
    Window: {
        "id": name("Name of the window."),
        "when": Key(
            "When it holds, one text a line; hours that end before they begin end the day after.",
            pattern=WINDOW,
            form='lines like "Mo-Fr 00:00-06:00", "PH 00:00-24:00", "11-01/03-31 00:00-24:00"',
            mend=(
                "Days (Mo Tu We Th Fr Sa Su, PH a holiday, a date, or MM-DD/MM-DD a season), a space,"
                " HH:MM-HH:MM."
            ),
        ),
        "feeder": optional("The feeder whose limits are lower then."),
        "import_limit_w": watts("Its largest power drawn then."),
        "export_limit_w": watts("Its largest power fed back then; 0: none."),
        "vehicle_type": optional("The kind of vehicle whose discharge ends higher then."),
        "min_soc_pct": percent("Its discharge ends here then."),
    },
}
