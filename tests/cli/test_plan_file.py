"""`v2g-edge plan validate|publish`: a plan file is judged, and handed to a daemon through a real broker."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.cloud.broker import Broker
from tests.config.small import TEXT
from v2g_edge.cli.live.plan_file import table
from v2g_edge.cli.main import main
from v2g_edge.cloud.inbox import PlanMessage, parse_plan
from v2g_edge.cloud.session import CloudSession
from v2g_edge.config.load import load
from v2g_edge.host.clock import SystemClock
from v2g_edge.model.plan import Plan


def command(*words: object) -> int:
    return main(["plan", *map(str, words)])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(TEXT)
    return path


def plan_file(tmp_path: Path, revision: int = 1, evse: str = "A", start: datetime | None = None) -> Path:
    begin = start or datetime.now(UTC).replace(microsecond=0)
    end = begin + timedelta(hours=1)
    span = {"start": begin.isoformat(), "end": end.isoformat()}
    message: dict[str, Any] = {
        "revision": revision,
        "issued": begin.isoformat(),
        "valid_from": begin.isoformat(),
        "valid_until": end.isoformat(),
        "slots": [span | {"evse_w": {evse: -11_000.0}, "site_w": 2_500.0}],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(message))
    return path


def test_validate_shows_the_plan_and_says_what_the_daemon_would_say(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("validate", plan_file(tmp_path, revision=4), "--config", site) == 0
    assert capsys.readouterr().out.endswith("plan.json: would be taken\n")
    assert command("validate", plan_file(tmp_path, evse="Z"), "--config", site) == 2
    assert "unknown_evse: slots[0].evse_w: the site has no EVSE 'Z'" in capsys.readouterr().err


def test_a_plan_is_shown_in_the_sites_time_and_in_kilowatts(tmp_path: Path) -> None:
    """Summer: Amsterdam is two hours ahead of UTC."""
    message = parse_plan(plan_file(tmp_path, start=datetime(2026, 7, 1, 14, 0, tzinfo=UTC)).read_bytes())
    assert isinstance(message, PlanMessage)
    assert table(message, ZoneInfo("Europe/Amsterdam")) == [
        "revision 1, valid 2026-07-01 16:00 to 2026-07-01 17:00 (Europe/Amsterdam)",
        "  Wed 16:00-Wed 17:00  kW:  site +2.5  A -11.0",
    ]


@pytest.mark.parametrize("verb", ["validate", "publish"])
def test_a_missing_file_is_named_and_exits_2(
    tmp_path: Path, site: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(verb, tmp_path / "absent.json", "--config", site) == 2
    assert "absent.json" in capsys.readouterr().err
    assert command(verb, plan_file(tmp_path), "--config", tmp_path / "absent.toml") == 2
    assert "absent.toml" in capsys.readouterr().err


def test_publish_without_a_cloud_says_so(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("publish", plan_file(tmp_path), "--config", site) == 2
    assert "[cloud]" in capsys.readouterr().err


async def test_publish_reaches_the_daemon_and_brings_its_verdict_back(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    folder = broker.folder
    site.write_text(  # noqa: ASYNC240 - nothing else runs on this loop yet
        f'{TEXT}\n[cloud]\nhost = "127.0.0.1"\nport = {broker.port}\nsite_id = "depot-1"\nca_file ='
        f' "{folder}/ca.pem"\nusername = "depot"\npassword_file ='
        f' "{folder}/depot.password"\n\n[host]\nstate_dir = "{tmp_path}"\n'
    )
    taken: list[Plan] = []
    settings = load(site)
    session = CloudSession(settings.cloud, settings.site, SystemClock(), taken.append, state_dir=tmp_path)
    await session.start()
    as_cloud = ("--config", site, "--username", "cloud", "--password-file", folder / "cloud.password")
    assert await asyncio.to_thread(command, "publish", plan_file(tmp_path, revision=7), *as_cloud) == 0
    assert [found.revision for found in taken] == [7]
    assert "revision 7 accepted" in capsys.readouterr().out
    assert await asyncio.to_thread(command, "publish", plan_file(tmp_path, revision=6), *as_cloud) == 2
    assert "not_newer" in capsys.readouterr().err
    await session.stop()
    broker.kill()
    assert await asyncio.to_thread(command, "publish", plan_file(tmp_path, revision=8), *as_cloud) == 1


def test_show_asks_the_same_daemon_as_the_command_without_a_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((), ("show",)):
        assert command("--socket", tmp_path / "nobody.sock", *words) == 1
        assert "nobody.sock: no daemon answers" in capsys.readouterr().err
