"""Settings to text and back."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.config.small import TEXT
from v2g_edge import config
from v2g_edge.config.load import loads

EXAMPLE = Path("etc/site.example.toml")


def test_the_example_survives_the_round_trip() -> None:
    """With comments and without."""
    settings = config.load(EXAMPLE)
    assert loads(config.dump(settings)) == settings
    assert loads(config.dump(settings, commented=True)) == settings


@given(
    st.floats(0.0, 1e8, allow_nan=False),
    st.text(
        st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=40
    ),
)
def test_numbers_and_texts_come_back_exactly(watts: float, text: str) -> None:
    """Every float to the last bit, every character that a text may hold."""
    settings = loads(TEXT)
    site = replace(
        settings.site, feeders=tuple(replace(each, export_limit_w=watts) for each in settings.site.feeders)
    )
    cloud = replace(settings.cloud, host=text)
    back = loads(config.dump(replace(settings, site=site, cloud=cloud)))
    assert back.site.feeders == site.feeders
    assert back.cloud == cloud
