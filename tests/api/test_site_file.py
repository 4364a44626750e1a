"""A changed site file: whole or not at all, and said either way."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.config.small import TEXT
from v2g_edge.api.site_file import TEXT_MAX, SiteFileApi
from v2g_edge.config.load import loads
from v2g_edge.host.control import BadRequestError
from v2g_edge.host.site_source import SiteFileError, SiteSource
from v2g_edge.model.event import Event
from v2g_edge.model.settings import Settings


class Stand:
    """A daemon's part in it: the settings in force, what is kept, what is told."""

    def __init__(self, new: Settings | str) -> None:
        self.new = new
        self.current = loads(TEXT)
        self.kept: list[Settings] = []
        self.told: list[Event] = []
        source = SiteSource("/etc/site.toml", self.check, self.kept.append, "broken at start")
        self.api = SiteFileApi(source, lambda: self.current, self.take, self.told.append, lambda: 7.0)

    async def check(self, _text: str | None) -> Settings:
        if isinstance(self.new, str):
            raise SiteFileError(self.new)
        return self.new

    def take(self, settings: Settings) -> None:
        self.current = settings


def with_limit(import_limit_w: float) -> Settings:
    old = loads(TEXT)
    feeders = tuple(
        replace(f, import_limit_w=import_limit_w) if f.id == "main" else f for f in old.site.feeders
    )
    return replace(old, site=replace(old.site, feeders=feeders))


async def test_a_live_change_is_in_force_kept_and_told() -> None:
    stand = Stand(with_limit(95_000.0))
    answer = await stand.api.site_file({"apply": True})
    assert [change["key"] for change in answer["changes"]] == ["feeders.main.import_limit_w"]
    assert stand.current == stand.new
    assert stand.kept == [stand.new]
    assert [event.kind for event in stand.told] == ["site_file_applied"]
    assert "100000.0 -> 95000.0" in stand.told[0].text


async def test_one_change_that_must_wait_keeps_the_whole_file_out() -> None:
    new = with_limit(95_000.0)
    stand = Stand(replace(new, host=replace(new.host, tick_s=2.0)))
    before = stand.current
    with pytest.raises(BadRequestError, match=r"host\.tick_s"):
        await stand.api.site_file({"apply": True})
    assert stand.current is before
    assert stand.kept == []
    assert [event.kind for event in stand.told] == ["site_file_refused"]


async def test_a_broken_file_changes_nothing_and_every_problem_is_said() -> None:
    stand = Stand("site.toml: evses.A: found nothing")
    before = stand.current
    with pytest.raises(BadRequestError, match="found nothing"):
        await stand.api.site_file({"apply": True})
    assert stand.current is before
    assert "found nothing" in stand.told[0].text


@pytest.mark.parametrize("looks", [2, 24])
async def test_whoever_looks_starts_one_process_and_keeps_nobody_from_applying(looks: int) -> None:
    """24 checks at once would take the memory that the unit may have."""
    stand, running, most = Stand(with_limit(95_000.0)), [0], [0]

    async def check(_text: str | None) -> Settings:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.0)
        running[0] -= 1
        return with_limit(95_000.0)

    stand.api._source = SiteSource("/etc/site.toml", check, stand.kept.append)
    asked = [stand.api.site_file({"text": "x"}) for _ in range(looks)]
    *looked, applied = await asyncio.gather(
        *asked, stand.api.site_file({"apply": True}), return_exceptions=True
    )
    assert most == [1]
    assert sum(isinstance(each, dict) for each in looked) == 1
    assert all("being checked" in str(each) for each in looked if not isinstance(each, dict))
    assert isinstance(applied, dict)
    assert stand.kept == [with_limit(95_000.0)]


async def test_a_comparison_of_a_text_without_end_is_refused() -> None:
    stand = Stand("never asked")
    with pytest.raises(BadRequestError, match="allowed are"):
        await stand.api.site_file({"text": "#" * (TEXT_MAX + 1)})


async def test_a_comparison_changes_and_tells_nothing() -> None:
    stand = Stand(with_limit(95_000.0))
    before = stand.current
    answer = await stand.api.site_file({"text": "anything"})
    assert (answer["path"], answer["applied"]) == ("/etc/site.toml", False)
    assert stand.current is before
    assert stand.told == []


@pytest.mark.parametrize("params", [{"text": 7}, {"apply": 1}, {"text": "", "apply": True}, {"other": 1}])
async def test_what_is_no_request_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        await Stand("").api.site_file(params)


async def test_the_start_says_that_the_file_was_not_the_one() -> None:
    stand = Stand("")
    stand.api.tell_start()
    assert [(event.kind, event.severity) for event in stand.told] == [("site_file_unusable", "alarm")]
    assert "broken at start" in stand.told[0].text
