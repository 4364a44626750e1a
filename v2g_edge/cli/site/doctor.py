"""``v2g-edge doctor | dump``: is this installation well, and what does somebody far away need to know of
it?
"""

import argparse
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from v2g_edge import __version__
from v2g_edge.cli.client import add_socket, ask
from v2g_edge.cli.outcome import DONE, FAILED, CommandError
from v2g_edge.config import inspect
from v2g_edge.config.dropins import folder_of
from v2g_edge.host.clock import SystemClock
from v2g_edge.host.upkeep.trial import FOLDER, LAST

UNITS: Final = (
    "v2g-edge.service",
    "v2g-edge-clock.service",
    "v2g-edge-console.service",
    "v2g-edge-backup.service",
    "v2g-edge-ledger.service",
)
LINES: Final = 2_000
"""Of the log in a dump: some hours of a busy depot."""
DISK_LOW: Final = 0.1
DAY_S: Final = 86_400.0


class Row(NamedTuple):
    """One thing that was looked at; ``mend`` is empty where it is well."""

    what: str
    found: str
    mend: str = ""


def register(subparsers: Any) -> None:
    """Add the commands."""
    doctor = subparsers.add_parser("doctor", help="look at the installation and say what to do")
    dump = subparsers.add_parser(
        "dump", help="a bundle for support, without secrets and without drivers' data"
    )
    dump.add_argument("file", type=Path, help="the archive to write")
    for parser, run in ((doctor, run_doctor), (dump, run_dump)):
        parser.add_argument(
            "--config",
            type=Path,
            default=Path("/etc/v2g-edge/site.toml"),
            metavar="FILE",
            help="the site file",
        )
        add_socket(parser)
        parser.set_defaults(run=run)


def run_doctor(arguments: argparse.Namespace) -> int:
    """One line a row; 1 where one is not well."""
    rows = list(rows_of(arguments.config, arguments.socket))
    print("\n".join(lines_of(rows)))
    return FAILED if any(row.mend for row in rows) else DONE


def lines_of(rows: list[Row]) -> list[str]:
    """Well ones with ``ok``, others with ``!!`` and the mend below."""
    return [line for row in rows for line in _lines(row)]


def _lines(row: Row) -> Iterator[str]:
    yield f"{'!!' if row.mend else 'ok'}  {row.what:<18} {row.found}"
    if row.mend:
        yield f"    -> {row.mend}"


def rows_of(config: Path, socket: str) -> Iterator[Row]:
    """Site file, units, the daemon's own word, its machine."""
    report = inspect(config)
    errors = len(report.errors)
    found = f"{errors} errors, {len(report.problems) - errors} warnings"
    yield Row("site file", found, f"v2g-edge check {config}" if errors else "")
    for unit in UNITS:
        state = _said("systemctl", "is-active", unit) or "unknown (no systemd here)"
        yield Row(
            unit,
            state,
            f"systemctl status {unit}; journalctl -u {unit} -p warning" if state == "failed" else "",
        )
    yield from update_rows(FOLDER / LAST)
    try:
        health = ask(socket, "health")
    except CommandError as error:
        yield Row("daemon", str(error), "systemctl start v2g-edge; journalctl -u v2g-edge -n 50")
        return
    yield from health_rows(health, SystemClock().wall_s())


