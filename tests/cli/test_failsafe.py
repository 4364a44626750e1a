"""`v2g-edge failsafe`: opens the contactors over a real connection, without any daemon."""

import asyncio
import struct
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.config.small import TEXT
from v2g_edge.cli.main import main
from v2g_edge.config.load import loads
from v2g_edge.field.board import Board
from v2g_edge.field.modbus.failsafe import open_contactors
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.rescuefile import RescueFile
from v2g_edge.model.settings import OpenableContactor, Settings
from v2g_edge.tasks import close_door
from v2g_edge.wiring.parts import build_modbus

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
    """A relay module that knows function 5 (Modbus Application Protocol 6.5), and hangs up the first
    ``refuse`` times.
    """

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


def openable(settings: Settings) -> tuple[OpenableContactor, ...]:
    return build_modbus(settings, Board(settings.site, lambda: None), SystemClock()).openable()


async def drop(module: Module | None) -> dict[str, str]:
    server = await asyncio.start_server(
        module.serve if module else Module(refuse=1_000).serve, "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    settings = loads(TEXT.replace('host = "192.0.2.10"', f'host = "127.0.0.1"\nport = {port}') + CONTACTOR)
    if module is None:
        await close_door(server)
        await server.wait_closed()
    results = await open_contactors(openable(settings), SystemClock())
    await close_door(server)
    await server.wait_closed()
    return results


async def test_the_contactor_is_opened_and_nothing_else_is_touched() -> None:
    """One write: coil 3 of unit 9 off."""
    module = Module()
    assert await drop(module) == {"k1-relay": "opened"}
    assert module.written == [(9, 3, 0)]


async def test_a_module_that_hangs_up_at_first_is_tried_again() -> None:
    """It may still hold the dead daemon's connection."""
    module = Module(refuse=2)
    assert await drop(module) == {"k1-relay": "opened"}
    assert module.written == [(9, 3, 0)]


async def test_a_module_that_is_gone_is_reported() -> None:
    """Within seconds, and never as opened."""
    async with asyncio.timeout(60):
        assert (await drop(None))["k1-relay"] != "opened"


OWN_MAP = """
name = "ours"
kind = "contactor"
source = "made for this test"
status = "draft"
function = 3
word_order = "big"

[command]
coil = 40
"""


async def failsafe(site_text: str, folder: Path, *arguments: str) -> tuple[int, list[tuple[int, int, int]]]:
    """The command on a site file of ``site_text``; its exit code and what the module was told. PORT is the
    module's.
    """
    module = Module()
    server = await asyncio.start_server(module.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    site_file = folder / "site.toml"
    site_file.write_text(
        site_text.replace('host = "192.0.2.10"', f'host = "127.0.0.1"\nport = {port}'), encoding="utf-8"
    )
    try:
        kept = RescueFile(folder / "state").load().value
        if kept:  # the module of this test answers on another port than the last one
            lines = [replace(each.line, port=port) for each in kept]
            RescueFile(folder / "state").save(
                tuple(replace(each, line=line) for each, line in zip(kept, lines, strict=True))
            )
        code = await asyncio.to_thread(main, ["failsafe", "--config", str(site_file), *arguments])
    finally:
        await close_door(server)
        await server.wait_closed()
    return code, module.written


@pytest.mark.parametrize(
    "broken",
    ["telemetry_s = 0.1", "[[[", "\x00\xff", None],
    ids=["a value out of range", "no toml", "no text", "no file"],
)
async def test_outside_case_b4_rescue_with_a_broken_site_file(broken: str | None, tmp_path: Path) -> None:
    """What the last good start knew of contactors opens them."""
    host = f'[host]\nstate_dir = "{tmp_path / "state"}"\n'
    RescueFile(tmp_path / "state").save(openable(loads(TEXT + CONTACTOR)))
    if broken is None:
        module = Module()
        server = await asyncio.start_server(module.serve, "127.0.0.1", 0)
        line = replace(
            openable(loads(TEXT + CONTACTOR))[0].line,
            host="127.0.0.1",
            port=server.sockets[0].getsockname()[1],
        )
        RescueFile(tmp_path / "state").save((replace(openable(loads(TEXT + CONTACTOR))[0], line=line),))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
            assert await asyncio.to_thread(main, ["failsafe", "--config", str(tmp_path / "none.toml")]) == 0
        await close_door(server)
        assert module.written == [(9, 3, 0)]
        return
    kept = RescueFile(tmp_path / "state").load().value
    assert kept is not None
    RescueFile(tmp_path / "state").save(
        tuple(replace(each, line=replace(each.line, host="127.0.0.1")) for each in kept)
    )
    code, written = await failsafe(host + broken, tmp_path)
    assert (code, written) == (0, [(9, 3, 0)])


async def test_what_the_last_start_closed_is_opened_though_the_site_file_names_it_no_more(
    tmp_path: Path,
) -> None:
    host = f'[host]\nstate_dir = "{tmp_path / "state"}"\n'
    local = loads(TEXT.replace('host = "192.0.2.10"', 'host = "127.0.0.1"') + CONTACTOR)
    RescueFile(tmp_path / "state").save(openable(local))
    code, written = await failsafe(host + TEXT, tmp_path)
    assert (code, written) == (0, [(9, 3, 0)])


async def test_outside_case_d21_a_map_of_the_sites_own_gives_the_coil(tmp_path: Path) -> None:
    """The same map as the daemon reads; its coil, not one of a map that is shipped."""
    (tmp_path / "state" / "maps").mkdir(parents=True)
    (tmp_path / "state" / "maps" / "ours.toml").write_text(OWN_MAP, encoding="utf-8")
    host = f'[host]\nstate_dir = "{tmp_path / "state"}"\n'
    code, written = await failsafe(
        host + TEXT + CONTACTOR.replace('map = "contactor"', 'map = "ours"'), tmp_path
    )
    assert (code, written) == (0, [(9, 43, 0)])


async def test_outside_case_d21_a_map_that_cannot_be_read_falls_back_to_the_last_good_start(
    tmp_path: Path,
) -> None:
    local = loads(TEXT.replace('host = "192.0.2.10"', 'host = "127.0.0.1"') + CONTACTOR)
    RescueFile(tmp_path / "state").save(openable(local))
    host = f'[host]\nstate_dir = "{tmp_path / "state"}"\n'
    code, written = await failsafe(
        host + TEXT + CONTACTOR.replace('map = "contactor"', 'map = "gone"'), tmp_path
    )
    assert (code, written) == (0, [(9, 3, 0)])


def test_without_any_contactor_there_is_nothing_to_do(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A readable site file without one is fine; no file and no start before is not."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert main(["failsafe", "--config", str(site)]) == 0
    assert main(["failsafe", "--config", "/nowhere"]) == 2
