"""The price file that a site file names: readable, and of these days."""

from collections.abc import Iterator
from datetime import UTC, datetime

from v2g_edge.cli.checking.raw import Table, number, tables, text
from v2g_edge.config import Problem
from v2g_edge.market.price_file import PriceFile
from v2g_edge.model.settings import PriceSettings

DAY_S = 86_400.0


def price_problems(document: Table, file: str, wall_s: float) -> Iterator[Problem]:
    """One problem for each bad line; a warning where no price is of now or later."""
    for path, table in tables(document, "prices"):
        name = text(table, "file")
        if not name:
            continue
        key = f"{path}.file"
        prices = PriceFile(
            PriceSettings(
                file=name,
                shift_to_year=int(number(table, "shift_to_year", 0)),
                unit=text(table, "unit"),
                currency=text(table, "currency"),
                zone=text(table, "zone"),
                sequence=int(number(table, "sequence", 1)),
                file_timezone=text(table, "file_timezone"),
            )
        )
        fault = prices.read()
        for line in fault.splitlines():
            mend = (
                "See docs/energy-manager.md for the forms that are read. Without prices the daemon makes no"
                " plan."
            )
            yield Problem(file, key, line, "a price file that can be read", mend)
        if prices.prices and prices.prices[-1].start_wall_s < wall_s - DAY_S:
            first, last = (
                datetime.fromtimestamp(prices.prices[at].start_wall_s, tz=UTC).date() for at in (0, -1)
            )
            this_year = datetime.fromtimestamp(wall_s, tz=UTC).year
            mend = (
                f"Nothing is planned with them. Fetch new ones; shift_to_year = {this_year} tries old ones"
                " out."
            )
            yield Problem(
                file, key, f"prices of {first} to {last}", "prices of today and later", mend, level="warning"
            )
