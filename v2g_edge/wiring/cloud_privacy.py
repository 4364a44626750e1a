"""What the cloud learns about vehicles and the people who drive them: all, little, or under pseudonyms.

``minimal`` leaves out what tells of one vehicle: its name, charge, target and departure, and the words of
events. Pseudonyms stand for the names of vehicles wherever one appears, made with a key of the site, the same
as in the studies' exports.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec.structs import replace

from v2g_edge.model.event import Event
from v2g_edge.model.settings import CloudSettings
from v2g_edge.model.site import Site
from v2g_edge.model.snapshot import Snapshot

log = structlog.get_logger()

OF_OUTLET: Final = ("id", "connected", "status", "fault", "power_w", "permit_w", "bound_by", "ack")
"""What is told of an outlet where little is told: its power, and nothing of its vehicle."""
SEEN_MAX: Final = 2_000
"""Names of vehicles and cards that were seen since the start."""


class CloudPrivacy:
    """Turns telemetry and events into what the settings let out."""

    def __init__(self, settings: CloudSettings, site: Site) -> None:
        self._name, fault = _pseudonyms(settings.pseudonyms_file)
        self._minimal = settings.detail == "minimal" or bool(fault)
        self._seen: set[str] = set()
        self._words: re.Pattern[str] | None = None
        self._ids = {alias: each.id for each in site.vehicles for alias in each.other_ids}
        if fault:
            log.error("cloud_pseudonyms_unusable", fault=fault, effect="nothing of a vehicle is told")
        if self._name is not None or self._minimal:
            self._know([*self._ids, *(each.id for each in site.vehicles)])

    def telemetry(self, values: dict[str, Any], snapshot: Snapshot) -> dict[str, Any]:
        """The status, as far as it may be known."""
        if self._name is None and not self._minimal:
            return values
        self._know(each.vehicle.vehicle for each in snapshot.evses if each.vehicle is not None)
        rows = values["evses"]
        if self._minimal:
            rows = [{key: row[key] for key in OF_OUTLET} for row in rows]
        acting = [{key: self._without_names(each[key]) for key in each} for each in values["acting"]]
        found: dict[str, Any] = {**values, "acting": acting, "attention": [], "evses": rows}
        return found if self._minimal else self._hidden(found)

    def events(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """The same of events: where little is told, without their words."""
        if self._name is None and not self._minimal:
            return events
        return tuple(
            replace(
                event,
                subject=self._without_names(event.subject),
                text="" if self._minimal else self._without_names(event.text),
            )
            for event in events
        )

    def _know(self, names: Iterable[str]) -> None:
        new = {name for name in names if name} - self._seen
        if new and len(self._seen) + len(new) <= SEEN_MAX:
            self._seen |= new
            longest_first = sorted(self._seen, key=lambda name: (-len(name), name))
            self._words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def _without_names(self, text: Any) -> Any:
        if not isinstance(text, str) or self._words is None:
            return text
        return self._words.sub(self._stand_in, text)

    def _stand_in(self, found: re.Match[str]) -> str:
        name = found.group()
        return self._name(self._ids.get(name, name)) if self._name is not None else "vehicle"

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._hidden(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._hidden(each) for each in value]
        return self._without_names(value)


def _pseudonyms(path: str) -> tuple[Callable[[str], str] | None, str]:
    """From a key file, and what is wrong with that. The depot runs without it; names do not get out."""
    if not path:
        return None, ""
    from v2g_edge.study.insight.privacy import Pseudonyms, WeakKeyError  # noqa: PLC0415 - it loads the ledger

    try:
        return Pseudonyms(Path(path).read_bytes()), ""
    except (OSError, WeakKeyError) as fault:
        return None, f"cloud.pseudonyms_file {path}: {fault}"