def update_rows(last: Path) -> Iterator[Row]:
    """How the last ``v2g-edge update`` ended; no row where there was none."""
    try:
        ended = json.loads(last.read_text(encoding="utf-8"))
        version, fault = str(ended["version"]), str(ended["fault"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    found = f"{fault}; {version} is back" if fault else f"{version} is healthy"
    yield Row(
        "update", found, "journalctl -u 'v2g-edge-update*'; v2g-edge update --to VERSION" if fault else ""
    )


def health_rows(health: dict[str, Any], wall_s: float) -> Iterator[Row]:
    """What the daemon says of itself, judged."""
    age_s = health["tick_age_s"]
    text = f"version {health['version']}, last tick {'never' if age_s is None else f'{age_s:.1f} s ago'}"
    yield Row("daemon", text, "" if health["ready"] else "journalctl -u v2g-edge -n 50")
    up, links = health["links_up"], health["links"]
    yield Row(
        "chargers",
        f"{up} of {links} connected",
        "" if up == links else "v2g-edge status; v2g-edge ocpp lists the stations",
    )
    synced = health["clock_synchronised"]
    mend = (
        ""
        if synced
        else "timedatectl status; without a time service that reaches its servers nothing is exported"
    )
    yield Row("clock", "synchronised" if synced else "not synchronised", mend)
    acting = health["acting"]
    yield Row(
        "safety table",
        ", ".join(acting) or "nothing acts",
        "v2g-edge status; docs/events.md explains each row" if acting else "",
    )
    lost = health["journal_lost"]
    yield Row(
        "journal", f"{lost} ticks lost", "the disk is full, broken or too slow: df, dmesg" if lost else ""
    )
    machine = health["machine"]
    free, total = machine["disk_free_bytes"], machine["disk_total_bytes"]
    if free is not None and total:
        low = free < DISK_LOW * total
        yield Row(
            "disk",
            f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free",
            "remove other files; host.journal_keep_days" if low else "",
        )
    if machine["memory_bytes"] is not None:
        yield Row("memory", f"{machine['memory_bytes'] / 1e6:.0f} MB")
    if machine["temperature_c"] is not None:
        yield Row("temperature", f"{machine['temperature_c']:.0f} °C")
    for name, end_s in machine["certificates"].items():
        days = (end_s - wall_s) / DAY_S
        yield Row(
            "certificate",
            f"{name} ends in {days:.0f} days",
            "renew it; systemctl reload v2g-edge" if days < 30.0 else "",
        )


def run_dump(arguments: argparse.Namespace) -> int:
    """Everything is text, and every text is cleaned before it is written."""
    texts = dict(texts_of(arguments.config, arguments.socket))
    private = names_in(arguments.config, texts)
    wall_s = SystemClock().wall_s()
    try:
        with tarfile.open(arguments.file, "w:gz") as out:
            for name, text in texts.items():
                data = cleaned(text, private).encode()
                entry = tarfile.TarInfo(f"v2g-edge-dump/{name}")
                entry.size, entry.mode, entry.mtime = len(data), 0o600, int(wall_s)
                out.addfile(entry, io.BytesIO(data))
    except OSError as error:
        raise CommandError(f"{arguments.file}: cannot be written ({error})", FAILED) from error
    print(
        f"{arguments.file}: {len(texts)} files; vehicles, cards and users are replaced; read it before it"
        " leaves the house"
    )
    return DONE


def texts_of(config: Path, socket: str) -> Iterator[tuple[str, str]]:
    """What there is, by file name; what cannot be had says so."""
    yield (
        "about.txt",
        f"v2g-edge {__version__}\n{datetime.fromtimestamp(SystemClock().wall_s(), tz=UTC).isoformat()}\n",
    )
    yield "doctor.txt", "\n".join(lines_of(list(rows_of(config, socket))))
    for path in (config, *sorted(folder_of(config).glob("*.toml"))):
        yield path.name if path == config else f"site.d/{path.name}", _read(path)
    for method in ("health", "status", "events", "plan"):
        try:
            yield f"{method}.json", json.dumps(ask(socket, method), indent=1, ensure_ascii=False)
        except CommandError as error:
            yield f"{method}.json", json.dumps({"error": str(error)})
    yield "log.txt", _said("journalctl", "--no-pager", "-u", "v2g-edge*", "-n", str(LINES), "-o", "short-iso")
    yield "units.txt", _said("systemctl", "--no-pager", "status", "v2g-edge*")


def names_in(config: Path, texts: dict[str, str]) -> dict[str, str]:
    """Every name that belongs to a vehicle, a card or a user, and what stands for it."""
    document = inspect(config).document
    vehicles = document.get("vehicles", [])
    found = (
        [str(each.get("id", "")) for each in vehicles if isinstance(each, dict)]
        if isinstance(vehicles, list)
        else []
    )
    status = json.loads(texts["status.json"])
    found += [str(row.get("vehicle") or "") for row in status.get("evses", [])]
    cloud = document.get("cloud", {})
    users = [str(cloud.get("username", ""))] if isinstance(cloud, dict) else []
    stands = {name: f"vehicle-{i}" for i, name in enumerate(dict.fromkeys(filter(None, found)), 1)}
    return stands | {name: "user" for name in users if name}


def cleaned(text: str, private: dict[str, str]) -> str:
    """Longest names first, so that no part of one is left."""
    for name in sorted(private, key=len, reverse=True):
        text = text.replace(name, private[name])
    return text


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"cannot be read: {error}\n"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - systemd's own programs
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error) if "journal" in command[0] else ""
    return done.stdout.strip()
