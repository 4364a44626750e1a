"""Every key of the site file: what it means, its unit, its range. Schema, example and manual are made from
this table.

A number without a range here is still refused when it is NaN or infinite. Ranges say what can be meant at
all; what fits together is checked in ``references``, ``devices`` and ``fallback``.
"""

from typing import Final

from msgspec import Struct

from v2g_edge.config.key import (
    CLOCK,
    FEED,
    HOST,
    IDENTITY,
    LINE,
    LOCAL,
    OPTIONAL,
    POWER,
    Key,
    name,
    optional,
    percent,
    seconds,
    watts,
)
from v2g_edge.config.layout import SiteFile, SiteTable
from v2g_edge.model.calendar import DEPARTURE, HOLIDAY, WINDOW
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.service import Service
from v2g_edge.model.settings import (
    CloudSettings,
    DemandCharge,
    FleetSettings,
    HostSettings,
    Listener,
    ModbusDevice,
    ModbusLine,
    OcppSettings,
    PriceSettings,
    StationEvse,
    StationSettings,
)
from v2g_edge.model.site import (
    CurrentLimit,
    Evse,
    Feeder,
    FrequencyResponse,
    GridSettings,
    SafetySettings,
    Vehicle,
    VehicleType,
    Window,
)

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
    "lines": "One table a Modbus connection: a TCP or TLS endpoint, or a serial line.",
    "devices": (
        "One table a Modbus device and the meter, contact, sensor or charger of the site that it feeds."
    ),
    "cloud": "The optional cloud. Leave the table out and the depot plans for itself.",
    "host": "Where the daemon keeps and tells things.",
    "demand_charges": (
        "One table a demand charge of the tariff. The plan keeps below what is billed already where that"
        " pays."
    ),
    "fleet": "Systems that know when vehicles leave: depot management (VDV 463) and timetable files.",
    "prices": (
        "Prices for the depot's own plan. Leave the table out and vehicles charge without looking at a price."
    ),
}

