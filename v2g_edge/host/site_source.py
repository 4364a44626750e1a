"""Where the daemon's settings come from: the form in which ``run`` hands the site file to the daemon."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from v2g_edge.model.settings import Settings

Check = Callable[[str | None], Awaitable[Settings]]
"""Checks a text, or with None the daemon's own file; ``SiteFileError`` with every problem."""


class SiteFileError(Exception):
    """The file cannot be used; the message is the whole report."""


@dataclass(frozen=True)
class SiteSource:
    """Where the settings come from. ``check`` works in a process of its own; ``keep`` writes down settings
    that started.

    ``fault``: why the daemon did not start with the file but with the last settings that did; "" where it
    did.
    """

    path: str
    check: Check
    keep: Callable[[Settings], None]
    fault: str = ""
