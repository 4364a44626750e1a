"""Keys of Modbus lines and devices."""

from typing import Final

from msgspec import Struct

from v2g_edge.config.keys.key import LINE, Key, name, optional, seconds
from v2g_edge.model.settings import ModbusDevice, ModbusLine

ROWS: Final[dict[type[Struct], dict[str, Key]]] = {
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
}
