"""Everything the site file says, typed: the depot itself (``Site``) and how to reach its devices.

``config`` builds it, ``app`` hands each room its part. Secrets are never in it, only the paths of the files
that hold them.
"""

from typing import Literal

from msgspec import Struct

from v2g_edge.model.site import Site


class Listener(Struct, frozen=True):
    """One OCPP port. ``security_profile`` 0-3 (OCPP 1.6 Security Whitepaper ed.2); file paths are "" where
    not needed.
    """

    host: str = "0.0.0.0"  # noqa: S104 - chargers sit on the depot's own network; the site file narrows it
    port: int = 8081
    security_profile: Literal[0, 1, 2, 3] = 1
    certificate_files: tuple[str, ...] = ()
    key_files: tuple[str, ...] = ()
    client_ca_file: str = ""
    tls_rsa_suites: bool = False


class StationEvse(Struct, frozen=True, gc=False):
    """One outlet of a station: its OCPP evse id (1.6: connector id) and connector id, and our name for it."""

    evse: str
    ocpp_evse: int = 1
    ocpp_connector: int = 1


class StationSettings(Struct, frozen=True):
    """A charging station that dials in. ``identity`` is the last part of its URL path.

    ``password_file`` holds its Basic password ("" for profiles 0 and 3). It may not come in by a listener
    below ``least_security_profile``. ``meter_interval_s`` is what we configure it to report. The last four
    come on top of what is known of its make (``field.ocpp.quirks``); "" and 0 leave that as it is.
    """

    identity: str
    outlets: tuple[StationEvse, ...]
    password_file: str = ""
    least_security_profile: Literal[0, 1, 2, 3] = 0
    strict: bool = False
    meter_interval_s: float = 5.0
    limit_unit: Literal["", "W", "A"] = ""
    remote_start: bool = False
    remote_start_token: str = "depot"  # noqa: S105 - an identifier, no secret
    answers_within_s: float = 0.0
    discharges: bool = True


class OcppSettings(Struct, frozen=True):
    """What holds for all stations. ``ocsp_hosts``: the hosts that the daemon may ask about vehicles'
    certificates; none by default.
    """

    renew_days: float = 60.0
    ocsp_hosts: tuple[str, ...] = ()


class UpstreamSettings(Struct, frozen=True):
    """A central system that stations are forwarded to, each under its own identity.

    Attributes:
        id: Its name, in `why`, events and logs.
        url: Its address, "wss://…" or "ws://…"; a station's identity is added as the last part of the path.
        stations: Identities of the stations that are forwarded; none named: all.
        password_folder: Folder with one file a station, named by its identity, that holds its password; "":
            no HTTP Basic.
        ca_file: CA of its certificate; "": the system's.
        certificate_file: Our certificate for TLS; "" without one.
        key_file: Key of that certificate.
        role: "primary": its answers count, of one upstream a station; "copy": it gets what the primary gets.
        allow: What it may do at a station, by the names of ``field.ocpp.upstream.policy.GROUPS``.
        authorize: Whether it is asked who may charge ("upstream") or the site alone decides ("site").
        authorize_s: How long a station waits for its word, in s.
        when_gone: What decides about a card when it does not answer: the site's own tokens ("site"), or
            nothing may start ("refuse").
        report_limits: Whether it hears what the depot leaves of what it asked for.
        limit_vendor_id: Vendor id under which a 1.6 upstream hears that, by DataTransfer; "": it does not.
        queue_max: Messages of one station that wait for it before readings are left out.
    """

    id: str
    url: str
    stations: tuple[str, ...] = ()
    password_folder: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    role: Literal["primary", "copy"] = "primary"
    allow: tuple[str, ...] = ("remote_start", "remote_stop", "unlock", "tokens", "diagnostics", "limits")
    authorize: Literal["upstream", "site"] = "upstream"
    authorize_s: float = 3.0
    when_gone: Literal["site", "refuse"] = "site"
    report_limits: bool = True
    limit_vendor_id: str = ""
    queue_max: int = 50_000


