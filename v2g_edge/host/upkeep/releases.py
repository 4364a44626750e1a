"""Which of the versions that a repository has a site takes: by its ring, and never one that failed here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

DAY_S: Final = 86_400.0
Ring = Literal["canary", "stable"]


class UpdateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """``/etc/v2g-edge/update.toml``. ``ring``: a canary takes a version at once, a stable site ``wait_days``
    after it first saw it, while the version is still there: so a fault shows on the canaries first, and what
    is withdrawn meanwhile reaches no other site. ``source``: apt's description of the signed repository.
    """

    ring: Ring = "stable"
    wait_days: float = 7.0
    source: str = "/etc/apt/sources.list.d/v2g-edge.sources"


class Choice(Struct, frozen=True):
    """``version`` is the one to take, "" for none; ``text`` says why, in words."""

    version: str
    text: str


def choose(
    installed: str,
    offered: Sequence[str],
    settings: UpdateSettings,
    *,
    seen_wall_s: Mapping[str, float],
    blocked: Mapping[str, str],
    now_wall_s: float,
    is_newer: Callable[[str, str], bool],
) -> Choice:
    """The newest version that the ring allows now. ``seen_wall_s``: when this site first saw each."""
    newer = [version for version in offered if is_newer(version, installed)]
    if not newer:
        return Choice("", f"{installed} is the newest that the repository has")
    told = []
    for version in sorted(newer, key=_by_age(newer, is_newer), reverse=True):
        if version in blocked:
            told.append(f"{version} {blocked[version]} here, so it is left out")
            continue
        due_s = seen_wall_s.get(version, now_wall_s) + settings.wait_days * DAY_S
        if settings.ring == "stable" and now_wall_s < due_s:
            told.append(f"{version} waits {(due_s - now_wall_s) / DAY_S:.1f} days more (ring stable)")
            continue
        return Choice(version, f"{version} after {installed}")
    return Choice("", "; ".join(told))


def _by_age(versions: Sequence[str], is_newer: Callable[[str, str], bool]) -> Callable[[str], int]:
    """How many of the others are older: an order without a parser of Debian's versions."""
    return lambda version: sum(is_newer(version, other) for other in versions)
