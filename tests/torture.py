"""``python -m tests.torture [KILLS] [CUTS]`` (``make torture``): a daemon that is killed, and one whose
machine loses power.

After each of KILLS (300) ends by kill -9 at a random moment, the next process must know the order that was
answered last, let the row of the safety table that belongs to it act, and permit nothing meanwhile; the
journal must read back without a gap in any run. After each of CUTS (200) the state folder is copied while it
is written, the newest file is torn at a random place, and a successor on the copy must know the ledgers and
the trips (``tests.power_cuts``).
"""

# ruff: noqa: T201 - it is a command: printing is its job
import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.config.small import TEXT
from tests.power_cuts import power_cuts
from tests.processes import running
from v2g_edge.cli.client import ask
from v2g_edge.cli.outcome import CommandError
from v2g_edge.host.records import JournalReader

KEPT = Path("build/torture")
"""The state folder on which a promise did not hold."""
START_S = 120.0
"""For a daemon's first tick, on a machine with other work."""
ORDERS = ({"stop": True}, {"export_hold": True}, {"stop": False}, {"export_hold": False})
SEED = 14


def site_in(folder: Path) -> Path:
    """The small depot with its state in ``folder``; its devices are behind a port that refuses."""
    path = folder / "site.toml"
    host = f'\n[host]\nstate_dir = "{folder}/state"\nsocket = "{folder}/control.sock"\ntick_s = 0.05\n'
    path.write_text(
        TEXT.replace('host = "192.0.2.10"', 'host = "127.0.0.1"\nport = 1') + host, encoding="utf-8"
    )
    return path


@contextlib.contextmanager
def daemon(site: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`v2g-edge run` as a process that has finished its first tick. One that does not get there says where
    each of its threads stands.
    """
    command = [sys.executable, "-X", "faulthandler", "-m", "v2g_edge.cli", "run", "--config", str(site)]
    said = site.parent / "said"
    environment = {**os.environ, "NOTIFY_SOCKET": ""}
    with said.open("wb") as log, running(command, stderr=log, env=environment) as process:
        end_s = time.monotonic() + START_S
        while not answers(str(site.parent / "control.sock")):
            if process.poll() is not None or time.monotonic() > end_s:
                process.send_signal(signal.SIGABRT)
                process.wait(20)
                raise AssertionError(
                    f"no first tick (exit {process.returncode}):\n{said.read_text()[-6000:]}"
                )
            time.sleep(0.05)  # between two tries to reach another process, with a limit above
        yield process


def answers(socket: str) -> bool:
    """Whether a daemon answers there."""
    try:
        ask(socket, "status")
    except CommandError:
        return False
    return True


def standing(socket: str) -> dict[str, bool]:
    """The orders in force, and a check that a stop is more than a word: its row acts and nothing is
    permitted.
    """
    status = ask(socket, "status")
    orders: dict[str, bool] = status["operator"]
    acting = {row["row"] for row in status["acting"]}
    assert orders["stop"] == ("operator_stop" in acting), f"orders {orders}, acting {acting}"
    assert not orders["stop"] or all(row["permit_w"] == 0.0 for row in status["evses"]), (
        "power is permitted under a stop"
    )
    return orders


def gaps_in(journal: Path) -> int:
    """Ticks that are missing between two others of one run."""
    reader, missing = JournalReader(journal), 0
    run, seq = 0, 0
    for tick in reader.ticks():
        if tick.run == run:
            missing += tick.snapshot.seq - seq - 1
        run, seq = tick.run, tick.snapshot.seq
    reader.close()
    return missing


def kills(folder: Path, count: int, drawn: random.Random) -> None:
    """Orders while it lives, kill -9 in between, and a look at what the next process knows."""
    site, socket = site_in(folder), str(folder / "control.sock")
    known = {"stop": False, "export_hold": False}
    for turn in range(count):
        with daemon(site) as process:
            assert standing(socket) == known, f"kill {turn}: an answered order is lost"
            for _ in range(drawn.randrange(4)):
                order = drawn.choice(ORDERS)
                answer = ask(socket, "operate", dict(order))
                known = {key: answer[key] for key in known}
            time.sleep(drawn.uniform(0.0, 0.3))  # the moment of the kill is the experiment
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        assert gaps_in(folder / "state" / "journal.db") == 0, f"kill {turn}: the journal has a gap"
        if turn % 20 == 19:
            print(f"{turn + 1} kills", flush=True)


def cuts(folder: Path, count: int, drawn: random.Random) -> None:
    """A depot that discharges and trips, its folder copied and torn at random moments."""
    print(asyncio.run(power_cuts(folder, count, drawn)), flush=True)


def main() -> int:
    """0 when all held; an AssertionError names the first that did not."""
    counts = [int(word) for word in sys.argv[1:]] or [300, 200]
    drawn = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="v2g-edge-torture-") as name:
        for part, count in zip((kills, cuts), counts, strict=False):
            folder = Path(name) / part.__name__
            folder.mkdir()
            try:
                part(folder, count, drawn)
            except BaseException:
                shutil.rmtree(KEPT, ignore_errors=True)
                shutil.copytree(folder, KEPT, ignore=shutil.ignore_patterns("*.sock"))
                print(f"what it held on is kept in {KEPT}", file=sys.stderr)
                raise
    print(f"{counts}: every answered order, every ledger and every trip is back, no gap in the journal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
