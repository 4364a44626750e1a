"""The price file of the site: whatever export it is, recognised by its content, read again when it
changes.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from v2g_edge.market.csv_prices import read_csv
from v2g_edge.market.entsoe_xml import read_entsoe
from v2g_edge.market.json_prices import read_json
from v2g_edge.market.oasis import read_oasis
from v2g_edge.market.rows import BadPrices, in_order
from v2g_edge.model.plan import Price, PriceRow
from v2g_edge.model.settings import PriceSettings

DEFAULTS: Final = PriceSettings()
OCTETS_MAX: Final = 64 << 20
"""A year of quarter hours is 2 MB as CSV and 12 MB as XML."""


def read_bytes(data: bytes, source: str, settings: PriceSettings) -> tuple[PriceRow, ...]:
    """Rows of a document of any known form. Raises ``BadPrices``."""
    if len(data) > OCTETS_MAX:
        raise BadPrices(f"{source}: {len(data)} octets; allowed are {OCTETS_MAX}")
    if data[:2] == b"PK":
        return read_oasis(data, source, node=settings.zone)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadPrices(f"{source}: cannot be read: {fault}") from fault
    head = text.lstrip()[:200].lower()
    if head.startswith(("<!doctype html", "<html")):
        raise BadPrices(f"{source}: an HTML page, no prices: {' '.join(text.split())[:120]}")
    if head.startswith("<"):
        return read_entsoe(text, source, sequence=settings.sequence)
    if head.startswith(("{", "[")):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as fault:
            raise BadPrices(f"{source}: no JSON document: {fault}") from fault
        return read_json(document, source, zone=settings.zone)
    try:
        zone = ZoneInfo(settings.file_timezone) if settings.file_timezone else UTC
    except (KeyError, ValueError) as fault:
        raise BadPrices(
            f"prices.file_timezone {settings.file_timezone!r} is not in the tz database"
        ) from fault
    return read_csv(text, source, unit=settings.unit, currency=settings.currency, zone=zone)


def read_prices(path: Path, settings: PriceSettings = DEFAULTS) -> tuple[PriceRow, ...]:
    """Rows of a file. Raises ``BadPrices``, which names the file, the line, what was found and what is
    allowed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(OCTETS_MAX + 1)
    except OSError as fault:
        raise BadPrices(f"{path}: cannot be read: {fault}") from fault
    rows = read_bytes(data, str(path), settings)
    return in_order(_of_year(rows, settings.shift_to_year)) if settings.shift_to_year else rows


def _of_year(rows: tuple[PriceRow, ...], year: int) -> list[PriceRow]:
    """The rows as if they were of ``year``. A 29 February that the other year does not have is left out."""
    moved = []
    for each in rows:
        start = datetime.fromtimestamp(each.start_wall_s, UTC)
        try:
            start_s = start.replace(year=year).timestamp()
        except ValueError:
            continue
        end_s = start_s + each.end_wall_s - each.start_wall_s
        moved.append(replace(each, start_wall_s=start_s, end_wall_s=end_s))
    return moved


def plan_prices(rows: tuple[PriceRow, ...]) -> tuple[Price, ...]:
    """The rows as the planner takes them."""
    return tuple(Price(each.start_wall_s, each.per_kwh, each.end_wall_s) for each in rows)


class PriceFile:
    """The price file of the settings, and what it said when it last could be read. Without a file there
    are no prices.
    """

    def __init__(self, settings: PriceSettings) -> None:
        self._path = Path(settings.file) if settings.file else None
        self._settings = settings
        self._seen: tuple[int, int] | None = (0, 0)
        self.rows: tuple[PriceRow, ...] = ()
        self.prices: tuple[Price, ...] = ()

    def is_changed(self) -> bool:
        """Whether the file is another one than at the last reading, come or gone."""
        return self._path is not None and self._signature() != self._seen

    def read(self) -> str:
        """Read it anew. Returns what is wrong with it, "" for nothing. Prices that were known before stay."""
        if self._path is None:
            return ""
        self._seen = self._signature()
        try:
            self.rows = read_prices(self._path, self._settings)
        except BadPrices as fault:
            return str(fault)
        self.prices = plan_prices(self.rows)
        return ""

    def _signature(self) -> tuple[int, int] | None:
        assert self._path is not None  # noqa: S101 - both callers have seen that there is one
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size
