"""One warning, as every module here makes it."""

from v2g_edge.config.problems import Problem


def odd(file: str, key: str, found: str, usual: str, mend: str) -> Problem:
    """``usual`` stands where an error says what is allowed."""
    return Problem(file, key, found, usual, mend, level="warning")
