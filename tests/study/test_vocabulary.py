"""Every word that can stand under "bound by" has words for people, and stands in the operator's manual."""

import ast
import re
from pathlib import Path

from v2g_edge.envelope.checks import ROWS
from v2g_edge.study.vocabulary import REASONS, RISKS, RULES, reason_of, word_of

ENVELOPE = Path("v2g_edge/envelope")
RULES_ROOM = Path("v2g_edge/rules")
WORD = re.compile(r"[a-z][a-z_]+")
BRIEF_MOST = 25


def found(folder: Path, calls: set[str], names: set[str]) -> set[str]:
    """Words that are handed to one of ``calls`` or given to one of ``names``, however the lines break."""
    words: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                    words |= _words(value)
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id in names for target in node.targets
            ):
                words |= _words(node.value)
    return words


def _words(value: ast.expr) -> set[str]:
    """A word, or either of two."""
    if isinstance(value, ast.IfExp):
        return _words(value.body) | _words(value.orelse)
    text = value.value if isinstance(value, ast.Constant) else None
    return {text} if isinstance(text, str) and WORD.fullmatch(text) else set()


def test_every_rule_of_the_envelope_has_words() -> None:
    """A new row of the safety table or a new bound needs a line in ``study/vocabulary.py``."""
    named = {row.id for row in ROWS} | found(ENVELOPE, {"Bound", "_add_derating"}, {"rule"})
    assert {"feeder_import", "ramp", "soc_high", "disobedient", "cooling_derating"} <= named
    assert named - RULES.keys() == set()


def test_every_reason_of_a_wish_has_words() -> None:
    """As above, for the rules."""
    reasons = found(RULES_ROOM, {"Wish"}, set())
    assert {"idle", "departure", "plan", "charge"} <= reasons
    assert {reason for reason in reasons if not reason.startswith("service_")} - REASONS.keys() == set()
    assert reason_of("service_zero_import").brief == "service zero import"


def test_words_are_short_where_they_stand_in_a_row() -> None:
    """Five words, and what fits beside a vehicle."""
    for word in [*RULES.values(), *REASONS.values(), *RISKS.values()]:
        assert len(word.brief) <= BRIEF_MOST
        assert len(word.brief.split()) <= 5
        assert word.need != "person" or word.remedy or word in REASONS.values()


def test_the_manual_has_every_word() -> None:
    """With what to do."""
    manual = Path("docs/operator.md").read_text(encoding="utf-8")
    missing = [line for line in manual_rows() if line not in manual]
    assert missing == []


def manual_rows() -> list[str]:
    """The table of the manual; `python -c "from tests.study.test_vocabulary import *;
    print(chr(10).join(manual_rows()))"`.
    """
    return [
        f"| `{name}` | {word.says} | {word.remedy or 'nothing'} |"
        for name, word in sorted(RULES.items())
        if name != "wish"
    ]


def test_a_rule_without_words_says_its_name() -> None:
    """Of a newer journal, for instance."""
    assert word_of("something_new").brief == "something new"
