"""Standing orders survive a restart; a file nobody can read is a stop."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.snapshot import Operator


def test_orders_come_back_after_a_restart(tmp_path: Path) -> None:
    OperatorFile(tmp_path / "state" / "operator.json").save(Operator(stop=True, export_hold=True))
    assert OperatorFile(tmp_path / "state" / "operator.json").load() == Operator(stop=True, export_hold=True)


def test_a_new_site_has_no_orders(tmp_path: Path) -> None:
    assert OperatorFile(tmp_path / "operator.json").load() == Operator()


def test_orders_that_cannot_be_read_are_taken_for_a_stop_and_told(tmp_path: Path) -> None:
    path = tmp_path / "operator.json"
    for garbage in (b"", b"{", b"[]", b'{"stop": 7}', b"\xff\xfe"):
        path.write_bytes(garbage)
        orders = OperatorFile(path)
        assert orders.load().stop
        assert "operator.json" in orders.fault


def test_a_torn_write_leaves_the_old_orders(tmp_path: Path) -> None:
    orders = OperatorFile(tmp_path / "operator.json")
    orders.save(Operator(export_hold=True))
    (tmp_path / "operator.new").write_bytes(b'{"st')
    assert orders.load() == Operator(export_hold=True)


def test_outside_case_b3_what_could_not_be_kept_is_said_and_kept_as_soon_as_the_disk_takes_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").write_text("no folder")
    orders = OperatorFile(tmp_path / "state" / "operator.json")
    assert "state" in orders.save(Operator(stop=True))
    assert orders.save_again()
    (tmp_path / "state").unlink()
    assert orders.save_again() == ""
    assert OperatorFile(tmp_path / "state" / "operator.json").load() == Operator(stop=True)
    assert orders.save_again() == "", "nothing is left to write"


def test_the_end_of_a_service_is_no_order_that_stands(tmp_path: Path) -> None:
    """An order that comes while the service ends is kept without that end."""
    OperatorFile(tmp_path / "operator.json").save(Operator(export_hold=True, closing=True))
    assert OperatorFile(tmp_path / "operator.json").load() == Operator(export_hold=True)
    (tmp_path / "operator.json").write_bytes(msgspec.json.encode(Operator(closing=True)))
    (tmp_path / "operator.json.copy").unlink()
    assert OperatorFile(tmp_path / "operator.json").load() == Operator()


def test_an_order_and_the_housekeeping_that_write_at_the_same_time_keep_the_newest(tmp_path: Path) -> None:
    """Both run in threads: neither takes the other's half-written file away, and the last order stands."""
    orders = OperatorFile(tmp_path / "operator.json")
    with ThreadPoolExecutor(8) as pool:
        for number in range(60):
            given = [pool.submit(orders.save, Operator(by=f"{number}"))]
            given += [pool.submit(orders.save_again) for _ in range(7)]
            assert [each.result() for each in given] == [""] * 8
            assert OperatorFile(tmp_path / "operator.json").load() == Operator(by=f"{number}")
