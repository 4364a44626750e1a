"""What is wrong or odd in a site file: all of it at once, each with the way to mend it.

ConfigError
    carries all ``Problem``s of one file that are errors; nothing is started from such a file
"""

from typing import Literal

from msgspec import Struct

Level = Literal["error", "warning"]


class Problem(Struct, frozen=True):
    """``key`` is the path in the file ("evses.cp1.max_charge_w"); the other fields are words for the person
    who mends it.

    ``level`` "warning" is for what is allowed and odd: the daemon starts. ``line`` counts from 1; 0: not
    known.
    """

    file: str
    key: str
    found: str
    allowed: str
    mend: str
    level: Level = "error"
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: found {self.found}; allowed: {self.allowed}. {self.mend}"


class ConfigError(Exception):
    """The site file cannot be used. ``problems`` is never empty; the message is the whole report, one line
    a problem.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
