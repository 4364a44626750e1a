"""`v2g-edge modbus` against simulated devices: what answers is shown, what cannot be used is refused by
name.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sim.modbus.devices import MeterTruth, SunSpecMeter
from sim.modbus.mapped import Mapped
from sim.modbus.server import ModbusServer, Unit
from v2g_edge.cli.main import main
from v2g_edge.field.modbus.map_parser import load_map

TRUTH = MeterTruth((1_000.0, 2_000.0, -500.0), (229.0, 230.0, 231.0), 50.02, 123_000.0, 45_000.0)


@pytest.fixture
async def place() -> AsyncIterator[str]:
    """An SDM630 as unit 1 and a SunSpec meter as unit 3."""
    server = ModbusServer(
        [Unit(1, Mapped(load_map("sdm630"), TRUTH.values)), Unit(3, SunSpecMeter(lambda: TRUTH))]
    )
    await server.start()
    yield f"127.0.0.1:{server.port}"
    await server.stop()


async def command(*words: str) -> int:
    """The command has a loop of its own, so it gets a thread of its own."""
    return await asyncio.to_thread(main, ["modbus", *words])


async def test_scan_finds_units_and_their_models(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("scan", place, "--last", "3", "--timeout", "0.1") == 0
    shown = capsys.readouterr().out
    assert "unit 1: answers, no SunSpec" in shown
    assert "unit 3: SunSpec at 40000, models 1, 213" in shown
    assert "2 of 3 units answer" in shown


@pytest.mark.parametrize("words", [("--unit", "1", "--map", "sdm630"), ("--unit", "3")])
async def test_read_shows_every_value(
    place: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("read", place, *words) == 0
    shown = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines())
    assert float(shown["power_w"]) == 2_500.0
    assert float(shown["energy_export_wh"]) == 45_000.0


async def test_watch_tells_latency_loss_and_repetition(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("watch", place, "--map", "sdm630", "--every", "0.01", "--count", "2") == 0
    shown = capsys.readouterr().out
    assert "round 2, answered in" in shown
    assert "0.0 % lost (identical to the last)" in shown


async def test_a_wrong_map_shows_as_unknown_values(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("read", place, "--map", "abb-b23") == 1
    assert "unknown: exception 2 (illegal address)" in capsys.readouterr().out


def test_all_shipped_maps_pass_their_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["modbus", "map-test"]) == 0
    assert "sdm630: Eastron SDM630" in capsys.readouterr().out


def test_a_broken_map_is_told_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text('name = "x"\nkind = "meter"\n')
    assert main(["modbus", "map-test", "mine", "--maps", str(tmp_path)]) == 2
    assert "mine.toml: source: missing; say where the addresses come from" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["read", "host:99999"], "'99999' is no port"),
        (["read", "host", "--map", "no-such"], "no-such: no such register map"),
        (["scan", "host", "--first", "9", "--last", "3"], "units 9..3"),
    ],
)
def test_bad_words_are_refused_by_name(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["modbus", *words]) == 2
    assert text in capsys.readouterr().err
