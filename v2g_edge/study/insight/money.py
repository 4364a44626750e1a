"""Money of a time by local day, vehicle and service, from the ledger's lines: earned, paid, and worn."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from v2g_edge.study.insight.features import local_day
from v2g_edge.study.ledger.lines import Line
from v2g_edge.study.ledger.statement import NOT_KNOWN

By = Literal["day", "vehicle", "service"]


class MoneyRow(Struct):
    """A vehicle's money under one service on one local day.

    Attributes:
        day: The local day, ISO; "" in a sum over days.
        vehicle: The vehicle; "" in a sum over vehicles.
        service: What the energy flowed for; "" in a sum over services.
        in_kwh: Energy charged.
        out_kwh: Energy given.
        earned: Energy given, at the price of its quarter hour and what export earns on top.
        paid: Energy charged, at the price of its quarter hour and what is fixed on top.
        wear: What giving wore.
        unpriced_kwh: Energy in quarter hours without a price: it counts in neither.
    """

    day: str = ""
    vehicle: str = ""
    service: str = ""
    in_kwh: float = 0.0
    out_kwh: float = 0.0
    earned: float = 0.0
    paid: float = 0.0
    wear: float = 0.0
    unpriced_kwh: float = 0.0

    @property
    def net(self) -> float:
        """What is left: earned less wear and what was paid."""
        return self.earned - self.wear - self.paid


def money_of(
    lines: Iterable[Line],
    prices: Mapping[float, float],
    adds: tuple[float, float],
    wear_of: Callable[[str], float],
    zone: ZoneInfo,
) -> list[MoneyRow]:
    """Rows by day, vehicle and service. ``adds``: on top of the price of what is bought, and of what is sold;
    ``wear_of``: cost of a kWh that a vehicle gives.
    """
    found: dict[tuple[str, str, str], MoneyRow] = {}
    for line in lines:
        if not line.in_wh and not line.out_wh:
            continue
        key = (local_day(line.start_wall_s, zone).isoformat(), line.vehicle or NOT_KNOWN, line.service)
        row = found.setdefault(key, MoneyRow(*key))
        in_kwh, out_kwh, price = line.in_wh / 1e3, line.out_wh / 1e3, prices.get(line.start_wall_s)
        row.in_kwh += in_kwh
        row.out_kwh += out_kwh
        row.wear += out_kwh * wear_of(line.vehicle)
        if price is None:
            row.unpriced_kwh += in_kwh + out_kwh
            continue
        row.paid += in_kwh * (price + adds[0])
        row.earned += out_kwh * (price + adds[1])
    return [found[key] for key in sorted(found)]


def summed(rows: Iterable[MoneyRow], by: By | None) -> list[MoneyRow]:
    """The same by one of the three alone; None: all in one row."""
    found: dict[str, MoneyRow] = {}
    for row in rows:
        name = getattr(row, by) if by else ""
        total = found.setdefault(name, MoneyRow())
        if by:
            setattr(total, by, name)
        for key in ("in_kwh", "out_kwh", "earned", "paid", "wear", "unpriced_kwh"):
            setattr(total, key, getattr(total, key) + getattr(row, key))
    return [found[name] for name in sorted(found)]
