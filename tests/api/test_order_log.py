"""Each order is written down with who, when, what and why, and no secret with it."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from v2g_edge.api.order_log import WHAT_MAX, OrderLog
from v2g_edge.host.control import Ordered
from v2g_edge.host.records import OrderRow


class Book:
    """A journal that remembers its orders."""

    def __init__(self) -> None:
        self.orders: list[OrderRow] = []

    def record_order(self, order: OrderRow) -> None:
        self.orders.append(order)


def taken(method: str, params: dict[str, Any]) -> OrderRow:
    book = Book()
    OrderLog(lambda: book, lambda: 5.0).record(  # type: ignore[arg-type,return-value]
        Ordered(1_000, "anna", "operator", method, params, "done")
    )
    (kept,) = book.orders
    return kept


def test_who_when_what_and_why() -> None:
    kept = taken("operate", {"stop": True, "by": "ben", "why": "a cable burns"})
    assert kept == OrderRow(5.0, "anna", "ben", "operator", 'operate {"stop":true}', "a cable burns", "done")


def test_without_another_name_the_users_own_counts() -> None:
    assert taken("undo", {"number": 3}).by == "anna"
    assert taken("undo", {"number": 3, "who": "ben"}).by == "ben"


@pytest.mark.parametrize(
    "params",
    [
        {"component": "SecurityCtrlr", "variable": "BasicAuthPassword", "value": "hunter2hunter2"},
        {"location": "ftp://user:hunter2hunter2@host/file"},
        {"list": [{"idToken": "hunter2hunter2"}]},
    ],
)
def test_no_secret_is_written_down(params: dict[str, Any]) -> None:
    with capture_logs() as lines:
        kept = taken("ocpp", {"station": "CP01", "operation": "set-variable", "params": params})
    assert "hunter2" not in str(kept) + str(lines)
    assert "CP01" in kept.what
    assert all(name in kept.what for name in params)


def test_plain_values_are_written_down_and_long_ones_are_cut() -> None:
    kept = taken("ocpp", {"station": "CP01", "operation": "reset", "params": {"type": "Soft"}})
    assert "Soft" in kept.what
    assert len(taken("services", {"limits": ["x" * 9_000]}).what) == WHAT_MAX


def test_without_a_journal_the_log_has_it() -> None:
    with capture_logs() as lines:
        OrderLog(lambda: None, lambda: 5.0).record(Ordered(0, "root", "engineer", "cloud", {}, "done"))
    assert lines[0]["event"] == "operator_order"
    assert lines[0]["who"] == "root"


def test_signals_of_programmes_are_not_written_down() -> None:
    book = Book()
    log = OrderLog(lambda: book, lambda: 5.0)  # type: ignore[arg-type,return-value]
    log.record(Ordered(1, "a", "operator", "services", {"signal": {"service": "f", "value": 0.1}}, "done"))
    assert book.orders == []
    log.record(Ordered(1, "a", "operator", "services", {"limits": []}, "done"))
    assert len(book.orders) == 1