KEYS: Final[dict[type[Struct], dict[str, Key]]] = {
    SiteTable: {
        "name": name("Name of the depot, in the journal and in every report."),
        "timezone": Key("Time zone of screens and of local times, from the tz database.", pattern=LINE),
        "holidays": Key(
            "Local days that count as PH in departures and windows.",
            pattern=HOLIDAY,
            form='dates like "2026-12-25"',
        ),
        "meters": name('Names of the meters; each is fed by one device with role "meter".'),
        "contacts": name(
            "Names of the relay, breaker and contactor feedback contacts; each is fed by one device with role"
            ' "contact".'
        ),
        "temperatures": name(
            'Names of the temperature sensors; each is fed by one device with role "temperature".'
        ),
    },
    GridSettings: {
        "code": name("Grid code by name, see docs/configuration.md."),
        "nominal_v": Key("Nominal voltage between phase and neutral.", "V", 100.0, 1_000.0),
        "nominal_hz": Key("Nominal frequency: 50 or 60.", "Hz", 50.0, 60.0),
        "relay": Key(
            'The contact that says whether the grid is connected; "" without one: then nothing is exported.',
            pattern=OPTIONAL,
        ),
        "meter": name("The meter at the connection point, for voltage, frequency and power."),
        "export_allowed": Key("Whether the interconnection agreement lets the site export at all."),
        "code_overrides": Key(
            "Values of the grid code that the network operator set otherwise: element = value.",
            low=-1e6,
            high=1e6,
        ),
        "draft_signed_by": optional(
            "Who answers for a grid code that is still a draft; empty: a draft code never exports."
        ),
    },
    Feeder: {
        "id": name("Name of the node."),
        "parent": optional('The node it hangs on; "" for the root.'),
        "import_limit_w": watts("Largest power drawn through this node."),
        "export_limit_w": watts("Largest power fed back through this node; 0: none."),
        "base_load_max_w": Key(
            "Worst case of everything here that is neither charger nor child node: most drawn.",
            "W",
            -POWER,
            POWER,
        ),
        "base_load_min_w": Key(
            "Worst case of the same: least drawn, negative where a generator feeds in.", "W", -POWER, POWER
        ),
        "meter": optional('The meter of this node; "" without one: then the worst cases above count always.'),
        "current": Key("Limits per phase; leave it out where none was commissioned."),
    },
    CurrentLimit: {
        "import_a": Key("Largest current drawn in one phase.", "A", 0.0, 100_000.0),
        "export_a": Key("Largest current fed back in one phase.", "A", 0.0, 100_000.0),
        "imbalance_a": Key(
            "Largest difference between two phases that single-phase chargers may make; 1e12: no limit.",
            "A",
            0.0,
            ANY_W,
        ),
        "base_load_a": Key(
            "Most that base load and generation make on any one phase; left out: all of base_load_max_w on"
            " one.",
            "A",
            0.0,
            100_000.0,
        ),
    },
    Evse: {
        "id": name("Name of the outlet."),
        "feeder": name("The node it hangs on."),
        "max_charge_w": watts("Most it draws from the grid."),
        "max_discharge_w": watts("Most it feeds back; 0: it cannot."),
        "min_charge_w": watts(
            "Least it can draw above zero: 6 A a phase (IEC 61851-1), 4554 W at the highest mains, 3 × 253 V."
        ),
        "fallback_w": watts(
            "What it draws when our lease has run out: the power of its default profile; 0: nothing."
        ),
        "phases": Key("Grid phase behind each of its phases, in order."),
        "dead_man": Key('What makes it safe when we fall silent; "none": it never discharges.'),
        "discharge_by": Key('How discharge is commanded; "none": it is not.'),
        "efficiency": Key("Share of the drawn energy that reaches the battery, and back.", "", 0.5, 1.0),
        "min_discharge_w": watts("Least it can feed back above zero."),
        "contactor": optional(
            'The discharge-enable contactor behind it: target of a device with role "contactor"; "" without'
            " one."
        ),
        "cooling_loop": optional('The temperature sensor of its cooling loop; "" without one.'),
        "droop_w": watts(
            'Frequency response it gives by itself, either way; needs discharge_by = "setpoint"; 0: none.'
        ),
        "phase_load": Key(
            'How its power spreads over its phases: "even" alike (DC chargers, and AC chargers with limits in'
            ' A only); "by_vehicle": one on a single phase may draw all of it there (AC chargers with limits in'
            ' W); "auto": even above 47.8 kW, which no AC connector carries.'
        ),
    },
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
            "Whether the vehicle carries the inverter (SAE J3072) and must be told that it may discharge."
        ),
    },
    Vehicle: {
        "id": name("What the charger reports: EVCCID, VIN or id token."),
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
        "departures": Key(
            'Days that differ from departs, one text a line: days, time ("-": it stays), and its SoC if'
            " another one.",
            pattern=DEPARTURE,
            form='lines like "Mo-Fr 05:30", "Sa 08:00 60", "Su -", "PH -", "2026-12-24 12:00"',
            mend=(
                "Days (Mo Tu We Th Fr Sa Su, PH a holiday, or a date), a space, HH:MM or -, and a SoC if"
                " another one."
            ),
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
    FrequencyResponse: {
        "deadband_hz": Key("Within this deviation from nominal frequency nothing is given.", "Hz", 0.0, 1.0),
        "full_hz": Key("From this deviation on all of droop_w is given; above deadband_hz.", "Hz", 0.01, 5.0),
    },
    Service: {
        "id": name("Name of the service, in events and at its buyer's signals."),
        "kind": Key("What is sold or kept; docs/energy-manager.md says what each does."),
        "power_w": watts("What is sold each way that its kind has."),
        "energy_h": Key(
            "Hours of full activation its energy lasts for; 0: as its kind says.", "h", 0.0, 24.0
        ),
        "priority": Key("The lower goes first where power or energy is short.", "", 0, 1_000),
        "contract": Key("Whether the buyer's terms are signed; without it the service never arms."),
        "response_s": Key("Measured time to full response; 0: never measured.", "s", 0.0, 3_600.0),
        "meter_hz": Key("Frequency step that the grid meter tells apart; 0: never measured.", "Hz", 0.0, 1.0),
        "meter_w": Key("Power step that the grid meter tells apart; 0: never measured.", "W", 0.0, POWER),
        "meter_s": Key("How often the grid meter is read, measured; 0: never measured.", "s", 0.0, 60.0),
    },
    SafetySettings: {
        "meter_max_age_s": seconds("A meter's sample older than this is no sample.", 0.1, 60.0),
        "contact_max_age_s": seconds("A contact's sample older than this is no sample.", 0.1, 60.0),
        "charger_max_age_s": seconds("A charger not heard for this long is silent.", 1.0, 600.0),
        "soc_max_age_s": seconds("A state of charge older than this is unknown.", 1.0, 3_600.0),
        "temperature_max_age_s": seconds("A temperature older than this is unknown.", 1.0, 3_600.0),
        "frozen_reads": Key("So many identical readings in a row: the meter is frozen.", "", 2, 100_000),
        "lease_s": seconds("How long a setpoint stands without renewal; at least three ticks.", 1.0, 600.0),
        "ramp_up_w_per_s": Key("How fast a charger's power may grow.", "W/s", 1.0, POWER),
        "export_start_window_hz": Key("Export starts only this near to nominal frequency.", "Hz", 0.0, 5.0),
        "obey_tolerance_w": watts("A charger this far from its setpoint does not obey."),
        "obey_within_s": seconds("How long a charger has to follow its setpoint.", 1.0, 600.0),
        "feeder_margin_pct": percent("Kept free under every feeder limit.", 0.0, 50.0),
        "max_link_loss_pct": percent("More lost requests than this: no change of direction starts."),
        "trip_clear_by_operator": Key(
            "Whether a trip waits for an operator, also after the grid is well again."
        ),
        "authorisation_max_age_s": seconds(
            "A vehicle's permission to discharge older than this has lapsed.", 1.0, 3_600.0
        ),
        "balance_within_s": seconds(
            "How long a meter may contradict the chargers and the base load behind it.", 1.0, 3_600.0
        ),
        "cooling_derate_c": Key(
            "From here to cooling_max_c a charger's power falls to its fallback.", "°C", 0.0, 120.0
        ),
        "cooling_max_c": Key(
            "At this temperature of the cooling loop only the fallback is left.", "°C", 0.0, 120.0
        ),
        "sustained_pct": percent("Most mean power over thermal_time_s, as a share of the charger's rating."),
        "thermal_time_s": seconds("How slowly a charger with a cooling loop warms up.", 1.0, 86_400.0),
        "late_after_s": seconds(
            "A tick counts for no more than this in any wait; at least two ticks.", 1.0, 600.0
        ),
    },
    Listener: {
        "host": Key("Address to listen on.", pattern=LINE),
        "port": Key("Port; 0 takes any free one (tests).", "", 0, 65_535),
        "security_profile": Key(
            "OCPP security profile: 0 open, 1 password, 2 password and TLS, 3 client certificate."
        ),
        "certificate_files": Key(
            "Server certificates (PEM), one each for RSA and ECDSA; profiles 2 and 3.", pattern=LINE
        ),
        "key_files": Key("Their keys, in the same order.", pattern=LINE),
        "client_ca_file": optional("CA of the stations' certificates; profile 3."),
        "tls_rsa_suites": Key(
            "Whether to offer the two TLS_RSA suites that old stations need; they have no forward secrecy."
        ),
    },
    StationSettings: {
        "identity": Key(
            "Last part of the URL that the station dials.",
            pattern=IDENTITY,
            mend="Only the last part: of ws://depot:8081/CP-01 it is CP-01.",
        ),
        "outlets": Key("Which of its outlets is which of ours."),
        "password_file": optional("File with its password; profiles 1 and 2."),
        "least_security_profile": Key("A listener with a lower security profile turns it away."),
        "strict": Key("Whether its messages must fit the schema to the letter."),
        "meter_interval_s": seconds("How often it is told to report its meter.", 1.0, 300.0),
        "limit_unit": Key(
            'The only unit of limits that it takes; "": what is known of its make, else W first.'
        ),
        "remote_start": Key("Whether it waits for a remote start when a vehicle is plugged in."),
        "remote_start_token": Key(
            "The card that it is started with; some stations take only one that is known to them."
        ),
        "answers_within_s": seconds("How long it takes to answer; 0: what is known of its make.", 0.0, 300.0),
        "discharges": Key("false: it is never told to discharge, whatever its outlets allow."),
    },
    StationEvse: {
        "evse": name("Our name of the outlet."),
        "ocpp_evse": Key("Its number at the station: EVSE id, with OCPP 1.6 the connector id.", "", 1, 1_000),
        "ocpp_connector": Key("Its connector's number.", "", 1, 100),
    },
    OcppSettings: {
        "renew_days": Key(
            "Station certificates with less left are renewed; those of listeners are told.",
            "days",
            1.0,
            365.0,
        ),
        "ocsp_hosts": Key(
            "Hosts that may be asked about vehicles' certificates (OCSP, revocation lists); none by default.",
            pattern=HOST,
        ),
    },
    FleetSettings: {
        "host": Key("Address on which a depot management system (VDV 463) dials in.", pattern=HOST),
        "port": Key("Port for it; 0: none.", "", 0, 65_535),
        "certificate_file": optional(
            'Server certificate (PEM) for it; "": no TLS, for a network of its own only.'
        ),
        "key_file": optional("Key of the certificate."),
        "user": optional("User name that it logs in with (HTTP Basic)."),
        "password_file": optional("File that holds its password; required with a port."),
        "timetable_file": optional("File of departures: CSV or iCalendar, read again when it changes."),
    },
    ModbusLine: {
        "id": name("Name of the line."),
        "transport": Key("How it is reached."),
        "host": optional("Address; tcp and tls."),
        "port": Key("Port; tcp and tls.", "", 0, 65_535),
        "ca_file": optional("CA of the device's certificate; tls."),
        "serial_port": optional("Serial device file; rtu."),
        "baud": Key("Bits a second; rtu.", "", 300, 1_000_000),
        "parity": Key("Parity; rtu."),
        "stop_bits": Key("Stop bits; rtu."),
        "timeout_s": seconds("How long an answer may take.", 0.05, 2.0),
    },
    ModbusDevice: {
        "id": name("Name of the device."),
        "line": name("The line it is on."),
        "role": Key("What it is to the site."),
        "target": name("The meter, contact, sensor, contactor or outlet that it feeds."),
        "map": Key('Its register map by name, or "sunspec".', pattern=LINE),
        "unit": Key("Its unit id on the line.", "", 0, 255),
        "poll_s": seconds("How often it is read.", 0.02, 60.0),
        "invert": Key("Whether its sign (a contact: its sense) is the other way round."),
        "channel": Key("Which of its inputs or outputs, from 0.", "", 0, 1_000),
        "watchdog_s": seconds("Its dead-man time, set at connect; chargers and contactors.", 1.0, 600.0),
        "vehicle": optional('Id of the vehicle that always stands at this charger; "": not known.'),
    },
    CloudSettings: {
        "host": optional('Address of the MQTT broker; "": no cloud.'),
        "port": Key("Its port.", "", 1, 65_535),
        "tls": Key("Whether the session is encrypted."),
        "ca_file": optional('CA of the broker; "": the system\'s.'),
        "certificate_file": optional('Our certificate; "" without one.'),
        "key_file": optional("Its key."),
        "username": optional('User name; "" without one.'),
        "password_file": optional("File with its password."),
        "topic_prefix": Key("First part of every topic.", pattern=LINE),
        "site_id": optional('Second part of every topic; "": the name of the depot.'),
        "telemetry_s": seconds("How often telemetry is sent.", 0.5, 3_600.0),
        "plan_keys_file": optional(
            'Key set (JWKS) of those who may sign plans; "": plans need no signature.'
        ),
    },
    HostSettings: {
        "state_dir": Key(
            "Folder of the journal and of everything that must survive a restart.", pattern=LINE
        ),
        "socket": Key(
            'Control socket, 100 characters at most (sun_path has 108); "": none.',
            pattern=r"^[^\x00-\x1f\x7f]{0,100}$",
        ),
        "journal_sync": Key(
            '"full": a power cut costs ten ticks at most, and no event; "normal" may lose the last seconds,'
            " and spares the disk."
        ),
        "journal_keep_days": Key("How long ticks stay in the journal.", "days", 0.1, 3_650.0),
        "journal_max_mb": Key(
            "Most that the journal may hold; beyond it the oldest ticks go first.", "MB", 10, 1_000_000
        ),
        "tick_s": seconds("How often everything is decided, if nothing wakes the tick earlier.", 0.05, 10.0),
        "log_level": Key("Least severity that is logged."),
        "metrics": Key(
            'Where /metrics, /healthz and /readyz are answered, on this machine only; "": nowhere.',
            form='"127.0.0.1:PORT", "[::1]:PORT", "unix:PATH" or ""',
            pattern=LOCAL,
        ),
    },
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
    SiteFile: {},
}
