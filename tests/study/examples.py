"""``python -m tests.study.examples FOLDER``: writes what the example month's commands print into
``docs/energy-manager.md``.

A block whose first line is ``$ v2g-edge …`` with one of the studies' commands is an example: the rest is what
the command prints in the folder that ``make example-month`` fills. A test holds the page against it.
"""

import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from v2g_edge.cli.main import COMMANDS, main

PAGE: Final = Path(__file__).parents[2] / "docs" / "energy-manager.md"
BLOCK: Final = re.compile(r"```\n\$ v2g-edge (\S+)([^\n]*)\n(.*?)```\n", re.DOTALL)
MODULES: Final = "v2g_edge.cli.study."


def examples(page: str) -> Iterator[tuple[str, str, str]]:
    """(whole command, options, what the page says that it prints)."""
    for found in BLOCK.finditer(page):
        if COMMANDS.get(found[1], "").startswith(MODULES):
            yield found[1], found[2], found[3]


def printed(command: str, options: str, folder: Path) -> str:
    """What a command prints, run in a folder."""
    sink, here = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(sink):
            main([command, *shlex.split(options)])
    finally:
        os.chdir(here)
    return sink.getvalue()


def renewed(page: str, folder: Path) -> str:
    """The page with every example as the program prints it now."""
    for command, options, old in list(examples(page)):
        head = f"```\n$ v2g-edge {command}{options}\n"
        page = page.replace(f"{head}{old}```\n", f"{head}{printed(command, options, folder)}```\n")
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), Path(sys.argv[1])), encoding="utf-8")
