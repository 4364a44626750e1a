"""``make demo``: daemon and simulator as two processes over real sockets, one night at a hundred and twenty
times real time.

A second of the night lasts eight milliseconds, and no machine answers in one: what the safety table counts in
seconds is set to what amounts to fractions of a real second (``hurried``), and the judges grant the same. The
disturbance lasts that much longer. Where the machine is busy, the clock of both processes is slower from the
start (``tempo``), and all of that lasts longer.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from sim.runners.report import as_text, kept, with_journal
from sim.runners.tempo import fitting_scale, late_words, measure_round_s, slowed_words
from sim.scenarios.night import START, night
from sim.scenarios.scenario import Scenario, write_prices, write_scenario
from v2g_edge.config import dump

SCALE: Final = 120.0
LEAD_S: Final = 300.0
"""Played seconds before the night begins, in which the processes start (2.5 s of real time)."""

BUSY_LEAD_S: Final = 2_100.0
"""The same on a busy machine: Python's start takes a second of a whole core, and ten or more where ten
others want it too.
"""

PEAK_S: Final = 2.75 * 3_600.0
"""19:15, in the evening peak: when one charger is asked why."""

STOP_S: Final = 15.0
"""Real seconds that a child gets to end by itself."""


def hurried(scenario: Scenario, scale: float, lead_s: float = LEAD_S) -> Scenario:
    """``scenario`` for a clock ``scale`` times as fast: ages and leases as long in real time as processes
    need to answer.

    It begins ``lead_s`` played seconds earlier.
    """
    real_s = scale  # played seconds in one real second
    safety = replace(
        scenario.site.safety,
        meter_max_age_s=min(0.5 * real_s, 60.0),
        contact_max_age_s=min(0.5 * real_s, 60.0),
        charger_max_age_s=min(3 * real_s, 600.0),
        soc_max_age_s=10 * real_s,
        temperature_max_age_s=10 * real_s,
        lease_s=min(4 * real_s, 600.0),
        obey_within_s=min(4 * real_s, 600.0),
        balance_within_s=4 * real_s,
        frozen_reads=500,
        late_after_s=30.0,  # three ticks
    )
    longer = tuple(replace(d, duration_s=max(d.duration_s, 5 * real_s)) for d in scenario.disturbances)
    return replace(
        scenario,
        site=replace(scenario.site, safety=safety),
        stations=tuple(
            replace(station, meter_interval_s=max(10.0, 0.2 * real_s)) for station in scenario.stations
        ),
        disturbances=longer,
        start_wall_s=scenario.start_wall_s - lead_s,
        duration_s=scenario.duration_s + lead_s,
        meter_poll_s=0.05 * real_s,
        relay_poll_s=0.05 * real_s,
        tick_s=min(0.08 * real_s, 10.0),
        reaction_s=max(2.0, 0.75 * real_s),
        allowed_late_s=max(60.0, 2 * real_s),
    )


CONSOLE_PORT: Final = 3000
"""The console's own default."""


class Demo:
    """The two processes and what is shown of them. ``folder`` holds everything they write.

    The depot is set up for a clock ``scale`` times as fast as life; its clock runs ``pace`` times as fast,
    which may be slower.
    """

    def __init__(self, folder: Path, seed: int, scale: float, pace: float | None = None) -> None:
        self.folder = folder
        self.scale = scale if pace is None else pace
        self.lead_s = LEAD_S if self.scale >= scale else BUSY_LEAD_S
        self.scenario = hurried(night(seed), scale, self.lead_s)
        self.socket = str(folder / "control.sock")
        self.report = folder / "report.json"
        self._children: list[subprocess.Popen[bytes]] = []
        self._daemon: tuple[str, ...] = ()
        self._ports = free_ports(3)
        self.console_port = console_port()

    def start(self) -> None:
        """Write the site file and the scenario, start the daemon and the simulator."""
        ocpp, meter, relay = self._ports
        prices, site, played = (
            self.folder / "prices.csv",
            self.folder / "site.toml",
            self.folder / "night.json",
        )
        write_prices(self.scenario.prices, prices)
        write_scenario(self.scenario, played)
        settings = self.scenario.settings(
            self.folder,
            ocpp_port=ocpp,
            meter_port=meter,
            relay_port=relay,
            price_file=str(prices),
            socket=self.socket,
        )
        site.write_text(dump(settings))
        start = datetime.fromtimestamp(self.scenario.start_wall_s, UTC).isoformat()
        clock = [
            "--clock-start",
            start,
            "--clock-scale",
            f"{self.scale:g}",
            "--clock-origin",
            f"{time.monotonic():.3f}",
        ]
        ports = ["--meter-port", str(meter), "--relay-port", str(relay)]
        depot = ["--scenario", str(played), *clock, "--url", f"ws://127.0.0.1:{ocpp}", *ports]
        self._spawn("simulator.log", "sim", "serve", *depot, "--report", str(self.report))
        self._daemon = ("v2g_edge.cli", "run", "--config", str(site), *clock)
        self._spawn("daemon.log", *self._daemon)
        page = ["--listen", f"127.0.0.1:{self.console_port}", "--state", str(self.folder / "console")]
        self._spawn("console.log", "v2g_edge.cli", "console", *page, "--socket", self.socket)

    def kill_daemon(self) -> None:
        """Kill the daemon at once, as ``kill -9`` does."""
        self._children[1].kill()
        self._children[1].wait()

    def start_daemon(self) -> None:
        """Start it again, on the same clock and with what it had kept."""
        self._spawn("daemon.log", *self._daemon)
        self._children[1] = self._children.pop()

    def console_code(self) -> str:
        """The one-time code of the page's first visit; "" where the console does not run."""
        command = [sys.executable, "-m", "v2g_edge.cli", "console-code", "--state"]
        made = subprocess.run(  # noqa: S603 - our own
            [*command, str(self.folder / "console")], capture_output=True, text=True, timeout=60, check=False
        )
        return made.stdout.partition("\n")[0] if made.returncode == 0 else ""

    def running(self) -> bool:
        """Whether the night still goes on; RuntimeError when the daemon is gone before it is over."""
        simulator, daemon = self._children[:2]  # a page that fails does not end the night
        if simulator.poll() is not None:
            return False
        if daemon.poll() is not None:
            raise RuntimeError(f"the daemon ended with {daemon.returncode}:\n{self.tail('daemon.log')}")
        return True

    def ask(self, *words: str) -> str:
        """What ``v2g-edge`` answers on its control socket; "" while it does not."""
        command = [sys.executable, "-m", "v2g_edge.cli", *words, "--socket", self.socket]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - our own
        return asked.stdout if asked.returncode == 0 else ""

    def stop(self) -> None:
        """End both processes: politely, then not."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in self._children:
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def result(self) -> dict[str, Any]:
        """The report of a night that has ended."""
        if not self.report.exists():
            raise RuntimeError(f"the simulator left no report:\n{self.tail('simulator.log')}")
        return with_journal(json.loads(self.report.read_text()), self.folder / "journal.db")

    def tail(self, name: str) -> str:
        """The end of a child's log."""
        return "\n".join((self.folder / name).read_text(errors="replace").splitlines()[-15:])

    def _spawn(self, log: str, *words: str) -> None:
        with (self.folder / log).open("ab") as output:
            child = subprocess.Popen([sys.executable, "-m", *words], stdout=output, stderr=output)  # noqa: S603 - our own
        self._children.append(child)


