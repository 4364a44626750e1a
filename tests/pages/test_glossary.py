"""docs/glossary.md names every row, event and key, and gives a source for every term."""

from tests.pages.glossary import PAGE, render, written


def test_the_lists_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == written() + render(), "run python -m tests.pages.glossary"


def test_every_term_has_a_meaning_and_a_source() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in written().splitlines()
        if line.startswith("| ")
    ]
    terms = rows[1:]
    assert len(terms) > 50
    assert all(len(row) == 3 and all(row) for row in terms)
    names = [row[0].lower() for row in terms]
    assert names == sorted(names), "terms stand in alphabetical order"
