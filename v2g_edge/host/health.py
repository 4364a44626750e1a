"""How the program and its machine are: ticks and their lateness, counted events, memory, disk, temperature,
certificates.

The tick and the pace report themselves; the machine is looked at every ``LOOK_EVERY_S`` in a thread.
"""

import os
from collections import Counter
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Final

from cryptography import x509
from msgspec import Struct

from v2g_edge.model.event import Event

LOOK_EVERY_S: Final = 30.0
"""Disks fill and boxes warm up over minutes."""

FRESH_TICK_S: Final = 10.0
"""A last tick older than this is the watchdog's limit too (``WatchdogSec`` of the unit)."""

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper ends of the histogram: a tick of one charger takes about 1 ms, and one second is the pace."""

THERMAL: Final = Path("/sys/class/thermal")
STATM: Final = Path("/proc/self/statm")


class Histogram:
    """Counts by upper end, the way a monitoring system reads them."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, value_s: float) -> None:
        """One more value."""
        self.sum_s += value_s
        place = next((i for i, end_s in enumerate(BUCKETS_S) if value_s <= end_s), len(BUCKETS_S))
        self.counts[place] += 1


class Machine(Struct, frozen=True):
    """One look at the machine. None is what this machine cannot measure."""

    memory_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    state_bytes: int | None = None
    temperature_c: float | None = None
    certificates: dict[str, float] = {}
    """When each certificate file ends, UTC epoch seconds."""


class Health:
    """What is known of the running program. All methods but ``look_at`` run on the loop's thread."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.ticks = Histogram()
        self.late = Histogram()
        self.last_tick_s: float | None = None
        self.events: Counter[tuple[str, str]] = Counter()
        self.machine = Machine()

    def record_tick(self, begun_s: float, ended_s: float) -> None:
        """A whole tick, from its picture to the watchdog."""
        self.ticks.observe(max(ended_s - begun_s, 0.0))
        self.last_tick_s = ended_s

    def record_late(self, late_s: float) -> None:
        """How much later than planned the loop came to a tick."""
        self.late.observe(max(late_s, 0.0))

    def record_events(self, events: Iterable[Event]) -> None:
        """Counts them by kind and severity."""
        for event in events:
            self.events[event.kind, event.severity] += 1

    def is_alive(self, now_s: float) -> bool:
        """Whether a whole tick ended within ``FRESH_TICK_S``."""
        return self.last_tick_s is not None and now_s - self.last_tick_s < FRESH_TICK_S


def look_at_machine(state_dir: Path, certificates: tuple[str, ...]) -> Machine:
    """Reads what the machine says of itself. Blocks for some milliseconds: call it in a thread."""
    disk = _disk(state_dir)
    return Machine(
        memory_bytes=_resident(),
        disk_free_bytes=disk[0] if disk else None,
        disk_total_bytes=disk[1] if disk else None,
        state_bytes=_size(state_dir),
        temperature_c=_temperature(),
        certificates={name: end_s for name in certificates if (end_s := _ends(Path(name))) is not None},
    )


def _resident() -> int | None:
    try:
        return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _disk(folder: Path) -> tuple[int, int] | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _size(folder: Path) -> int | None:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return None


def _temperature() -> float | None:
    """The warmest zone; thousandths of a degree (kernel documentation, thermal sysfs)."""
    warmest: float | None = None
    for zone in THERMAL.glob("thermal_zone*/temp"):
        try:
            found_c = int(zone.read_text(encoding="ascii")) / 1_000.0
        except (OSError, ValueError):
            continue
        warmest = found_c if warmest is None else max(warmest, found_c)
    return warmest


def _ends(path: Path) -> float | None:
    """The first end of all certificates in a PEM file; None for a file that is missing or is none."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    return min(certificate.not_valid_after_utc.replace(tzinfo=UTC).timestamp() for certificate in found)
