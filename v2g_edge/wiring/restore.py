"""The memory with which a new process begins: that of the one before, or the most careful one where it was
lost (rule 13).
"""

from collections.abc import Callable

import msgspec

from v2g_edge.cycle import Memory, careful, restarted
from v2g_edge.host.journal import Journal
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.site import Site
from v2g_edge.tasks import described


def restored(
    journal: Journal, site: Site, clock: ClockPort, tell_not_kept: Callable[[str, str], None]
) -> Memory:
    """The newest memory that can be read. ``tell_not_kept`` gets (subject, text) for each that cannot."""
    now_s, lost = clock.now_s(), False
    for body in journal.last_memories():
        try:
            return restarted(msgspec.msgpack.decode(body, type=Memory), site, now_s)
        except Exception as error:  # noqa: BLE001 - a memory of any age and state
            lost = True
            tell_not_kept("memory", f"a memory of the last run cannot be used: {described(error)}")
    if lost or journal.faults:
        tell_not_kept("memory", "what was known of latches and of today's discharge is lost: no export today")
        return careful(site, now_s)
    return Memory()
