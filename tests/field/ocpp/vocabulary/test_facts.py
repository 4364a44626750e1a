"""A station's word is a word: a list of any size is not turned into a text of any size."""

from typing import Any

import pytest

from v2g_edge.field.ocpp.vocabulary.facts import TEXT_MAX, WORD_MAX, readable, word


@pytest.mark.parametrize(
    ("said", "kept"), [("bus-1", "bus-1"), (17, "17"), (1.5, "1.5"), (True, "True"), ("", "")]
)
def test_texts_and_numbers_are_words(said: Any, kept: str) -> None:
    assert word(said) == kept
    assert readable(said) == kept


@pytest.mark.parametrize("said", [["x"] * 10_000, {"k": 1}, None, [[]]])
def test_a_list_or_a_table_is_none(said: Any) -> None:
    with pytest.raises(TypeError, match="expected a text"):
        word(said)
    assert readable(said) == ""


@pytest.mark.parametrize("many", [WORD_MAX + 1, 2 * WORD_MAX])
def test_a_word_has_an_end(many: int) -> None:
    assert len(word("x" * WORD_MAX)) == WORD_MAX
    with pytest.raises(ValueError, match="allowed are 10000"):
        word("x" * many)
    assert len(readable("x" * many)) == TEXT_MAX
