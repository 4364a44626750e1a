"""A changed site file while the daemon runs: compared, taken up, refused; and a broken one at the next
start.
"""

import json
import signal
from pathlib import Path

import jsonschema_rs
import pytest
import tomli

from tests.cli.conftest import daemon
from v2g_edge.cli.client import ask
from v2g_edge.cli.main import main
from v2g_edge.cli.site.loading import GOOD, last_good

LIMIT = "import_limit_w = 100000.0"


def test_a_file_is_compared_applied_and_refused_while_the_daemon_runs(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same process all the time; a refusal leaves what was in force."""
    path = str(site.parent / "control.sock")
    new = site.parent / "new.toml"
    new.write_text(site.read_text().replace(LIMIT, "import_limit_w = 95000.0"))
    with daemon(site) as process:
        assert main(["diff", str(new), "--socket", path]) == 0
        assert capsys.readouterr().out == "feeders.main.import_limit_w: 100000.0 -> 95000.0\n"
        assert main(["apply", str(new), "--yes", "--socket", path]) == 0
        assert "in force; the file before is" in capsys.readouterr().out
        assert "95000" in site.read_text()
        assert len(list(site.parent.glob("site.toml.before-*"))) == 1
        assert main(["diff", str(site), "--socket", path]) == 0
        assert capsys.readouterr().out == "no change\n"
        broken = site.read_text().replace('phases = "L2"', 'phases = "L9"')
        site.write_text(broken)
        assert main(["reload", "--socket", path]) == 2
        assert "L9" in capsys.readouterr().err
        site.write_text(site.read_text().replace("L9", "L2").replace('name = "small"', 'name = "other"'))
        assert main(["reload", "--socket", path]) == 2
        assert "site.name" in capsys.readouterr().err
        assert ask(path, "status")["site"] == "small"
        kinds = [event["kind"] for event in ask(path, "events")["events"]]
        assert kinds.count("site_file_applied") == 1
        assert kinds.count("site_file_refused") == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert main(["replay", str(site.parent / "state" / "journal.db")]) == 0
    assert "0 differences" in capsys.readouterr().out


def test_after_a_broken_change_the_daemon_starts_with_what_last_ran(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd runs it: STATE_DIRECTORY says where the last good settings are."""
    path = str(site.parent / "control.sock")
    with daemon(site) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    good = site.parent / "state" / GOOD
    kept = last_good(str(good.parent))
    assert kept is not None
    assert kept.site.name == "small"
    site.write_text("nonsense\n")
    assert main(["run", "--config", str(site)]) == 2
    monkeypatch.setenv("STATE_DIRECTORY", str(site.parent / "state"))
    with daemon(site):
        assert ask(path, "status")["site"] == "small"
        assert "site_file_unusable" in [event["kind"] for event in ask(path, "events")["events"]]
    for copy in good.parent.glob(f"{GOOD}*"):
        copy.write_text("{")
    assert main(["run", "--config", str(site)]) == 2


def test_the_schema_takes_the_example_and_refuses_a_wrong_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    example = tomli.loads(Path("etc/site.example.toml").read_text())
    judge = jsonschema_rs.validator_for(schema)
    assert judge.is_valid(example)
    assert not judge.is_valid({**example, "nonsense": 1})
    assert not judge.is_valid({**example, "site": {**example["site"], "timezone": 7}})
    assert schema["$defs"]["Evse"]["properties"]["fallback_w"]["description"].startswith("What it draws")
