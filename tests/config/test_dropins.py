"""Drop-ins: what they change, and that each problem names the file that it stands in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.small import TEXT
from v2g_edge import config
from v2g_edge.cli.main import main
from v2g_edge.config.dropins import laid_over
from v2g_edge.config.load import inspect_text
from v2g_edge.config.problems import ConfigError


def site_in(folder: Path, **dropins: str) -> Path:
    site = folder / "site.toml"
    site.write_text(TEXT, encoding="utf-8")
    (folder / "site.d").mkdir()
    for name, text in dropins.items():
        (folder / "site.d" / f"{name}.toml").write_text(text, encoding="utf-8")
    return site


def test_a_drop_in_changes_a_key_of_a_table_and_of_one_entry(tmp_path: Path) -> None:
    text = '[site]\nname = "other"\n[[evses]]\nid = "A"\nmax_charge_w = 40000.0\n'
    settings = config.load(site_in(tmp_path, a=text))
    assert settings.site.name == "other"
    assert settings.site.timezone == "Europe/Amsterdam", "what it does not name stays"
    assert [evse.max_charge_w for evse in settings.site.evses] == [40_000.0, 7_400.0]
    assert settings.site.evses[0].fallback_w == 4_140.0


def test_a_new_name_is_a_new_entry(tmp_path: Path) -> None:
    text = '[[vehicles]]\nid = "bus-2"\ntype = "bus"\nmay_discharge = false\n'
    settings = config.load(site_in(tmp_path, a=text))
    assert [vehicle.id for vehicle in settings.site.vehicles] == ["bus-1", "bus-2"]


def test_a_station_goes_by_its_identity_and_entries_without_a_name_are_added(tmp_path: Path) -> None:
    text = '[[stations]]\nidentity = "CP-A"\nvendor = "x"\n[[listeners]]\nport = 9000\nsecurity_profile = 0\n'
    settings = config.load(site_in(tmp_path, a=text.replace('vendor = "x"\n', "")))
    assert len(settings.stations) == 1
    assert len(settings.stations[0].outlets) == 1
    assert sorted(listener.port for listener in settings.listeners) == [0, 9_000]


def test_the_later_name_wins_and_other_files_do_not_count(tmp_path: Path) -> None:
    site = site_in(tmp_path, **{"10-a": '[site]\nname = "ten"\n', "20-b": '[site]\nname = "twenty"\n'})
    (tmp_path / "site.d" / "90.toml.before-5").write_text('[site]\nname = "ninety"\n')
    assert config.load(site).site.name == "twenty"


def test_each_problem_names_the_file_and_the_line_that_it_stands_in(tmp_path: Path) -> None:
    site = site_in(
        tmp_path, a='\n[[evses]]\nid = "A"\nmax_charge_w = -1.0\n', b="[grid]\nnominal_hz = 70.0\n"
    )
    site.write_text(TEXT.replace("max_charge_w = 7400.0", "max_charge_w = true"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(site)
    places = {(Path(p.file).name, p.key, p.line) for p in caught.value.problems}
    line = TEXT.split("\n").index("max_charge_w = 7400.0") + 1
    assert places == {
        ("site.toml", "evses.B.max_charge_w", line),
        ("a.toml", "evses.A.max_charge_w", 4),
        ("b.toml", "grid.nominal_hz", 2),
    }


def test_the_check_names_the_drop_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = site_in(tmp_path, a="[grid]\nnominal_hz = 70.0\n")
    assert main(["check", "--elsewhere", str(site)]) == 2
    assert f"ERROR    {tmp_path}/site.d/a.toml  line 2  grid.nominal_hz" in capsys.readouterr().out


def test_a_drop_in_that_is_no_toml_is_a_problem_of_that_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.toml:2"):
        config.load(site_in(tmp_path, a="[site]\nname = \n"))


def test_a_text_at_hand_is_judged_with_the_drop_ins_of_the_file_that_it_replaces(tmp_path: Path) -> None:
    site = site_in(tmp_path, a='[site]\nname = "other"\n')
    report = inspect_text(TEXT, "the new file", site)
    assert report.settings is not None
    assert report.settings.site.name == "other"


def test_no_folder_is_no_drop_in(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(TEXT)
    assert config.load(site).site.name == "small"
    (tmp_path / "site.d").write_text("a file in the folder's place")
    assert config.load(site).site.name == "small"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["x", "y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "identity", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["id", "a", "b", "c"]), PLAIN, max_size=4)


@given(DOCUMENTS, DOCUMENTS)
def test_nothing_is_lost_but_what_is_named(base: dict[str, object], over: dict[str, object]) -> None:
    """Keys of both are there, neither is changed in place, an empty drop-in changes nothing."""
    kept = repr((base, over))
    merged = laid_over(base, over)
    assert merged.keys() == base.keys() | over.keys()
    assert all(merged[key] == base[key] for key in base.keys() - over.keys())
    assert laid_over(base, {}) == base
    assert repr((base, over)) == kept
