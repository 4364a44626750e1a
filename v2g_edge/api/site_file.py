"""``site_file``: takes a changed site file into use while the daemon runs, or says why not; the old one
stays in force then.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from v2g_edge.api.changes import Change, changes_of
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.site_source import SiteFileError, SiteSource
from v2g_edge.model.event import Event
from v2g_edge.model.settings import Settings

TEXT_MAX: Final = 512 << 10
"""Characters of a site file that is compared: one of a thousand outlets has 200,000. 64 KiB of nonsense take
0.2 s to refuse.
"""


class SiteFileApi:
    """``current`` gives the settings in force, ``take`` replaces them from the next tick on."""

    def __init__(
        self,
        source: SiteSource,
        current: Callable[[], Settings],
        take: Callable[[Settings], None],
        tell: Callable[[Event], None],
        wall_s: Callable[[], float],
    ) -> None:
        self._source = source
        self._current = current
        self._take = take
        self._tell = tell
        self._wall_s = wall_s
        self._one = asyncio.Lock()

    def tell_start(self) -> None:
        """After the start: what was wrong with the file, where the last good settings are used instead."""
        if self._source.fault:
            text = (
                f"{self._source.path} cannot be used, so the last settings that could are in force."
                f" {self._source.fault}"
            )
            self._tell(Event("site_file_unusable", "alarm", "site", text, self._wall_s()))

    def keep(self) -> None:
        """Write down the settings in force: they have started. Blocks for a moment: call it in a thread."""
        self._source.keep(self._current())

    async def site_file(self, params: dict[str, Any]) -> dict[str, Any]:
        """``text``: compare this text, and change nothing. ``apply`` true: take the daemon's own file into
        use.
        """
        text, apply = params.get("text"), params.get("apply", False)
        if not isinstance(text, str | None) or not isinstance(apply, bool) or set(params) - {"text", "apply"}:
            raise BadRequestError(
                "site_file takes text (a site file to compare) or apply (true: use the daemon's own file)"
            )
        if apply and text is not None:
            raise BadRequestError("what is applied is the daemon's own file; write the text there first")
        try:
            changes = await self.reload() if apply else await self._compare(text)
        except SiteFileError as error:
            raise BadRequestError(str(error)) from error
        plain = [{"key": c.key, "old": c.old, "new": c.new, "live": c.live} for c in changes]
        return {"path": self._source.path, "changes": plain, "applied": apply}

    async def reload(self) -> tuple[Change, ...]:
        """Use the daemon's own file from the next tick on. ``SiteFileError``: nothing has changed, and an
        event says why.
        """
        try:
            async with self._one:
                settings = await self._source.check(None)
            changes = tuple(changes_of(self._current(), settings))
            waiting = [change for change in changes if not change.live]
            if waiting:
                names = ", ".join(change.key for change in waiting[:10]) + (" …" if len(waiting) > 10 else "")
                raise SiteFileError(
                    f"cannot change while running: {names}; `systemctl restart v2g-edge` takes the whole file"
                )
        except SiteFileError as error:
            text = f"{self._source.path}: the settings before stay in force. {error}"
            self._tell(Event("site_file_refused", "warning", "site", text, self._wall_s()))
            raise
        if changes:
            self._take(settings)
            text = f"{self._source.path}: " + "; ".join(map(str, changes))
            self._tell(Event("site_file_applied", "info", "site", text, self._wall_s()))
            await asyncio.to_thread(self.keep)
        return changes

    async def _compare(self, text: str | None) -> tuple[Change, ...]:
        """Each check is a process of 60 MB: one at a time. One that only looks never stands before one that
        applies.
        """
        if text is not None and len(text) > TEXT_MAX:
            raise BadRequestError(f"a text of {len(text)} characters; allowed are {TEXT_MAX}")
        if self._one.locked():
            raise BadRequestError("another site file is being checked; ask again in a few seconds")
        async with self._one:
            return tuple(changes_of(self._current(), await self._source.check(text)))
