"""Each small file that the daemon reads, cut at every octet, and with octets changed at random: what is read
is what was written, or the strictest thing that it can mean.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.config.small import TEXT
from tests.departure.test_capacity import WALL_S
from v2g_edge.api.offers_file import OffersFile
from v2g_edge.cli.site import loading
from v2g_edge.config.load import loads
from v2g_edge.departure.capacity import Ledger, Offer
from v2g_edge.field.ocpp.trust.tokens import Tokens
from v2g_edge.host import clockstate
from v2g_edge.host.operator import OperatorFile
from v2g_edge.host.records import MemoryFile
from v2g_edge.host.rescuefile import RescueFile
from v2g_edge.market.billed_peaks import BilledPeaks
from v2g_edge.market.openadr.ven import Kept, Ven
from v2g_edge.market.openadr.wire import AdrEvent, Programme
from v2g_edge.model.settings import DemandCharge, ModbusLine, OpenableContactor, OpenAdrSettings
from v2g_edge.model.snapshot import Operator
from v2g_edge.statefile import StateFile

CHANCE = random.Random(14)
FLIPS = 200
CONTACTOR = OpenableContactor("k1-relay", ModbusLine("field", host="127.0.0.1", port=502), 9, 3)
OFFER = Offer("r1", "reserve", WALL_S + 3_600.0, (("b1", 5_000.0),))
OPERATOR = Operator(export_hold=True, by="anna", why="work on the plant")


CHARGE = DemandCharge("grid", 5.0, billed_kw=70.0)
KEPT = Kept({"p": Programme("p", "capacity")}, [AdrEvent("e", "p", [])])


class Still:
    """A clock that stands."""

    def now_s(self) -> float:
        return 100.0

    def wall_s(self) -> float:
        return WALL_S

    def synced(self) -> bool:
        return True

    async def sleep_s(self, duration_s: float) -> None:
        raise AssertionError(duration_s)


def _no_reading(data: bytes) -> Kept:
    raise AssertionError(data)


class Case(NamedTuple):
    """``write`` makes the file, ``read`` gives what it says; ``strict``: what it may also be taken for."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    strict: Callable[[object], bool]


def _offers(folder: Path) -> object:
    try:
        return OffersFile(folder / "offers.json", 86_400.0).load(WALL_S, synced=True)
    except ValueError as error:
        return str(error)


def _settings(folder: Path) -> object:
    return loading.last_good(str(folder))


def _programmes(folder: Path) -> object:
    """What is known of the VTN, and whether it was said that it is not."""
    told: list[str] = []
    ven = Ven(
        OpenAdrSettings(url="https://vtn.example"), Still(), folder,
        tell=lambda event: told.append(event.text), on_change=lambda: None, measured=lambda: None,
    )  # fmt: skip
    ven.load()
    return ven._kept, told


def _peaks(folder: Path) -> object:
    peaks = BilledPeaks((CHARGE,), folder / "billed_peaks.json", "UTC")
    return peaks.windows(WALL_S)[0].billed_kw, peaks.fault


def _write_peaks(folder: Path) -> None:
    peaks = BilledPeaks((CHARGE,), folder / "billed_peaks.json", "UTC")
    month_s = WALL_S - WALL_S % CHARGE.window_s
    for second in range(0, int(2 * CHARGE.window_s), 30):
        peaks.observe(month_s + second, 90_000.0)
    assert peaks.save() == ""


CASES = (
    Case(
        "openadr.json",
        lambda folder: StateFile[Kept](folder / "openadr.json", msgspec.json.encode, _no_reading).save(KEPT),
        _programmes,
        lambda found: found[0] == Kept() and "not known until the VTN answers" in found[1][0],  # type: ignore[index]
    ),
    Case(
        "billed_peaks.json",
        _write_peaks,
        _peaks,
        lambda found: found[0] == CHARGE.billed_kw and "billed_kw counts" in found[1],  # type: ignore[index]
    ),
    Case(
        "operator.json",
        lambda folder: OperatorFile(folder / "operator.json").save(OPERATOR),
        lambda folder: OperatorFile(folder / "operator.json").load(),
        lambda found: isinstance(found, Operator) and found.stop,
    ),
    Case(
        "offers.json",
        lambda folder: OffersFile(folder / "offers.json", 86_400.0).save(Ledger((OFFER,))),
        _offers,
        lambda found: isinstance(found, str) and "nothing is offered" in found,
    ),
    Case(
        "memory",
        lambda folder: MemoryFile(folder / "memory").save((WALL_S, b"ledgers")),
        lambda folder: MemoryFile(folder / "memory").load(),
        lambda found: found[0] is None and bool(found[1]),  # type: ignore[index]
    ),
    Case(
        "rescue.json",
        lambda folder: RescueFile(folder).save((CONTACTOR,)),
        lambda folder: RescueFile(folder).load(),
        lambda found: found[0] is None and bool(found[1]),  # type: ignore[index]
    ),
    Case(
        loading.GOOD,
        lambda folder: loading.keep_good(
            loads(TEXT.replace("[site]", f'[host]\nstate_dir = "{folder}"\n[site]'))
        ),
        _settings,
        lambda found: found is None,
    ),
)


def damaged(data: bytes) -> Iterator[bytes]:
    """Cut at every octet; then with one to five octets changed."""
    step = max(len(data) // 1_000, 1)
    yield from (data[:cut] for cut in range(0, len(data), step))
    for _ in range(FLIPS):
        changed = bytearray(data)
        for _ in range(CHANCE.randrange(1, 6)):
            changed[CHANCE.randrange(len(data))] = CHANCE.randrange(256)
        yield bytes(changed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_read_is_what_was_written_or_the_strictest(case: Case, tmp_path: Path) -> None:
    """Both copies damaged alike: the worst that a failing card does."""
    case.write(tmp_path)
    written = case.read(tmp_path)
    assert not case.strict(written)
    files = [path for path in tmp_path.iterdir() if path.name.startswith(case.name)]
    data = {path: path.read_bytes() for path in files}
    for harm in damaged(data[tmp_path / case.name]):
        for path in files:
            path.write_bytes(harm)
        found = case.read(tmp_path)
        assert found == written or case.strict(found), (harm, found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_whole_copy_is_enough(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    written = case.read(tmp_path)
    data = (tmp_path / case.name).read_bytes()
    for harm in (b"", data[: len(data) // 2], CHANCE.randbytes(50)):
        case.write(tmp_path)
        (tmp_path / case.name).write_bytes(harm)
        found = case.read(tmp_path)
        assert _value(found) == _value(written)


def _value(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found


def test_a_list_of_cards_that_is_cut_admits_nobody(tmp_path: Path) -> None:
    """It is written by hand, so it has no checksum."""
    path = tmp_path / "tokens.json"
    data = b'{"others": "Blocked", "known": {"CARD1": {"status": "Accepted"}}}'
    path.write_bytes(data)
    assert Tokens(path).find("CARD1", WALL_S).status == "Accepted"
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        assert Tokens(path).find("CARD1", WALL_S).status == "Invalid"


def test_the_state_of_the_clock_that_is_cut_says_not_synchronised(tmp_path: Path) -> None:
    path = tmp_path / "state"
    clockstate.write(path, synced=True, now_s=123_456.0)
    data = path.read_bytes()
    assert clockstate.read(path, 123_456.0)
    for harm in damaged(data.rstrip(b"0\n.")):
        path.write_bytes(harm)
        assert clockstate.read(path, 123_456.0) in (True, False)
    for cut in range(len(b"1 12345")):
        path.write_bytes(data[:cut])
        assert not clockstate.read(path, 123_456.0)
