"""Exit codes, and the error that ends a command with one line for people."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2


class CommandError(Exception):
    """The command cannot go on; the message says why and what to do. ``code`` is the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code
