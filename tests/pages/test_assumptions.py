"""The fields of the *ROI* page are those of the study, and each has its words in both languages."""

import json

from tests.pages.assumptions import TARGET, fields, rendered


def test_the_fields_of_the_page_are_those_of_the_study() -> None:
    assert TARGET.read_text(encoding="utf-8") == rendered(), "make it anew: python -m tests.pages.assumptions"


def test_each_field_has_a_label_in_every_language() -> None:
    for language in ("en", "de"):
        texts = json.loads((TARGET.parent / f"{language}.json").read_text(encoding="utf-8"))
        assert [each["name"] for each in fields()["fields"] if f"roi.{each['name']}" not in texts] == []
