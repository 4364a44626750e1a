"""Statements by service: what a buyer owes for energy and capacity of a service, less the aggregator's fee,
and when it is due. Each kWh stands under one service, so the statements add up to the ledger.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import tomli
from msgspec import Struct

from v2g_edge.study.bill.charge import cents
from v2g_edge.study.ledger.lines import INTERVAL_S, Line

NOTHING: Final[Mapping[str, float]] = {}

Status = Literal["preliminary", "verified", "adjusted"]


class ContractError(Exception):
    """The file cannot be used; the message names it and every fault."""


class Contract(Struct, frozen=True, forbid_unknown_fields=True):
    """What a service earns.

    Attributes:
        service: The service as the ledger names it.
        buyer: Who pays.
        per_kwh_out: Price of a kWh given under it.
        per_kwh_in: Price of a kWh charged under it; mostly 0.
        kw: Capacity sold.
        per_kw_hour: Price of a kW held for an hour.
        per_kwh_reduced: Price of a kWh below the baseline in the programme's events.
        events: When the programme called, as pairs of ISO 8601 times on quarter hours.
        export_paid: Whether what is fed back in an event counts as reduced too.
        aggregator_pct: What the aggregator keeps.
        delay_days: Days from the end of the month until it is paid.
    """

    service: str
    buyer: str
    per_kwh_out: str = "0"
    per_kwh_in: str = "0"
    kw: str = "0"
    per_kw_hour: str = "0"
    per_kwh_reduced: str = "0"
    events: tuple[tuple[str, str], ...] = ()
    export_paid: bool = False
    aggregator_pct: str = "0"
    delay_days: int = 30


class Contracts(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of contracts.

    Attributes:
        currency: ISO 4217 code.
        contracts: One a service.
    """

    currency: str
    contracts: tuple[Contract, ...]


class Statement(Struct, frozen=True):
    """What one service earned in a month.

    Attributes:
        service: The service.
        buyer: Who pays; "" where there is no contract.
        in_kwh: Charged under it.
        out_kwh: Given under it.
        hours: Hours of the record in which its capacity was held.
        energy: Money for energy.
        capacity: Money for capacity.
        fee: What the aggregator keeps.
        reduced_kwh: Below the baseline in the programme's events, at the grid meter; its money is energy's.
        due: When it is paid; None where there is no contract.
        status: A month with pauses of the record is preliminary, one with corrections by hand adjusted.
    """

    service: str
    buyer: str
    in_kwh: Decimal
    out_kwh: Decimal
    hours: Decimal
    energy: Decimal
    capacity: Decimal
    fee: Decimal
    due: date | None
    status: Status
    reduced_kwh: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        """The sum of what is printed."""
        return self.energy + self.capacity - self.fee


NUMBERS: Final = ("per_kwh_out", "per_kwh_in", "kw", "per_kw_hour", "per_kwh_reduced", "aggregator_pct")


def read_contracts(path: Path) -> Contracts:
    """Read a file. Raises ``ContractError``."""
    try:
        table: Any = tomli.loads(path.read_text(encoding="utf-8"))
        found = msgspec.convert(table, Contracts)
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(f"{path}: {error}") from error
    faults, seen = [], set[str]()
    for each in found.contracts:
        if each.service in seen:
            faults.append(f"{path}: two contracts for service {each.service!r}: its energy would count twice")
        seen.add(each.service)
        for name in NUMBERS:
            try:
                good = Decimal(getattr(each, name)).is_finite()
            except InvalidOperation:
                good = False
            if not good:
                text = f"{each.service} {name} is {getattr(each, name)!r}"
                faults.append(f'{path}: {text}; expected a number as text, like "0.15"')
        faults += [f"{path}: {each.service} events: {fault}" for fault in _faults(each.events)]
    if faults:
        raise ContractError("\n".join(faults))
    return found


def events_of(contract: Contract) -> tuple[tuple[float, float], ...]:
    """When the programme called, UTC epoch seconds."""
    spans = [tuple(datetime.fromisoformat(each).timestamp() for each in pair) for pair in contract.events]
    return tuple(sorted((first, last) for first, last in spans))


def _faults(events: tuple[tuple[str, str], ...]) -> list[str]:
    found = []
    for pair in events:
        try:
            first, last = (datetime.fromisoformat(each) for each in pair)
        except ValueError:
            first = last = datetime.min  # noqa: DTZ901 - refused below
        aware = first.tzinfo is not None and last.tzinfo is not None
        if not aware or first >= last or any(at.timestamp() % INTERVAL_S for at in (first, last)):
            found.append(
                f"{' to '.join(pair)!r}; expected two times with their zone, on quarter hours, in order,"
                ' like ["2026-01-14T17:00+01:00", "2026-01-14T19:00+01:00"]'
            )
    return found


def statements_of(
    contracts: Contracts,
    lines: Iterable[Line],
    hours: float,
    end: date,
    *,
    whole: bool,
    reduced_kwh: Mapping[str, float] = NOTHING,
) -> list[Statement]:
    """One a service that has energy or a contract. ``hours`` are those on record, ``end`` the month's last
    day, ``whole`` whether nothing of it is missing. ``reduced_kwh``: by service, what its events reduced.
    """
    sums: dict[str, list[float]] = {each.service: [0.0, 0.0] for each in contracts.contracts}
    corrected = set[str]()
    for line in lines:
        if line.method == "correction":
            corrected.add(line.service)
        row = sums.setdefault(line.service, [0.0, 0.0])
        row[0] += line.in_wh / 1e3
        row[1] += line.out_wh / 1e3
    by_service = {each.service: each for each in contracts.contracts}

    def status_of(name: str) -> Status:
        return "preliminary" if not whole else "adjusted" if name in corrected else "verified"

    return [
        _statement(
            name, by_service.get(name), (*row, reduced_kwh.get(name, 0.0)), hours, end, status_of(name)
        )
        for name, row in sorted(sums.items())
        if any(row) or name in by_service
    ]


def _statement(
    service: str,
    contract: Contract | None,
    kwh: tuple[float, ...],
    hours: float,
    end: date,
    status: Status,
) -> Statement:
    into, out, reduced, held = (Decimal(repr(round(value, 6))) for value in (*kwh, hours))
    zero = cents(Decimal(0))
    if contract is None:
        return Statement(service, "", into, out, Decimal(0), zero, zero, zero, None, status)
    below = reduced * Decimal(contract.per_kwh_reduced)
    energy = cents(out * Decimal(contract.per_kwh_out) + into * Decimal(contract.per_kwh_in) + below)
    capacity = cents(Decimal(contract.kw) * held * Decimal(contract.per_kw_hour))
    fee = cents((energy + capacity) * Decimal(contract.aggregator_pct) / 100)
    due = end + timedelta(days=contract.delay_days)
    hours_held = held if capacity else Decimal(0)
    money = energy, capacity, fee
    return Statement(service, contract.buyer, into, out, hours_held, *money, due, status, reduced)
