"""Keys of charging stations and the ports on which they dial in (OCPP)."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import HOST, IDENTITY, LINE, Key, name, optional, seconds
from v2g_edge.model.settings import Listener, OcppSettings, StationEvse, StationSettings

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
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
        "meter_interval_s": seconds("How often it has to report its meter.", 1.0, 300.0),
        "limit_unit": Key(
            'The only unit of limits that it takes; "": what is known of its make, else W first.'
        ),
        "remote_start": Key("Whether it waits for a remote start when a vehicle is plugged in."),
        "remote_start_token": Key(
            "The card that it is started with; some stations take only one that is known to them."
        ),
        "answers_within_s": seconds("How long it takes to answer; 0: what is known of its make.", 0.0, 300.0),
        "discharges": Key("false: it never gets an order to discharge, whatever its outlets allow."),
    },
    StationEvse: {
        "evse": name("Our name of the outlet."),
        "ocpp_evse": Key("Its number at the station: EVSE id, with OCPP 1.6 the connector id.", "", 1, 1_000),
        "ocpp_connector": Key("Its connector's number.", "", 1, 100),
    },
    OcppSettings: {
        "renew_days": Key(
            "Station certificates with less left are renewed; those of listeners are announced.",
            "days",
            1.0,
            365.0,
        ),
        "ocsp_hosts": Key(
            "Hosts that may be asked about vehicles' certificates (OCSP, revocation lists); none by default.",
            pattern=HOST,
        ),
    },
}
