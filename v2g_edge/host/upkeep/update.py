"""One update: keeps the version before, installs the new one, and leaves the verdict to ``trial``.

All of it lies in a folder of root's own. A note on the disk says at each moment what is going on, so that a
power cut at any of them ends with one whole version: the new one if it is healthy, else the one before.
"""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import tomli
from msgspec import Struct, convert

from v2g_edge.host.upkeep import apt, trial
from v2g_edge.host.upkeep.apt import AptError, Repository
from v2g_edge.host.upkeep.releases import Choice, UpdateSettings, choose

SEEN: Final = "seen.json"
TRIAL_UNIT: Final = "v2g-edge-update-trial.service"
LINKS_UNKNOWN: Final = 0
"""What must be connected after an update of a daemon that did not answer before."""


class UpdateError(Exception):
    """Nothing was changed; the message says why and what to do."""


class Before(Struct, frozen=True):
    """The daemon's word before the update: how many outlets are connected, whether the clock is right."""

    links: int = LINKS_UNKNOWN
    clock_synchronised: bool = False


def read_settings(path: Path) -> UpdateSettings:
    """The file's settings, or the defaults where there is none."""
    try:
        return convert(tomli.loads(path.read_text(encoding="utf-8")), UpdateSettings)
    except FileNotFoundError:
        return UpdateSettings()
    except (OSError, ValueError, RecursionError) as error:
        raise UpdateError(
            f'{path}: {error}; it takes ring ("canary" or "stable"), wait_days (a number) and source (a path)'
        ) from error


class Updater:
    """Updates of this machine, with their notes and kept packages in ``folder``."""

    def __init__(self, folder: Path, settings: UpdateSettings, bundle: Path | None = None) -> None:
        self._folder = folder
        self._settings = settings
        self._bundle = bundle

    def look(self, before: Before, now_wall_s: float, wanted: str = "") -> Choice:
        """What would be installed now. ``wanted``: this version, whatever the ring says."""
        old = apt.installed()
        if not old:
            raise UpdateError("v2g-edge was not installed by apt; update it as it was installed (pip, git)")
        repository = self._repository()
        repository.refresh()
        offered = repository.offered()
        if wanted:
            found = [version for version in offered if wanted in (version, trial.upstream(version))]
            if not found:
                raise UpdateError(
                    f"{wanted} is not there; the repository has {', '.join(offered) or 'nothing'}"
                )
            return Choice(found[0], f"{found[0]} after {old}")
        settings = self._settings if self._bundle is None else UpdateSettings(ring="canary")
        return choose(
            old,
            offered,
            settings,
            seen_wall_s=self._seen(offered, now_wall_s, known=before.clock_synchronised),
            blocked=self._read(trial.BLOCKED),
            now_wall_s=now_wall_s,
            is_newer=apt.is_newer,
        )

    def install(self, version: str, before: Before, socket: str) -> dict[str, Any]:
        """Install ``version``, wait for the verdict, and say how it ended (``trial.finish``)."""
        old, packages = apt.installed(), self._folder / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        new = self._repository().download(version, packages)
        kept = self._keep(old, packages)
        for path in packages.glob("*.deb"):
            if path not in (new, kept):
                path.unlink()
        # Its own copy: the new version may be broken in any file.
        shutil.copyfile(trial.__file__, self._folder / "trial.py")
        note = {"new": version, "old": old, "kept": str(kept), "links": before.links, "socket": socket}
        trial.write(self._folder / trial.PENDING, {**note, "stage": "installing"})
        try:
            apt.install(new)
        except AptError as error:
            if apt.installed() == old:  # refused before anything was unpacked
                (self._folder / trial.PENDING).unlink()
                raise
            trial.say(3, f"the installation failed: {error}")
        else:
            trial.write(self._folder / trial.PENDING, {**note, "stage": "trial"})
        self.judge()
        return self.last()

    def judge(self) -> None:
        """Run the trial in a unit of its own, which no end of this process ends."""
        command = ("systemctl", "start", TRIAL_UNIT)
        subprocess.run(command, check=False)  # noqa: S603 - systemd's own program

    def is_pending(self) -> bool:
        """Whether an update has not been judged yet."""
        return (self._folder / trial.PENDING).exists()

    def last(self) -> dict[str, Any]:
        """How the last update ended; empty where there was none."""
        return self._read(trial.LAST)

    def _repository(self) -> Repository:
        source = Path(self._settings.source)
        if self._bundle is not None:
            source = apt.source_of_bundle(self._bundle, self._folder)
        return Repository(source, self._folder / "lists")

    def _keep(self, old: str, packages: Path) -> Path:
        """The package of the running version: kept by the last update, or still in the repository."""
        for path in (*packages.glob("*.deb"), *Path("/var/cache/apt/archives").glob("v2g-edge_*.deb")):
            if apt.version_of(path) == old:
                return Path(shutil.copy(path, packages)) if path.parent != packages else path
        try:
            return self._repository().download(old, packages)
        except AptError as error:
            raise UpdateError(
                f"nothing is installed: the package of the running version {old} cannot be kept, so there"
                f" would be no way back ({error}); put that version into the repository too, or update by"
                " hand"
            ) from error

    def _seen(self, offered: tuple[str, ...], now_wall_s: float, *, known: bool) -> dict[str, float]:
        """When each version was first seen here. A clock that is not synchronised begins no wait."""
        seen = {version: at_s for version, at_s in self._read(SEEN).items() if version in offered}
        if known:
            seen = {version: seen.get(version, now_wall_s) for version in offered}
            trial.write(self._folder / SEEN, seen)
        return seen

    def _read(self, name: str) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / name).read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        return {}