class TelematicsSettings(Struct, frozen=True):
    """Where telematics systems report vehicles: an HTTP port of ours, and a topic of an MQTT broker.

    Attributes:
        host: Address on which HTTP is taken.
        port: Port of HTTP; 0: none.
        token_file: File with the bearer token that a sender must show.
        certificate_file: Server certificate (PEM); "": no TLS, for a network of its own only.
        key_file: Key of that certificate.
        mqtt_host: Address of the broker; "": none.
        mqtt_port: Its port.
        mqtt_topic: What is subscribed; + stands for a vehicle that the message itself does not name.
        mqtt_tls: Whether the session is encrypted.
        mqtt_ca_file: CA of the broker; "": the system's.
        mqtt_username: User name; "" without one.
        mqtt_password_file: File with its password.
    """

    host: str = "0.0.0.0"  # noqa: S104 - the depot's own network; a token and TLS guard it
    port: int = 0
    token_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    mqtt_host: str = ""
    mqtt_port: int = 8883
    mqtt_topic: str = "fleet/+/state"
    mqtt_tls: bool = True
    mqtt_ca_file: str = ""
    mqtt_username: str = ""
    mqtt_password_file: str = ""


class OpenAdrSettings(Struct, frozen=True):
    """An OpenADR 3.1 server (VTN) that is asked for programmes and events.

    Attributes:
        url: Base address of the VTN, "https://…"; "": none.
        program_id: The programme whose events count; "": all that may be seen.
        targets: Our targets; events for others are passed over. None named: every event counts.
        client_id: Our name for OAuth 2.0 client credentials; "": the VTN asks for none.
        client_secret_file: File with the secret that goes with it.
        token_url: Where tokens are given; "": as the VTN says, on its own host.
        ca_file: CA of its certificate; "": the system's.
        ven_name: Our name in reports.
        poll_s: How often it is asked, in s.
        simple_import_w: What SIMPLE levels 1, 2 and 3 leave for the import of the site, in W; none: SIMPLE is
            not acted on.
        currency: Currency of its prices (ISO 4217); "": whatever it names.
        co2_price_per_kg: What a kg of CO2 counts in the plan, in the site's currency; 0: GHG is not acted on.
    """

    url: str = ""
    program_id: str = ""
    targets: tuple[str, ...] = ()
    client_id: str = ""
    client_secret_file: str = ""
    token_url: str = ""
    ca_file: str = ""
    ven_name: str = "v2g-edge"
    poll_s: float = 60.0
    simple_import_w: tuple[float, ...] = ()
    currency: str = ""
    co2_price_per_kg: float = 0.0


class ModbusLine(Struct, frozen=True):
    """One TCP/TLS endpoint or serial line. Devices on it share it. ``timeout_s`` 0.2-0.5."""

    id: str
    transport: Literal["tcp", "tls", "rtu"] = "tcp"
    host: str = ""
    port: int = 502
    ca_file: str = ""
    serial_port: str = ""
    baud: int = 38_400
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    timeout_s: float = 0.3


class ModbusDevice(Struct, frozen=True):
    """A device on a line. ``role`` and ``target`` say which meter, contact, temperature or EVSE of the site
    it feeds.

    ``map`` names a register map (a file beside the code or in the site folder) or "sunspec" for discovery.
    ``watchdog_s`` is the dead-man time set at connect on chargers and watchdog relays. ``vehicle`` is the one
    that always stands at this charger, for chargers that cannot report it; "" where any vehicle may.
    """

    id: str
    line: str
    role: Literal["meter", "contact", "temperature", "charger", "contactor"]
    target: str
    map: str
    unit: int = 1
    poll_s: float = 0.1
    invert: bool = False
    channel: int = 0
    watchdog_s: float = 10.0
    vehicle: str = ""


