"""Keys of external systems: upstream central systems, OpenADR, telematics."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import HOST, IDENTITY, LINE, POWER, Key, name, optional, seconds
from v2g_edge.model.settings import OpenAdrSettings, TelematicsSettings, UpstreamSettings

WS_URL: Final = r"^wss?://[^\x00-\x20\x7f?#]{1,190}$"
ALLOW: Final = r"^(remote_start|remote_stop|unlock|reset|availability|reservation|tokens|diagnostics|limits)$"
"""Names of ``field.ocpp.upstream.policy.GROUPS``; a test holds the two together."""

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
    UpstreamSettings: {
        "id": name("Name of it, in `why`, events and logs."),
        "url": Key(
            "Its address; a station's identity is added as the last part of the path.",
            pattern=WS_URL,
            form='"wss://HOST/PATH" or "ws://HOST/PATH", without the station\'s identity',
        ),
        "stations": Key(
            "Identities of the stations that are forwarded; none named: all.",
            pattern=IDENTITY,
            form="a list of identities of stations",
        ),
        "password_folder": optional(
            "Folder with one file a station, named by its identity, that holds its password (HTTP Basic)."
        ),
        "ca_file": optional('CA of its certificate; "": the system\'s.'),
        "certificate_file": optional('Our certificate for TLS (security profile 3); "" without one.'),
        "key_file": optional("Key of that certificate."),
        "role": Key(
            'Whether its answers count (cards): one upstream a station. The others get the same as a "copy".'
        ),
        "allow": Key(
            "What it may do at a station (a copy: nothing where this is left out); profiles become limits"
            " (limits) and never reach a charger.",
            pattern=ALLOW,
            form=(
                "a list of remote_start, remote_stop, unlock, reset, availability, reservation, tokens,"
                " diagnostics, limits"
            ),
        ),
        "authorize": Key('Whether it is asked who may charge; "site": the site\'s tokens alone decide.'),
        "authorize_s": seconds("How long a station waits for its word on a card.", 0.1, 20.0),
        "when_gone": Key(
            'What decides about a card when it does not answer: the site\'s tokens, or nothing ("refuse").'
        ),
        "report_limits": Key(
            "Whether it hears what the depot leaves of what it asked for (2.x: NotifyChargingLimit)."
        ),
        "limit_vendor_id": optional(
            'Vendor id under which an upstream of 1.6 hears that, by DataTransfer; "": it does not.'
        ),
        "queue_max": Key(
            "Messages of one station that wait for it before readings are left out; transactions never are.",
            "",
            100,
            10_000_000,
        ),
    },
    TelematicsSettings: {
        "host": Key("Address on which HTTP is taken.", pattern=HOST),
        "port": Key("Port of HTTP (POST /telematics); 0: none.", "", 0, 65_535),
        "token_file": optional("File with the bearer token that a sender must show; required with a port."),
        "certificate_file": optional('Server certificate (PEM); "": no TLS, for a network of its own only.'),
        "key_file": optional("Key of the certificate."),
        "mqtt_host": optional('Address of the MQTT broker; "": none.'),
        "mqtt_port": Key("Its port.", "", 1, 65_535),
        "mqtt_topic": Key(
            "What is subscribed; + stands for a vehicle that the message itself does not name.", pattern=LINE
        ),
        "mqtt_tls": Key("Whether the session is encrypted."),
        "mqtt_ca_file": optional('CA of the broker; "": the system\'s.'),
        "mqtt_username": optional('User name; "" without one.'),
        "mqtt_password_file": optional("File with its password."),
    },
    OpenAdrSettings: {
        "url": Key(
            'Base address of the VTN; "": none.',
            pattern=r"^(https?://[^\x00-\x20\x7f?#]{1,190})?$",
            form='"https://HOST/PATH", without /programs, or ""',
        ),
        "program_id": optional('The programme whose events count; "": all that may be seen.'),
        "targets": Key(
            "Our targets; events for others are passed over. None named: every event counts.", pattern=LINE
        ),
        "client_id": optional('Our name for OAuth 2.0 client credentials; "": the VTN asks for none.'),
        "client_secret_file": optional("File with the secret that goes with it."),
        "token_url": optional('Where tokens are given; "": as the VTN says, on its own host.'),
        "ca_file": optional('CA of its certificate; "": the system\'s.'),
        "ven_name": name("Our name in reports."),
        "poll_s": seconds("How often it is asked.", 5.0, 86_400.0),
        "simple_import_w": Key(
            "What SIMPLE levels 1, 2 and 3 leave for the import of the site; none: SIMPLE is not acted on.",
            "W",
            0.0,
            POWER,
            form="a list of up to three numbers, in W",
        ),
        "currency": Key(
            'Currency (ISO 4217) of its prices; "": whatever it names.', pattern=r"^([A-Z]{3})?$"
        ),
        "co2_price_per_kg": Key(
            "What a kg of CO2 counts in the plan, by the programmes' GHG; 0: GHG is not acted on.",
            "per kg",
            0.0,
            10.0,
        ),
    },
}
