"""For child processes of every room: give way to control on the processor."""

import contextlib
import os
from typing import Final

NICE: Final = 10
"""Half of the lowest priority: the work gives way to control, and still gets its turn on a busy
controller.
"""


def give_way() -> None:
    """Lower this process's priority. Where the system forbids even that (a filter of system calls), the work
    goes on at the priority that it has.
    """
    with contextlib.suppress(OSError):
        os.nice(NICE)
