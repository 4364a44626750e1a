"""The site file on its way into the daemon: checked in a process of its own; the last settings that
started are kept.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from v2g_edge.host.site_source import SiteFileError, SiteSource
from v2g_edge.model.settings import Settings
from v2g_edge.statefile import StateFile

log = structlog.get_logger()

WITHIN_S: Final = 60.0
"""The largest site file takes two seconds, on a small and busy computer ten times as long."""

GOOD: Final = "site.good.json"
"""In the state folder: the settings with which the daemon last ran."""


class Loaded(NamedTuple):
    """Settings to start with. ``fault``: why they are not those of the file; "" where they are."""

    settings: Settings
    warnings: list[str]
    fault: str = ""


def load_for_start(path: Path) -> Loaded:
    """The settings of the file; where it cannot be used, the last good ones. SiteFileError where there are
    none either.

    The last good settings are looked for where systemd says that the state is (STATE_DIRECTORY): a bad file
    cannot say it.
    """
    try:
        return load_apart(path)
    except SiteFileError as error:
        good = last_good(os.environ.get("STATE_DIRECTORY", ""))
        if good is None:
            raise
        return Loaded(good, [], str(error))


def load_apart(path: Path, text: str | None = None) -> Loaded:
    """Checked in a process of its own: pydantic and the schema, 14 MiB, would stay in the daemon for ever
    after one use.

    ``text``: instead of what the file says; its drop-ins count in either case.
    """
    what = [str(path)] if text is None else ["-", str(path)]
    command = [sys.executable, "-m", "v2g_edge.config", "--packed", *what]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            input=(text or "").encode("utf-8", "replace"),
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SiteFileError(f"{path}: it was not read within {WITHIN_S:g} s") from error
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        raise SiteFileError(said.rstrip())
    return Loaded(msgspec.msgpack.decode(done.stdout, type=Settings), said.splitlines())


def source_of(path: Path, loaded: Loaded) -> SiteSource:
    """What the daemon asks when its site file has changed."""

    async def check(text: str | None) -> Settings:
        found = await asyncio.to_thread(load_apart, path, text)
        return found.settings

    return SiteSource(str(path), check, keep_good, loaded.fault)


def _good_file(folder: Path) -> StateFile[Settings]:
    """Two copies with a checksum: an octet that a failing card changes must not become another limit."""
    return StateFile[Settings](folder / GOOD, msgspec.json.encode, msgspec.json.Decoder(Settings).decode)


def keep_good(settings: Settings) -> None:
    """Write the settings down; a disk that refuses costs this file alone."""
    folder = Path(settings.host.state_dir)
    try:
        _good_file(folder).save(settings)
    except OSError as error:
        log.error("last_good_not_kept", file=str(folder / GOOD), error=str(error))


def last_good(state_dir: str) -> Settings | None:
    """The settings with which the daemon last ran; None where there are none that this version can read."""
    if not state_dir:
        return None
    found = _good_file(Path(state_dir)).load()
    if found.value is None:
        log.warning("no_last_good", folder=state_dir, error=found.fault or "never written")
    return found.value
