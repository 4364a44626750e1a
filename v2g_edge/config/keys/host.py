"""Keys of the machine: what the daemon keeps and reports, the cloud, depot management."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import HOST, LINE, LOCAL, Key, optional, seconds
from v2g_edge.model.settings import CloudSettings, FleetSettings, HostSettings

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
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
        "telemetry_kept_s": seconds(
            "How often telemetry is kept on disk while the broker is away; 0: never.", 0.0, 86_400.0
        ),
        "flexibility_s": seconds(
            "How often it is told what the depot could give or take in the next four hours; 0: never.",
            0.0,
            86_400.0,
        ),
        "outbox_max_mb": Key(
            "Most that may wait on disk; beyond it telemetry is thinned, then the oldest events go.",
            "MB",
            1,
            10_000,
        ),
        "events_ack": Key(
            'Who acknowledges an event before it leaves the disk: "broker", or "cloud" by the topic'
            " events/ack.",
        ),
        "detail": Key(
            'What is told of outlets: "full", or "minimal": power alone, nothing of vehicles, no texts.'
        ),
        "pseudonyms_file": optional(
            'Key of 16 octets or more; vehicles then have pseudonyms there. "": their names.'
        ),
        "plan_keys_file": optional(
            'Key set (JWKS) of those who may sign plans; "": plans need no signature.'
        ),
        "signal_host": Key("Address on which signals are taken by HTTP.", pattern=HOST),
        "signal_port": Key("Port for them (POST /signal); 0: none.", "", 0, 65_535),
        "signal_certificate_file": optional(
            'Server certificate (PEM) for it; "": no TLS, behind a proxy of this machine.'
        ),
        "signal_key_file": optional("Key of that certificate."),
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
}
