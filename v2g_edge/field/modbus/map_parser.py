"""TOML → register map. All problems of a file are reported together, each with file and key."""

import math
from pathlib import Path
from typing import Any, Final

import tomli

from v2g_edge.field.modbus.codec import CODES, Block, Field
from v2g_edge.field.modbus.map_keys import (
    BLOCK_KEYS,
    COMMAND_KEYS,
    MAP_KEYS,
    NEEDED,
    POINT_KEYS,
    POINTS,
    RANGES,
    TARGET_KEYS,
    UNITS,
)
from v2g_edge.field.modbus.register_map import Command, MapError, RegisterMap, Target

SHIPPED: Final = Path(__file__).with_name("maps")

MAX_FILE_BYTES: Final = 262_144
"""A map is a page; anything larger is the wrong file."""

MAX_BLOCK: Final = 125
"""Registers in one read (Modbus Application Protocol V1.1b3, 6.3)."""


def available_maps(folder: Path | None = None) -> dict[str, Path]:
    """Map id → file: those shipped, and those of the site's ``folder``, which win."""
    found = {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
    if folder is not None and folder.is_dir():
        found |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return found


def load_map(map_id: str, folder: Path | None = None) -> RegisterMap:
    """The map by its id (file name without .toml). MapError with all problems, or that there is no such
    map.
    """
    files = available_maps(folder)
    if map_id not in files:
        raise MapError([f"{map_id}: no such register map; there are {', '.join(sorted(files))}"])
    path = files[map_id]
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise MapError([f"{path}: larger than {MAX_FILE_BYTES} bytes"])
        table = tomli.loads(data.decode())
    except (OSError, ValueError, RecursionError) as fault:
        if isinstance(fault, MapError):
            raise
        raise MapError([f"{path}: not a readable TOML file: {fault}"]) from fault
    return parse_map(map_id, str(path), table)


def parse_map(map_id: str, file: str, table: dict[str, Any]) -> RegisterMap:
    """A decoded TOML table → map. MapError with every problem found."""
    return _Check(map_id, file).map(table)


class _Check:
    """Collects problems while it builds; a broken part is replaced by something harmless so that the rest
    is still checked.
    """

    def __init__(self, map_id: str, file: str) -> None:
        self._id = map_id
        self._file = file
        self._problems: list[str] = []
        self._swapped = False

    def problem(self, key: str, text: str) -> None:
        self._problems.append(f"{self._file}: {key}: {text}")

    def map(self, table: dict[str, Any]) -> RegisterMap:
        self._keys("", table, MAP_KEYS)
        kind = self._choice(table, "kind", tuple(POINTS))
        for key in ("name", "source"):
            if not isinstance(table.get(key), str) or not table[key]:
                self.problem(
                    key, "missing; say where the addresses come from" if key == "source" else "missing"
                )
        order = self._choice(table, "word_order", ("big", "little"), "big")
        self._swapped = order == "little"
        function = self._choice(table, "function", (1, 2, 3, 4), 3)
        rows = self._shape(table, "blocks", list)
        blocks = self._blocks(rows, function)
        fields = self._points(
            self._shape(table, "points", dict),
            kind,
            self._choice(table, "register_grid", ("any", "even", "odd"), "any"),
        )
        assigned = self._assign(blocks, fields)
        states = self._states(self._shape(table, "states", dict))
        command = self._command(self._shape(table, "command", dict))
        made = RegisterMap(
            id=self._id,
            name=str(table.get("name", "")),
            kind=kind,
            status=self._choice(table, "status", ("verified", "draft")),
            source=str(table.get("source", "")),
            blocks=assigned,
            fixed_blocks=frozenset(
                f"block {n}" for n, b in enumerate(rows) if isinstance(b, dict) and b.get("absolute")
            ),
            states=states,
            command=command,
            channel_stride=self._whole(table, "channel_stride", 0, 0, 65535),
            command_stride=self._whole(table, "command_stride", table.get("channel_stride", 0), 0, 65535),
            first_channel=self._whole(table, "first_channel", 0, 0, 255),
            least_poll_s=self._number(table, "least_poll_s", 0.0, 0.0, 3600.0),
            frequency_resolution_hz=self._number(table, "frequency_resolution_hz", 0.001, 0.0, 10.0),
            single_phase=table.get("single_phase", False) is True,
        )
        if self._problems:
            raise MapError(self._problems)
        return made

    def _keys(self, where: str, table: dict[str, Any], allowed: frozenset[str]) -> None:
        for key in table:
            if key not in allowed:
                self.problem(f"{where}{key}", f"unknown key; allowed are {', '.join(sorted(allowed))}")

    def _choice(
        self, table: dict[str, Any], key: str, allowed: tuple[Any, ...], default: Any = None, where: str = ""
    ) -> Any:
        value = table.get(key, default)
        if isinstance(value, bool) or value not in allowed:
            self.problem(
                f"{where}{key}",
                f"{'missing' if value is None else repr(value)}; allowed are {', '.join(map(str, allowed))}",
            )
            return allowed[0]
        return value

    def _number(
        self, table: dict[str, Any], key: str, default: float | None, low: float, high: float, where: str = ""
    ) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.problem(
                f"{where}{key}",
                f"{'missing' if value is None else repr(value)}; a number of {low:g}..{high:g} is needed",
            )
            return max(low, min(high, 1.0))
        return value

    def _whole(
        self, table: dict[str, Any], key: str, default: Any, low: int, high: int, where: str = ""
    ) -> int:
        value = self._number(table, key, default, low, high, where)
        if not isinstance(value, int) and not value.is_integer():
            self.problem(f"{where}{key}", f"{value!r} is not a whole register")
        return int(value)

    def _shape(self, table: dict[str, Any], key: str, kind: type[Any], where: str = "") -> Any:
        value = table.get(key, kind())
        if isinstance(value, kind):
            return value
        self.problem(f"{where}{key}", f"{value!r}; a {'table' if kind is dict else 'list'} is needed")
        return kind()

    def _blocks(self, rows: list[Any], function: int) -> list[Block]:
        blocks: list[Block] = []
        for index, row in enumerate(rows):
            where = f"blocks[{index}]."
            if not isinstance(row, dict):
                self.problem(where[:-1], "not a table")
                continue
            self._keys(where, row, BLOCK_KEYS)
            address = self._whole(row, "address", None, 0, 65535, where)
            count = self._whole(row, "count", None, 1, MAX_BLOCK, where)
            every_s = self._number(row, "every_s", 0.0, 0.0, 86_400.0, where)
            code = self._choice(row, "function", (3, 4), function if function in {3, 4} else 3, where)
            if address + count > 65536:
                self.problem(where[:-1], f"{address} + {count} registers go beyond 65535")
            for other in blocks:
                if (
                    other.function == code
                    and other.address < address + count
                    and address < other.address + other.count
                ):
                    self.problem(
                        where[:-1], f"registers {address}..{address + count - 1} overlap {other.name}"
                    )
            blocks.append(Block(f"block {index}", code, address, count, (), every_s))
        return blocks

    def _points(self, table: dict[str, Any], kind: str, grid: str) -> list[tuple[int, Field]]:
        fields: list[tuple[int, Field]] = []
        for name, row in table.items():
            where = f"points.{name}."
            if name not in POINTS[kind]:
                self.problem(
                    where[:-1], f"no such point of a {kind}; allowed are {', '.join(sorted(POINTS[kind]))}"
                )
            if not isinstance(row, dict):
                self.problem(where[:-1], "not a table")
                continue
            self._keys(where, row, POINT_KEYS)
            fields.append(self._point(name, row, where, grid))
        for name in NEEDED[kind]:
            if name not in table:
                self.problem(f"points.{name}", f"missing; a {kind} needs it")
        return fields

    def _point(self, name: str, row: dict[str, Any], where: str, grid: str) -> tuple[int, Field]:
        address = self._whole(row, "address", None, 0, 65535, where)
        kind = self._choice(row, "type", tuple(CODES), where=where)
        factor, ending = self._scale(name, row, where)
        sign = self._choice(row, "sign", (1, -1), 1, where)
        low, high = RANGES[ending]
        nan = row.get("nan", [])
        if not isinstance(nan, list) or not all(isinstance(item, int) for item in nan):
            self.problem(f"{where}nan", f"{nan!r}; a list of raw integers is needed")
            nan = []
        if CODES[kind][1] > 1 and grid != "any" and address % 2 != (grid == "odd"):
            self.problem(f"{where}address", f"{address} does not lie on the map's {grid} register grid")
        return address, Field(
            name,
            address,
            kind,
            scale=factor * sign,
            shift=self._number(row, "offset", 0.0, -1e9, 1e9, where),
            nan=frozenset(nan),
            low=self._number(row, "low", low, -math.inf, math.inf, where),
            high=self._number(row, "high", high, -math.inf, math.inf, where),
            swapped=self._order(row, where),
        )

    def _scale(self, name: str, row: dict[str, Any], where: str) -> tuple[float, str]:
        scale = self._number(row, "scale", None, 1e-9, 1e9, where)
        unit = self._choice(row, "unit", tuple(UNITS), where=where)
        ending, factor = UNITS[unit]
        if ending and not name.endswith(f"_{ending}"):
            self.problem(f"{where}unit", f'"{unit}" does not measure {name}')
        return scale * factor, ending

    def _order(self, row: dict[str, Any], where: str) -> bool:
        order = self._choice(
            row, "word_order", ("big", "little"), "little" if self._swapped else "big", where
        )
        return bool(order == "little")

    def _assign(self, blocks: list[Block], fields: list[tuple[int, Field]]) -> tuple[Block, ...]:
        members: list[list[Field]] = [[] for _ in blocks]
        taken: dict[int, str] = {}
        for address, field in sorted(fields, key=lambda pair: pair[0]):
            for register in range(address, address + field.width):
                if register in taken:
                    self.problem(
                        f"points.{field.name}", f"register {register} already belongs to {taken[register]}"
                    )
                    break
                taken[register] = field.name
            for block, inside in zip(blocks, members, strict=True):
                if block.address <= address and address + field.width <= block.address + block.count:
                    inside.append(_moved(field, address - block.address))
                    break
            else:
                self.problem(
                    f"points.{field.name}",
                    f"registers {address}..{address + field.width - 1} lie in no block",
                )
        return tuple(
            Block(b.name, b.function, b.address, b.count, tuple(inside), b.every_s)
            for b, inside in zip(blocks, members, strict=True)
        )

    def _states(self, table: dict[str, Any]) -> dict[int, str]:
        states: dict[int, str] = {}
        for status, numbers in table.items():
            if status not in {"available", "occupied", "faulted", "unavailable"}:
                self.problem(
                    f"states.{status}",
                    "unknown status; allowed are available, occupied, faulted, unavailable",
                )
            for number in numbers if isinstance(numbers, list) else [numbers]:
                if not isinstance(number, int):
                    self.problem(f"states.{status}", f"{number!r}; a list of whole numbers is needed")
                elif number in states:
                    self.problem(f"states.{status}", f"{number} is already {states[number]}")
                else:
                    states[number] = status
        return states

    def _command(self, table: dict[str, Any]) -> Command:
        self._keys("command.", table, COMMAND_KEYS)
        if "setpoint" in table and ("charge" in table or "discharge" in table):
            self.problem("command.setpoint", "either one signed setpoint, or charge and discharge")
        return Command(
            setup=tuple(
                pair
                for row in self._shape(table, "setup", list, "command.")
                if (pair := self._pair(row, "command.setup"))
            ),
            setpoint=self._target(table, "setpoint"),
            charge=self._target(table, "charge"),
            discharge=self._target(table, "discharge"),
            start=self._pair(table["start"], "command.start") if "start" in table else None,
            stop=self._pair(table["stop"], "command.stop") if "stop" in table else None,
            watchdog=self._target(table, "watchdog"),
            settle_s=self._number(table, "settle_s", 0.0, 0.0, 60.0, "command."),
            min_charge_w=self._number(table, "min_charge_w", 0.0, 0.0, 1e6, "command."),
            max_watchdog_s=self._number(table, "max_watchdog_s", math.inf, 1.0, math.inf, "command."),
            coil=self._whole(table, "coil", -1, -1, 65535, "command."),
        )

    def _pair(self, row: Any, key: str) -> tuple[int, int] | None:
        if (
            isinstance(row, list)
            and len(row) == 2
            and all(isinstance(item, int) and 0 <= item <= 65535 for item in row)
        ):
            return row[0], row[1]
        self.problem(key, f"{row!r}; [address, value] is needed")
        return None

    def _target(self, table: dict[str, Any], key: str) -> Target | None:
        row = table.get(key)
        if row is None:
            return None
        where = f"command.{key}."
        if not isinstance(row, dict):
            self.problem(where[:-1], "not a table")
            return None
        self._keys(where, row, TARGET_KEYS)
        kind = self._choice(row, "type", tuple(CODES), where=where)
        function = self._choice(row, "function", (6, 16), 16, where)
        if function == 6 and CODES[kind][1] > 1:
            self.problem(f"{where}function", f"function 6 writes one register, {kind} has {CODES[kind][1]}")
        scale, _ = self._scale("watchdog_s" if key == "watchdog" else "setpoint_w", row, where)
        return Target(
            self._whole(row, "address", None, 0, 65535, where),
            kind,
            scale,
            self._choice(row, "sign", (1, -1), 1, where),
            function,
            self._order(row, where),
            row.get("absolute", False) is True,
        )


def _moved(field: Field, offset: int) -> Field:
    return Field(
        field.name,
        offset,
        field.type,
        field.scale,
        field.shift,
        field.scale_by,
        field.nan,
        field.low,
        field.high,
        field.swapped,
    )