def free_ports(count: int) -> list[int]:
    """So many ports of 127.0.0.1 that are free at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def console_port() -> int:
    """The console's usual port where it is free, else any."""
    try:
        with socket.create_server(("127.0.0.1", CONSOLE_PORT)):
            return CONSOLE_PORT
    except OSError:
        return free_ports(1)[0]


def run_demo(seed: int, scale: float, every_s: float) -> int:
    """Play the night and print what happened. 0: every promise held; 1: not; 130: ended with Ctrl-C."""
    # Both end it as Ctrl-C does: the children must not outlive us. A shell starts background jobs with SIGINT
    # ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        pace = fitting_scale(scale, measure_round_s())
    except KeyboardInterrupt:
        print("\nended")
        return 130
    slowed = slowed_words(scale, pace)
    with tempfile.TemporaryDirectory(prefix="v2g-edge-demo-") as folder:
        demo = Demo(Path(folder), seed, scale, pace)
        _introduce(demo, slowed)
        try:
            demo.start()
            _show_console(demo)
            why = _watch(demo, every_s)
        except KeyboardInterrupt:
            print("\nended")
            return 130
        except RuntimeError as fault:
            print(f"\n{fault}", file=sys.stderr)
            return 1
        finally:
            demo.stop()
        report, late = demo.result(), late_words((demo.folder / "daemon.log").read_text(errors="replace"))
    for words in filter(None, (slowed, late)):
        print(f"\n{words}")
    print(f"\n{as_text(report)}\n\nAt the evening peak: v2g-edge why\n{why or '(it was not asked in time)'}")
    return 0 if kept(report) and why else 1


def _introduce(demo: Demo, slowed: str) -> None:
    pace, night_s, reaction_s = demo.scale, demo.scenario.duration_s, demo.scenario.reaction_s
    if slowed:
        print(slowed)
    chargers, minutes = len(demo.scenario.stations), night_s / pace / 60
    print(f"One night of {chargers} chargers, {pace:g} times as fast as life: about {minutes:.0f} minutes.")
    print(
        f"At that speed a reaction may take {reaction_s:g} played seconds, {reaction_s / pace:.2f} s of"
        " yours.",
        flush=True,
    )


def _show_console(demo: Demo) -> None:
    """Where the night can be followed in a browser."""
    if code := demo.console_code():
        address = f"http://127.0.0.1:{demo.console_port}/"
        print(f"The same night as a page: {address} (choose the one-time code: {code})", flush=True)


def _watch(demo: Demo, every_s: float) -> str:
    """Show the live table until the night is over; the answer to "why" at the peak."""
    why, began_s, shown_s = "", time.monotonic(), 0.0
    live = sys.stdout.isatty()
    while demo.running():
        time.sleep(0.5)  # the pace of the live table; the children are processes that send no signal
        real_s = time.monotonic() - began_s
        played_s = real_s * demo.scale - demo.lead_s
        if real_s - shown_s >= every_s and (table := demo.ask("status", "--once")):
            shown_s = real_s
            print(f"\x1b[H\x1b[J{table}" if live else f"\n{table}", end="", flush=True)
        if not why and played_s >= PEAK_S:
            why = demo.ask("why", _busiest(demo))
    return why


def _busiest(demo: Demo) -> str:
    """The charger that feeds back most."""
    status = json.loads(demo.ask("status", "--json") or '{"evses": []}')
    found = min(
        status["evses"], key=lambda evse: evse["permit_w"], default={"id": demo.scenario.site.evses[0].id}
    )
    return str(found["id"])


__all__ = ["SCALE", "START", "Demo", "free_ports", "hurried", "run_demo"]
