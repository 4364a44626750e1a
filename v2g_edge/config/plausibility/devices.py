"""Devices and the ways to them: polled too slowly, addressed oddly, open to all."""

from collections.abc import Iterator
from typing import Final

from v2g_edge.config.layout import SiteFile
from v2g_edge.config.plausibility.warning import odd
from v2g_edge.config.problems import Problem
from v2g_edge.model.settings import CloudSettings, Listener, ModbusDevice, ModbusLine

BAUDS: Final = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
RTU_LAST_UNIT: Final = 247
"""Highest address on a serial line; 0 is a broadcast, which no device answers (Modbus over Serial Line V1.02,
2.2).
"""
FRAME_BITS: Final = (8 + 5 + 100) * 11
"""A request, an answer of 50 registers, 11 bits a byte (ibid. 2.5.1)."""
BUSY_MOST: Final = 0.8
"""A serial line that is asked for more of its time than this falls behind."""
PRIVILEGED: Final = 1_024
"""Ports below need a right that the unit does not have."""
MQTT_PLAIN: Final = 1_883
MQTT_TLS: Final = 8_883
AGES: Final = {
    "meter": "meter_max_age_s",
    "contact": "contact_max_age_s",
    "temperature": "temperature_max_age_s",
    "charger": "charger_max_age_s",
}


def odd_devices(plan: SiteFile, file: str) -> Iterator[Problem]:
    """Lines, devices, listeners, stations, cloud."""
    lines = {line.id: line for line in plan.lines}
    used = {device.line for device in plan.devices}
    for line in plan.lines:
        yield from _line(line, file)
        if line.id not in used:
            yield odd(
                file,
                f"lines.{line.id}",
                "no device on it",
                "at least one",
                "Remove it, or name it at a device.",
            )
        if line.transport == "rtu":
            yield from _busy(line, plan.devices, file)
    for device in plan.devices:
        yield from _age(plan, device, file)
        line_of = lines.get(device.line)
        if line_of is not None and line_of.transport == "rtu" and not 1 <= device.unit <= RTU_LAST_UNIT:
            mend = (
                "0 is a broadcast, which no device answers."
                if device.unit == 0
                else "Look at the device's setting."
            )
            yield odd(file, f"devices.{device.id}.unit", str(device.unit), "1 to 247 on a serial line", mend)
        if device.role in {"charger", "contactor"} and device.watchdog_s < 3.0 * device.poll_s:
            usual = f"three polls or more: {3.0 * device.poll_s:g} s"
            mend = "It would fall to its safe state between two polls."
            yield odd(file, f"devices.{device.id}.watchdog_s", f"{device.watchdog_s:g} s", usual, mend)
    for place, listener in enumerate(plan.listeners, 1):
        yield from _listener(plan, listener, f"listeners.#{place}", file)
    for station in plan.stations:
        if station.meter_interval_s > plan.safety.charger_max_age_s:
            usual = f"at most safety.charger_max_age_s = {plan.safety.charger_max_age_s:g} s"
            mend = "Between two reports its power is not known, and its worst case counts."
            key = f"stations.{station.identity}.meter_interval_s"
            yield odd(file, key, f"{station.meter_interval_s:g} s", usual, mend)
    yield from _cloud(plan.cloud, file)


def _line(line: ModbusLine, file: str) -> Iterator[Problem]:
    path = f"lines.{line.id}"
    if line.transport == "rtu":
        if line.host:
            yield odd(
                file, f"{path}.host", f'"{line.host}" on a serial line', '""', 'Is transport = "tcp" meant?'
            )
        if line.baud not in BAUDS:
            mend = "Look at the device's setting. A digit too many?"
            yield odd(file, f"{path}.baud", str(line.baud), ", ".join(map(str, BAUDS)), mend)
        if line.serial_port and not line.serial_port.startswith("/"):
            yield odd(
                file,
                f"{path}.serial_port",
                f'"{line.serial_port}"',
                "a path like /dev/ttyUSB0",
                "Write the whole path.",
            )
        return
    if line.serial_port:
        yield odd(
            file, f"{path}.serial_port", f'"{line.serial_port}" with TCP', '""', 'Is transport = "rtu" meant?'
        )
    if line.port == 0:
        yield odd(
            file, f"{path}.port", "0", "502, or what the device says", "No device can be reached at port 0."
        )
    yield from address(line.host, f"{path}.host", file)