class CloudSettings(Struct, frozen=True):
    """The optional cloud. ``host == ""``: there is none."""

    host: str = ""
    port: int = 8883
    tls: bool = True
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    username: str = ""
    password_file: str = ""
    topic_prefix: str = "v2g-edge"
    site_id: str = ""
    telemetry_s: float = 10.0
    telemetry_kept_s: float = 300.0
    flexibility_s: float = 0.0
    outbox_max_mb: int = 50
    events_ack: Literal["broker", "cloud"] = "broker"
    detail: Literal["full", "minimal"] = "full"
    pseudonyms_file: str = ""
    plan_keys_file: str = ""
    signal_host: str = "127.0.0.1"
    signal_port: int = 0
    signal_certificate_file: str = ""
    signal_key_file: str = ""


class HostSettings(Struct, frozen=True):
    """Where the daemon keeps its files and how it reports. ``journal_sync`` "full" survives a power cut to
    the last tick.
    """

    state_dir: str = "/var/lib/v2g-edge"
    socket: str = "/run/v2g-edge/control.sock"
    journal_sync: Literal["full", "normal"] = "full"
    journal_keep_days: float = 30.0
    journal_max_mb: int = 2_000
    tick_s: float = 1.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics: str = ""


class PriceSettings(Struct, frozen=True):
    """The prices of the local plan, from a file of any form that ``market`` reads, and what export earns and
    wear costs.

    ``planner`` names what makes the plan from them; the price rule stands in for an optimiser that fails.
    ``pack_price_per_kwh`` above 0: wear follows from depth of discharge and the price of a new pack, not from
    ``wear_per_kwh``.
    """

    file: str = ""
    export_per_kwh: float = 0.0
    wear_per_kwh: float = 0.0
    pack_price_per_kwh: float = 0.0
    fixed_per_kwh: float = 0.0
    planner: Literal["optimiser", "price_rule"] = "optimiser"
    shift_to_year: int = 0
    unit: str = ""
    currency: str = ""
    zone: str = ""
    sequence: int = 1
    file_timezone: str = ""
    feed: str = ""
    url: str = ""
    key_file: str = ""
    tls_1_2: bool = False
    export_below_zero: bool = False


class TimeOfUse(Struct, frozen=True):
    """One band of a tariff by time of use.

    Attributes:
        id: Its name.
        when: Days and hours in which it holds (``model.calendar``); the first band that holds counts.
        per_kwh: Price of a kWh drawn then, in the site's currency.
    """

    id: str
    when: tuple[str, ...]
    per_kwh: float


class DemandCharge(Struct, frozen=True):
    """What the highest mean import of a metering window costs, per kW and month. ``billed_kw``: billed
    already when this began.

    ``ratchet_pct``: at least this share of the highest of the eleven months before is billed.
    """

    id: str
    per_kw: float
    window_s: float = 900.0
    billed_kw: float = 0.0
    ratchet_pct: float = 0.0


class FleetSettings(Struct, frozen=True):
    """Depot management (VDV 463): where it dials in, and with which credentials; a timetable file beside
    it.
    """

    host: str = "0.0.0.0"  # noqa: S104 - the depot's own network; HTTP Basic and TLS guard it
    port: int = 0
    certificate_file: str = ""
    key_file: str = ""
    user: str = ""
    password_file: str = ""
    timetable_file: str = ""


class Settings(Struct, frozen=True):
    """The whole site file."""

    site: Site
    listeners: tuple[Listener, ...]
    stations: tuple[StationSettings, ...]
    lines: tuple[ModbusLine, ...]
    devices: tuple[ModbusDevice, ...]
    cloud: CloudSettings
    host: HostSettings
    prices: PriceSettings
    ocpp: OcppSettings = OcppSettings()
    demand_charges: tuple[DemandCharge, ...] = ()
    time_of_use: tuple[TimeOfUse, ...] = ()
    fleet: FleetSettings = FleetSettings()
    upstreams: tuple[UpstreamSettings, ...] = ()
    openadr: OpenAdrSettings = OpenAdrSettings()
    telematics: TelematicsSettings = TelematicsSettings()


class OpenableContactor(Struct, frozen=True):
    """Writing ``coil`` of ``unit`` on ``line`` to 0 opens the contactor that the site file calls
    ``device``.
    """

    device: str
    line: ModbusLine
    unit: int
    coil: int
