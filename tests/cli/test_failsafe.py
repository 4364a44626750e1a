"""`v2g-edge failsafe`: opens the contactors over a real connection, without any daemon."""

import asyncio
import struct
from pathlib import Path

import pytest

from tests.config.small import TEXT
from v2g_edge.cli.main import main
from v2g_edge.cli.site.failsafe import open_contactors
from v2g_edge.config.load import loads

CONTACTOR = """
[[devices]]
id = "k1-relay"
line = "field"
role = "contactor"
target = "k1"
map = "contactor"
unit = 9
channel = 3
"""


class Module:
    """A relay module that knows function 5 (Modbus Application Protocol 6.5), and hangs up the first ``refuse`` times."""

    def __init__(self, refuse: int = 0) -> None:
        self.refuse = refuse
        self.written: list[tuple[int, int, int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readexactly(7):
                _transaction, _protocol, length, unit = struct.unpack(">HHHB", head)
                pdu = await reader.readexactly(length - 1)
                if self.refuse:
                    self.refuse -= 1
                    break
                function, coil, value = struct.unpack(">BHH", pdu)
                assert function == 5
                self.written.append((unit, coil, value))
                writer.write(head + pdu)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def drop(module: Module | None) -> dict[str, str]:
    server = await asyncio.start_server(module.serve if module else Module(refuse=1_000).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = loads(TEXT.replace('host = "192.0.2.10"', f'host = "127.0.0.1"\nport = {port}') + CONTACTOR)
    if module is None:
        server.close()
        await server.wait_closed()
    results = await open_contactors(settings)
    server.close()
    await server.wait_closed()
    return results


async def test_the_contactor_is_opened_and_nothing_else_is_touched() -> None:
    """One write: coil 3 of unit 9 off."""
    module = Module()
    assert await drop(module) == {"k1-relay": "accepted"}
    assert module.written == [(9, 3, 0)]


async def test_a_module_that_hangs_up_at_first_is_tried_again() -> None:
    """It may still hold the dead daemon's connection."""
    module = Module(refuse=2)
    assert await drop(module) == {"k1-relay": "accepted"}
    assert module.written == [(9, 3, 0)]


async def test_a_module_that_is_gone_is_reported() -> None:
    """Within seconds, and never as opened."""
    async with asyncio.timeout(60):
        assert await drop(None) == {"k1-relay": "silent"}


def test_a_clean_end_leaves_the_contactors_alone(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd sets SERVICE_RESULT for ExecStopPost; the site file is not even read."""
    monkeypatch.setenv("SERVICE_RESULT", "success")
    assert main(["failsafe", "--config", "/nowhere", "--unless-clean"]) == 0
    assert main(["failsafe", "--config", "/nowhere"]) == 2
    monkeypatch.setenv("SERVICE_RESULT", "watchdog")
    assert main(["failsafe", "--config", "/nowhere", "--unless-clean"]) == 2
    assert main(["failsafe", "--config", str(site), "--unless-clean"]) == 0