def address(host: str, key: str, file: str) -> Iterator[Problem]:
    """A host name or an address has neither scheme, port, path nor space."""
    if "://" in host or "/" in host or " " in host or (host.count(":") == 1):
        mend = "Write the name or address alone; the port has a key of its own."
        yield odd(file, key, f'"{host}"', "a host name or an address", mend)


def _busy(line: ModbusLine, devices: tuple[ModbusDevice, ...], file: str) -> Iterator[Problem]:
    share = sum(FRAME_BITS / line.baud / device.poll_s for device in devices if device.line == line.id)
    if share > BUSY_MOST:
        mend = "Raise poll_s of its devices or baud, or give it fewer devices."
        found = f"{line.baud} baud, asked for about {share:.1f} times what it carries"
        yield odd(file, f"lines.{line.id}.baud", found, f"at most {BUSY_MOST:g} times", mend)


def _age(plan: SiteFile, device: ModbusDevice, file: str) -> Iterator[Problem]:
    name = AGES.get(device.role)
    most_s = getattr(plan.safety, name) if name else device.poll_s
    if device.poll_s > most_s / 2.0:
        mend = "One late answer and it counts as silent. Poll faster, or raise the age."
        usual = f"at most half of safety.{name} = {most_s:g} s"
        if name:
            yield odd(file, f"devices.{device.id}.poll_s", f"{device.poll_s:g} s", usual, mend)


def _listener(plan: SiteFile, listener: Listener, path: str, file: str) -> Iterator[Problem]:
    if listener.security_profile == 0 and plan.stations:
        mend = (
            "Anybody in the network may dial in as a station. Set 1 and a password_file where the chargers"
            " can."
        )
        yield odd(file, f"{path}.security_profile", "0: no password", "1, 2 or 3", mend)
    if 0 < listener.port < PRIVILEGED:
        mend = "The service has no right to ports below 1024. Take 8081, and set it at the chargers."
        yield odd(file, f"{path}.port", str(listener.port), "1024 or above", mend)
    if listener.host in {"127.0.0.1", "localhost", "::1"} and plan.stations:
        mend = 'Chargers outside this machine cannot dial in. "0.0.0.0" listens everywhere.'
        yield odd(file, f"{path}.host", f'"{listener.host}"', "an address in the chargers' network", mend)
    yield from address(listener.host, f"{path}.host", file)
    if listener.security_profile < 2 and (listener.certificate_files or listener.client_ca_file):
        found = f"{listener.security_profile}, and certificates are named"
        yield odd(file, f"{path}.security_profile", found, "2 or 3", "As it is, nothing is encrypted.")


def _cloud(cloud: CloudSettings, file: str) -> Iterator[Problem]:
    if not cloud.host:
        if cloud.username or cloud.certificate_file or cloud.site_id:
            yield odd(
                file,
                "cloud.host",
                '""',
                "an address where the other keys are set",
                "As it is, there is no cloud.",
            )
        return
    yield from address(cloud.host, "cloud.host", file)
    if cloud.tls and cloud.port == MQTT_PLAIN:
        yield odd(file, "cloud.port", "1883 with tls = true", "8883", "1883 is the port without TLS.")
    if not cloud.tls:
        mend = "Anybody on the way can read and send plans. Set tls = true and port = 8883."
        yield odd(file, "cloud.tls", f"false, port {cloud.port}", "true", mend)
    if cloud.tls and not cloud.username and not cloud.certificate_file:
        mend = "Most brokers ask for one of the two."
        yield odd(file, "cloud.username", "neither user name nor certificate", "one of the two", mend)
