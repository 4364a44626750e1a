"""What must fit together between the depot and the devices that measure and move it."""

from collections import Counter
from collections.abc import Iterator

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.problems import Problem
from v2g_edge.config.references import twice, unknown
from v2g_edge.model.settings import CloudSettings, Listener, ModbusLine
from v2g_edge.model.site import Evse

OCPP_ONLY = {"dead_man": ("ocpp_profile",), "discharge_by": ("negative_limit", "setpoint")}
MODBUS_ONLY = {"dead_man": ("modbus_watchdog", "sunspec_revert"), "discharge_by": ("register",)}
PASSWORD_PROFILES = (1, 2)
TLS_PROFILES = (2, 3)
CLIENT_CERTIFICATE_PROFILE = 3
ALL_STATIONS = "@site"
"""What `v2g-edge ocpp` calls all stations together (``field.ocpp.chores``)."""


def check_devices(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every device that is missing, doubled, unreachable or of the wrong kind."""
    yield from _fed(plan, file)
    yield from _chargers(plan, file)
    yield from _listeners(plan, file)
    yield from _doors(plan, file)
    for line in plan.lines:
        yield from _line(line, file)
    yield from _devices(plan, file)
    yield from _cloud(plan.cloud, file)


def _fed(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Each name that is measured has one device: none is silent for ever, two contradict each other."""
    for role, table in (("meter", "meters"), ("contact", "contacts"), ("temperature", "temperatures")):
        names = getattr(plan.site, table)
        roles = (role, "contactor") if role == "contact" else (role,)  # a contactor shows its own state
        targets = Counter(device.target for device in plan.devices if device.role in roles)
        for name in sorted(set(names)):
            if targets[name] != 1:
                found, mend = (
                    f"{targets[name]} devices",
                    "It would be silent for ever." if not targets[name] else "Remove all but one.",
                )
                yield Problem(
                    file,
                    f"site.{table}.{name}",
                    found,
                    f'one device with role = "{role}" and this target',
                    mend,
                )


def _chargers(plan: SiteFile, file: str) -> Iterator[Problem]:
    evses = {evse.id: evse for evse in plan.evses}
    ocpp = Counter(outlet.evse for station in plan.stations for outlet in station.outlets)
    modbus = Counter(device.target for device in plan.devices if device.role == "charger")
    contactors = {device.target for device in plan.devices if device.role == "contactor"}
    for station in plan.stations:
        path = f"stations.{station.identity}.outlets"
        for outlet in station.outlets:
            yield from unknown(f"{path}.evse", outlet.evse, evses, "an outlet of evses", file)
        numbers = (f"{outlet.ocpp_evse}/{outlet.ocpp_connector}" for outlet in station.outlets)
        yield from twice(path, numbers, file, "Two of our outlets cannot be one of the station's.")
        if not station.outlets:
            yield Problem(file, path, "no outlet", "at least one outlet", "Say which of ours it serves.")
    for evse in evses.values():
        ways = ocpp[evse.id] + modbus[evse.id]
        if ways != 1:
            mend = "Nothing could command it." if not ways else "Two masters would command it."
            yield Problem(
                file,
                f"evses.{evse.id}",
                f"{ways} ways to it",
                'one station outlet or one device with role "charger"',
                mend,
            )
        if evse.contactor:
            yield from unknown(
                f"evses.{evse.id}.contactor",
                evse.contactor,
                contactors,
                'the target of a device with role "contactor"',
                file,
            )
        yield from _way(evse, bool(ocpp[evse.id]), bool(modbus[evse.id]), file)


def _way(evse: Evse, ocpp: bool, modbus: bool, file: str) -> Iterator[Problem]:
    """A charger has the dead-man and the command of the protocol that it speaks."""
    for field in ("dead_man", "discharge_by"):
        value = getattr(evse, field)
        for there, other, only in ((ocpp, "OCPP", MODBUS_ONLY), (modbus, "Modbus", OCPP_ONLY)):
            if there and value in only[field]:
                yield Problem(
                    file,
                    f"evses.{evse.id}.{field}",
                    f'"{value}" on a charger that speaks {other}',
                    f"not one of {', '.join(only[field])}",
                    "Name what the charger really has.",
                )


def _listeners(plan: SiteFile, file: str) -> Iterator[Problem]:
    if plan.stations and not plan.listeners:
        yield Problem(
            file, "listeners", "none", "at least one listener for the stations", "Add a [[listeners]] table."
        )
    ports = (str(listener.port) for listener in plan.listeners if listener.port)
    yield from twice("listeners.port", ports, file, "Only one listener can have a port.")
    for place, listener in enumerate(plan.listeners, 1):
        yield from _listener(listener, f"listeners.#{place}", file)
    if plan.listeners and all(listener.security_profile in PASSWORD_PROFILES for listener in plan.listeners):
        for station in plan.stations:
            if not station.password_file:
                key = f"stations.{station.identity}.password_file"
                yield Problem(
                    file,
                    key,
                    '""',
                    "a file: every listener asks for a password",
                    "The station could never dial in.",
                )


def _doors(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Every station can be named, and finds a listener that its least security profile lets it use."""
    best = max((listener.security_profile for listener in plan.listeners), default=0)
    for station in plan.stations:
        if station.identity == ALL_STATIONS:
            mend = "Give the station another identity, at itself too."
            yield Problem(
                file, f"stations.{station.identity}", "an identity", f"anything but {ALL_STATIONS}", mend
            )
        if plan.listeners and station.least_security_profile > best:
            key, found = (
                f"stations.{station.identity}.least_security_profile",
                str(station.least_security_profile),
            )
            yield Problem(
                file, key, found, f"at most {best}, the best listener's", "The station could never dial in."
            )


def _listener(listener: Listener, path: str, file: str) -> Iterator[Problem]:
    profile = listener.security_profile
    if len(listener.certificate_files) != len(listener.key_files):
        found = f"{len(listener.certificate_files)} certificates and {len(listener.key_files)} keys"
        yield Problem(
            file, f"{path}.key_files", found, "one key a certificate", "List them in the same order."
        )
    if profile in TLS_PROFILES and not listener.certificate_files:
        yield Problem(
            file,
            f"{path}.certificate_files",
            "none",
            f"a certificate for security_profile = {profile}",
            "Name its file.",
        )
    if profile == CLIENT_CERTIFICATE_PROFILE and not listener.client_ca_file:
        yield Problem(
            file,
            f"{path}.client_ca_file",
            '""',
            "the CA of the stations for security_profile = 3",
            "Name its file.",
        )


def _line(line: ModbusLine, file: str) -> Iterator[Problem]:
    needed = {"tcp": ("host",), "tls": ("host", "ca_file"), "rtu": ("serial_port",)}[line.transport]
    for field in needed:
        if not getattr(line, field):
            mend = "Say how the line is reached."
            yield Problem(
                file, f"lines.{line.id}.{field}", '""', f'a value for transport = "{line.transport}"', mend
            )


def _devices(plan: SiteFile, file: str) -> Iterator[Problem]:
    lines = [line.id for line in plan.lines]
    targets = {
        "meter": plan.site.meters,
        "contact": plan.site.contacts,
        "temperature": plan.site.temperatures,
    }
    evses = tuple(evse.id for evse in plan.evses)
    for device in plan.devices:
        yield from unknown(f"devices.{device.id}.line", device.line, lines, "a line", file)
        if device.role != "contactor":
            known = targets.get(device.role, evses)
            yield from unknown(
                f"devices.{device.id}.target", device.target, known, f"a {device.role} of the site", file
            )
    places = Counter((each.line, each.unit, each.map, each.role, each.channel) for each in plan.devices)
    for (line, unit, _, role, channel), times in places.items():
        if times > 1:
            found = f"{times} devices at unit {unit}, channel {channel}, role {role}"
            yield Problem(
                file, f"lines.{line}", found, "one device a place", "Correct unit or channel of one of them."
            )


def _cloud(cloud: CloudSettings, file: str) -> Iterator[Problem]:
    if bool(cloud.certificate_file) != bool(cloud.key_file):
        yield Problem(
            file,
            "cloud.key_file",
            "a certificate without a key, or a key without a certificate",
            "both or neither",
            "Add the other.",
        )
    if bool(cloud.signal_certificate_file) != bool(cloud.signal_key_file):
        yield Problem(
            file, "cloud.signal_key_file", "one of the two", "a certificate with its key", "Add the other."
        )
    if cloud.signal_port and not cloud.plan_keys_file:
        yield Problem(
            file,
            "cloud.plan_keys_file",
            '""',
            "the keys that may sign signals, where signal_port is open",
            "Add the file.",
        )
    if cloud.password_file and not cloud.username:
        yield Problem(file, "cloud.username", '""', "a user name beside password_file", "Add it.")
