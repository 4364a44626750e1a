"""What a person reads for each of the realistic mistakes, word for word."""

from pathlib import Path
from typing import Any

import pytest

from tests.config.mistakes import BASE, broken, cases, files, reported
from v2g_edge.cli.checking.report import head, lines_of
from v2g_edge.config import toml
from v2g_edge.config.load import report_of

CASES = [(path.stem, case) for path in files() for case in cases(path)]
SEEN_LEAST = 0.95
"""Share of single mistakes that are refused or warned of."""


def test_the_base_has_neither_error_nor_warning() -> None:
    """So that whatever a case reports comes from its mistake."""
    assert reported(BASE) == []


@pytest.mark.parametrize(
    "case", [case for _, case in CASES], ids=[f"{file}: {case['name']}" for file, case in CASES]
)
def test_a_mistake_is_told_in_these_words(case: dict[str, Any]) -> None:
    """To mend on purpose: ``python -m tests.config.mistakes``, then read the difference."""
    assert reported(broken(case)) == case["report"]


def test_nearly_every_mistake_is_told() -> None:
    """The others are listed with the way in which they are found."""
    unseen = [case for _, case in CASES if not case["report"]]
    assert len(CASES) >= 150
    assert len(unseen) <= (1.0 - SEEN_LEAST) * len(CASES)
    assert all("why" in case for case in unseen)


def test_every_report_names_a_line_and_a_mend() -> None:
    """Where the mistake is a key that is missing altogether, the line is that of its table, or none for
    the whole file.
    """
    lines = [line for _, case in CASES for line in case["report"]]
    named = [
        line
        for line in lines
        if line.split(" ", 1)[1].startswith("site.toml:") and line.split(":")[1].isdigit()
    ]
    assert len(named) >= 0.95 * len(lines)
    assert not [line for line in lines if line.endswith("Correct the value.") and line.startswith("warning")]


def test_the_manual_shows_what_check_says() -> None:
    """Its example is two of these cases together."""
    text = BASE.replace('feeder = "yard"', 'feeder = "yrad"', 1).replace(
        "target_soc_pct = 80.0", "target_soc_pct = 0.8", 1
    )
    document, faults = toml.parse(text, Path("site.toml"))
    problems = report_of(document, faults, "site.toml", text).problems
    shown = "\n".join(
        [head("site.toml", problems) + "; nothing can be started from this file", *lines_of(problems)]
    )
    assert shown in Path("docs/configuration.md").read_text(encoding="utf-8")


def test_the_calendar_of_the_manual_is_a_sound_one() -> None:
    """Written into the base as the manual shows it."""
    manual = Path("docs/configuration.md").read_text(encoding="utf-8")
    shown = manual[manual.index("```toml\n[site]\nholidays") :].split("```")[1]
    holidays = next(line for line in shown.splitlines() if line.startswith("holidays"))
    departures = next(line for line in shown.splitlines() if line.startswith("departures"))
    windows = shown[shown.index("[[windows]]") :]
    text = BASE.replace('name = "vans"', f'name = "vans"\n{holidays}').replace(
        'departs = "05:30"', f'departs = "05:30"\n{departures}'
    )
    assert reported(f"{text}\n{windows}") == []
