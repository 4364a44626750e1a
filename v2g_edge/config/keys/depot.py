"""Keys of the depot, its grid connection, feeders and outlets."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import LINE, OPTIONAL, POWER, Key, name, optional, watts
from v2g_edge.config.layout import SiteTable
from v2g_edge.model.calendar import HOLIDAY
from v2g_edge.model.limits import ANY_W
from v2g_edge.model.site import CurrentLimit, Evse, Feeder, GridSettings

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
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
        "meter": optional(
            'The meter at the connection point, for voltage, frequency and power; "" without one: then'
            " nothing is exported, and base_load_max_w counts always."
        ),
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
            'How its power spreads over its phases: "even" alike (DC chargers, and AC chargers with limits'
            ' in A only); "by_vehicle": one on a single phase may draw all of it there (AC chargers with'
            ' limits in W); "auto": even above 47.8 kW, which no AC connector carries.'
        ),
    },
}
