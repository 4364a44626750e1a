"""CAISO OASIS prices: a zip of CSV in long form, a row for each interval, node and component (LMP, MCC,
MCE, MCL).
"""

import csv
import io
import zipfile
from datetime import UTC, datetime
from typing import Final

from v2g_edge.market.rows import ROWS_MAX, BadPrices, in_order, row
from v2g_edge.model.plan import PriceRow

UNPACKED_MAX: Final = 64 << 20
"""31 days of a handful of nodes are under 10 MB; a zip that grows beyond 64 MB is not such an answer."""
VALUE_COLUMNS: Final = ("MW", "VALUE", "PRC")
"""The column of the price is named by the query: MW for PRC_LMP, VALUE for PRC_INTVL_LMP, PRC for
PRC_RTPD_LMP.
"""


def read_oasis(data: bytes, source: str, *, node: str = "") -> tuple[PriceRow, ...]:
    """All LMP rows of an answer; ``node`` where it has several. Raises ``BadPrices``, also with the reason
    of an error answer.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = archive.infolist()[0]
            if member.file_size > UNPACKED_MAX:
                raise BadPrices(
                    f"{source}: {member.filename} has {member.file_size} octets; allowed are {UNPACKED_MAX}"
                )
            text = archive.read(member).decode("utf-8")
    # zipfile raises NotImplementedError for a compression that it does not know, RuntimeError for an
    # encrypted member.
    except (
        zipfile.BadZipFile,
        IndexError,
        UnicodeDecodeError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as fault:
        raise BadPrices(f"{source}: no zip of CSV: {fault}") from fault
    if text.lstrip().startswith("<"):
        raise BadPrices(f"{source}: the answer is an error document: {' '.join(text.split())[:200]}")
    try:
        return _rows(text, source, node)
    except csv.Error as fault:  # no ValueError: a field without end
        raise BadPrices(f"{source}: no CSV that can be read: {fault}") from fault


def _rows(text: str, source: str, node: str) -> tuple[PriceRow, ...]:
    reader = csv.DictReader(io.StringIO(text))
    names = reader.fieldnames or []
    value = next((name for name in VALUE_COLUMNS if name in names), "")
    missing = {"INTERVALSTARTTIME_GMT", "INTERVALENDTIME_GMT", "NODE", "LMP_TYPE"} - set(names)
    if missing or not value:
        raise BadPrices(
            f"{source}: columns missing: {', '.join(sorted(missing)) or ' or '.join(VALUE_COLUMNS)}"
        )
    rows, nodes = [], set()
    for number, cells in enumerate(reader, start=2):
        if number > ROWS_MAX:
            raise BadPrices(f"{source}: more than {ROWS_MAX} lines")
        if cells["LMP_TYPE"] != "LMP" or not cells[value] or (node and cells["NODE"] != node):
            continue
        nodes.add(cells["NODE"])
        try:
            start, end = (
                datetime.fromisoformat(cells[f"INTERVAL{which}TIME_GMT"]) for which in ("START", "END")
            )
            price = float(cells[value])
        except ValueError as fault:
            raise BadPrices(f"{source}:{number}: {fault}") from fault
        start_s, end_s = (each.replace(tzinfo=each.tzinfo or UTC).timestamp() for each in (start, end))
        rows.append(row(start_s, end_s, price, "MWh", "USD", source))
    if len(nodes) > 1:
        raise BadPrices(f"{source}: several nodes ({', '.join(sorted(nodes)[:5])}); set prices.zone")
    if not rows:
        raise BadPrices(f"{source}: no LMP rows{f' of node {node}' if node else ''}")
    return in_order(rows)
