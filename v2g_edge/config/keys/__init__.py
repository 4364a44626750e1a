"""Every key of the site file: what it means, its unit, its range. Schema, example and manual are made from
this table.

A number without a range here is still refused when it is NaN or infinite. Ranges say what can be meant at
all; what fits together is checked in ``references``, ``devices`` and ``fallback``.
"""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys import depot, external_systems, host, modbus, money, safety, stations, vehicles
from v2g_edge.config.keys.key import Key
from v2g_edge.config.layout import SiteFile

TABLES: Final[dict[str, str]] = {
    "site": "The depot: its name, and the names of everything that is measured.",
    "grid": "The grid connection. Export needs the relay and the meter, and both must say healthy.",
    "feeders": (
        'The supply tree: one table a node, one root (parent = ""). All chargers at their fallback must fit'
        " every node."
    ),
    "evses": "One table a charging outlet.",
    "vehicle_types": "One table a kind of vehicle.",
    "vehicles": "One table a vehicle that the depot knows. Others charge, and never discharge.",
    "windows": (
        "One table for hours, days or a season in which less is allowed: of a feeder, or of the vehicles of a"
        " type."
    ),
    "response": (
        "The frequency response of chargers with a droop_w. Leave the table out to take the defaults."
    ),
    "services": "One table a grid service that is sold or kept. Leave it out to sell none.",
    "safety": "Numbers of the safety table. Leave the table out to take the defaults.",
    "listeners": "One table a port on which charging stations dial in (OCPP).",
    "ocpp": "What holds for all charging stations. Leave the table out to take the defaults.",
    "stations": "One table a charging station that dials in.",
    "upstreams": (
        "One table a central system of an operator that stations are forwarded to. Leave it out and the depot"
        " stands alone."
    ),
    "lines": "One table a Modbus connection: a TCP or TLS endpoint, or a serial line.",
    "devices": (
        "One table a Modbus device and the meter, contact, sensor or charger of the site that it feeds."
    ),
    "cloud": "The optional cloud. Leave the table out and the depot plans for itself.",
    "host": "Where the daemon keeps its files and how it reports.",
    "demand_charges": (
        "One table a demand charge of the tariff. The plan keeps below what is billed already where that"
        " pays."
    ),
    "time_of_use": (
        "One table a band of a tariff by time of use; the first that holds counts. File and feed of prices go"
        " before it."
    ),
    "fleet": "Systems that know when vehicles leave: depot management (VDV 463) and timetable files.",
    "telematics": "Where vehicles' own systems report them. Leave the table out to hear of none.",
    "openadr": "An OpenADR 3.1 server whose prices and limits count. Leave the table out to ask none.",
    "prices": (
        "Prices for the depot's own plan. Leave the table out and vehicles charge without looking at a price."
    ),
}

KEYS: Final[dict[type[Struct], dict[str, Key]]] = {
    **depot.ROWS,
    **vehicles.ROWS,
    **safety.ROWS,
    **stations.ROWS,
    **modbus.ROWS,
    **host.ROWS,
    **money.ROWS,
    **external_systems.ROWS,
    SiteFile: {},
}
