"""Single mistakes of people that each get one warning in the right place; the example they break has none."""

from pathlib import Path

import pytest

from v2g_edge.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
DEPOT, ONE = "depot.toml", "one-charger.toml"

MISTAKES = [
    (DEPOT, 'host = "192.0.2.10"', 'host = "192.0.2.300"', "no IPv4 address"),
    (DEPOT, "unit = 2,", "unit = 1,", "which is grid-meter (umg604) too"),
    (DEPOT, "export_limit_w = 0\n", "export_limit_w = 500e3\n", "main has 100000 W always"),
    (DEPOT, '"PH -"]', '"PH -", "2020-01-01 05:00"]', "a day that is over"),
    (DEPOT, '["2026-12-25", "2026-12-26", "2027-01-01"]', '["2019-12-25"]', "none after 2019-12-25"),
    (DEPOT, "target_soc_pct = 80", "target_soc_pct = 99", "at most max_soc_pct = 95 % of van"),
    (DEPOT, '"/var/lib/v2g-edge/prices.csv"', '"https://prices.example/"', "prices.feed"),
    (ONE, "export_allowed = false", "export_allowed = true", 'true, and grid.meter = ""'),
]


OF_TODAY = {"a day that is over", "none after 2019-12-25"}
"""What is found only on the machine and the day that the file is for."""


@pytest.mark.parametrize(("file", "right", "wrong", "said"), MISTAKES, ids=[each[3] for each in MISTAKES])
def test_a_mistake_is_said(
    file: str, right: str, wrong: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the words that name it."""
    text = (EXAMPLES / file).read_text(encoding="utf-8")
    assert right in text
    path = tmp_path / "site.toml"
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    here = ["--elsewhere"] if said not in OF_TODAY else []
    assert main(["check", *here, "--strict", str(path)]) != 0
    assert said in " ".join(capsys.readouterr().out.split())
