"""Modbus over TLS: what TCP reads, from the device that the CA vouches for."""

import ssl
import subprocess
from pathlib import Path

import pytest

from sim.modbus.mapped import Mapped
from sim.modbus.server import Unit, _Server
from tests.field.modbus.conftest import RealClock
from v2g_edge.field.modbus.map_parser import load_map
from v2g_edge.field.modbus.wire import Fault, Wire
from v2g_edge.model.settings import ModbusLine


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Two self-signed certificates for 127.0.0.1, "ours" and "other"."""
    for name in ("ours", "other"):
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
        subprocess.run(command, check=True, capture_output=True)
    return tmp_path


async def test_tls_reads_what_tcp_reads_and_refuses_a_stranger(certificates: Path) -> None:
    """A server certificate from the named CA is accepted, another one is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "ours.pem", certificates / "ours.key")
    unit = Unit(1, Mapped(load_map("temperature-tenths"), lambda: {"value_c": 21.5}))
    server = _Server([unit.device()], ("127.0.0.1", 0))
    server.call_create.keywords["ssl"] = context  # type: ignore[attr-defined]
    assert await server.listen()
    port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    found = []
    for name in ("ours", "other"):
        line = ModbusLine(
            "l",
            transport="tls",
            host="127.0.0.1",
            port=port,
            ca_file=str(certificates / f"{name}.pem"),
            timeout_s=5.0,
        )
        wire = Wire(line, RealClock())
        found.append(await wire.read(1, 3, 0, 1))
        wire.hang_up()
    await server.shutdown()  # type: ignore[no-untyped-call]
    assert found[0] == [215]
    assert isinstance(found[1], Fault)
