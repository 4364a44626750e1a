"""What the box is made of: a clean root, the package, a later and a broken version of it, and the signed
repository.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

BUILD: Final = Path("build/systemd")
"""Kept between runs: a root takes a minute to make and a package two. ``make clean`` removes both."""

INSIDE: Final = "dbus,python3,systemd,systemd-sysv,systemd-timesyncd,tzdata"
"""What the package depends on; the box has no network to fetch it from."""

LATER: Final = "9.0.0"
BROKEN: Final = "9.1.0"


def clean_root() -> Path:
    """A minimal Debian of this machine's series."""
    root = BUILD / "root"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        series = _os_release()["VERSION_CODENAME"]
        _do("mmdebstrap", "--quiet", "--variant=minbase", f"--include={INSIDE}", series, str(root))
        # Nothing inside may wait for a network that the box has not.
        for listed in (root / "etc/apt/sources.list.d").glob("*"):
            listed.unlink()
        (root / "etc/apt/sources.list").write_text("")
    return root.absolute()


def package() -> Path:
    """The package of the sources as they are."""
    stamp, now = BUILD / "package.json", state_of_sources()
    if not stamp.exists() or json.loads(stamp.read_text()) != now or not list(BUILD.glob("deb/*.deb")):
        shutil.rmtree(BUILD / "deb", ignore_errors=True)
        _do("debian/build", str(BUILD / "deb"))
        stamp.write_text(json.dumps(now))
    (found,) = (BUILD / "deb").glob("v2g-edge_*.deb")
    return found


def state_of_sources() -> dict[str, float]:
    """When each file that the package is made of was changed."""
    kept = (
        subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
    )
    inside = (
        "v2g_edge/",
        "sim/",
        ".ci/",
        "debian/",
        "systemd/",
        "etc/",
        "pyproject.toml",
        "constraints.txt",
        "docs/",
    )
    return {name: os.stat(name).st_mtime for name in kept if name.startswith(inside) and Path(name).exists()}


def repositories(folder: Path) -> None:
    """Two signed repositories: ``first`` has the package alone, as a newcomer finds it; ``repo`` also a later
    version, and one that never finishes a tick.
    """
    first = package()
    later = [_as_version(first, LATER, folder), _as_version(first, BROKEN, folder, broken=True)]
    for name, packages in (("first", [first]), ("repo", [first, *later])):
        repo = folder / name
        _do("debian/repository", str(repo), *map(str, packages))
        sources = repo / "v2g-edge.sources"
        sources.write_text(sources.read_text().replace(str(repo), f"/srv/shared/{name}"))


def _as_version(first: Path, version: str, folder: Path, *, broken: bool = False) -> Path:
    """The same package under another number. ``broken``: it starts, and its first tick never ends."""
    tree = folder / version
    _do("dpkg-deb", "--raw-extract", str(first), str(tree))
    control = tree / "DEBIAN/control"
    old = next(line for line in control.read_text().splitlines() if line.startswith("Version: "))
    suffix = old.partition("~")[2]
    control.write_text(control.read_text().replace(old, f"Version: {version}~{suffix}"))
    (init,) = tree.glob("opt/v2g-edge/lib/python3*/site-packages/v2g_edge/__init__.py")
    init.write_text(f'"""v2g-edge."""\n\n__version__ = "{version}"\n')
    if broken:
        cycle = init.with_name("cycle.py")
        cycle.write_text(cycle.read_text().replace("    def tick(self,", "    def _no_tick(self,"))
        assert "_no_tick" in cycle.read_text(), "the broken version is not broken"
    made = folder / f"v2g-edge_{version}~{suffix}_{_architecture()}.deb"
    _do("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(made))
    shutil.rmtree(tree)
    return made


def _architecture() -> str:
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _os_release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text().splitlines()
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
