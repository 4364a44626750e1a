"""What is wrong with a site file: every problem at once, each with the way to mend it.

ConfigError
    carries all ``Problem``s of one file; nothing is started from such a file
"""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """``key`` is the path in the file ("evses.cp1.max_charge_w"); the other fields are words for the person who mends it."""

    file: str
    key: str
    found: str
    allowed: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: found {self.found}; allowed: {self.allowed}. {self.mend}"


class ConfigError(Exception):
    """The site file cannot be used. ``problems`` is never empty; the message is the whole report, one line a problem."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
