"""Standing orders survive a restart; a file nobody can read is a stop."""

from pathlib import Path

from v2g_edge.host.operator import OperatorFile
from v2g_edge.model.snapshot import Operator


def test_orders_come_back_after_a_restart(tmp_path: Path) -> None:
    OperatorFile(tmp_path / "state" / "operator.json").save(Operator(stop=True, export_hold=True))
    assert OperatorFile(tmp_path / "state" / "operator.json").load() == Operator(stop=True, export_hold=True)


def test_a_new_site_has_no_orders(tmp_path: Path) -> None:
    assert OperatorFile(tmp_path / "operator.json").load() == Operator()


def test_a_file_that_cannot_be_read_is_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "operator.json"
    for garbage in (b"", b"{", b"[]", b'{"stop": 7}', b"\xff\xfe"):
        path.write_bytes(garbage)
        assert OperatorFile(path).load().stop
    path.unlink()
    path.mkdir()
    assert OperatorFile(path).load().stop


def test_a_torn_write_leaves_the_old_orders(tmp_path: Path) -> None:
    orders = OperatorFile(tmp_path / "operator.json")
    orders.save(Operator(export_hold=True))
    (tmp_path / "operator.new").write_bytes(b'{"st')
    assert orders.load() == Operator(export_hold=True)
