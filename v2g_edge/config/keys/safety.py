"""Keys of the safety table, frequency response and grid services."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import POWER, Key, name, percent, seconds, watts
from v2g_edge.model.service import Service
from v2g_edge.model.site import FrequencyResponse, SafetySettings

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
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
        "meter_hz": Key("Frequency resolution of the grid meter; 0: never measured.", "Hz", 0.0, 1.0),
        "meter_w": Key("Power resolution of the grid meter; 0: never measured.", "W", 0.0, POWER),
        "meter_s": Key("How often the grid meter is read, measured; 0: never measured.", "s", 0.0, 60.0),
    },
    SafetySettings: {
        "meter_max_age_s": seconds("A meter's sample older than this is no sample.", 0.1, 60.0),
        "contact_max_age_s": seconds("A contact's sample older than this is no sample.", 0.1, 60.0),
        "charger_max_age_s": seconds("A charger without a message for this long is silent.", 1.0, 600.0),
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
            "Whether a trip by the grid or its contact waits for an operator"
            " (`v2g-edge clear grid_fault:site`), also after the grid is well again. Export alone waits."
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
}
