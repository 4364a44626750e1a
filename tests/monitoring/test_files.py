"""The alert rules and the dashboard, judged by Prometheus itself against the daemon's own metrics."""

import asyncio
import json
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_metrics import api, openmetrics_families, text_of
from tests.processes import running
from v2g_edge.host.http import HttpServer

FOLDER = Path("etc/monitoring")
RULES = FOLDER / "v2g-edge.rules.yml"
DASHBOARD = FOLDER / "v2g-edge-dashboard.json"
TOOLS = Path("build/prometheus/usr/bin")
OPENMETRICS = "application/openmetrics-text"


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    subprocess.run([".ci/fetch-prometheus"], check=True)


def promtool(*words: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(TOOLS / "promtool"), *words], input=text, capture_output=True, text=True, check=False
    )


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def filled(query: str) -> str:
    """As a viewer sends it that has chosen everything."""
    return query.replace("$instance", ".*").replace("$evse", ".*").replace("$__rate_interval", "30s")


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\bv2g_edge_[a-z_]+", text))


def metrics_served() -> set[str]:
    families = openmetrics_families(text_of(OPENMETRICS))
    return {sample.name for family in families for sample in family.samples}


def test_the_page_is_well_formed_for_promtool() -> None:
    done = promtool("check", "metrics", text=text_of())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_each_alert_fires_on_its_fault_and_on_nothing_else(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy("tests/monitoring/alerts.test.yml", tmp_path)
    done = promtool("test", "rules", str(tmp_path / "alerts.test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_and_what_to_do() -> None:
    text = RULES.read_text(encoding="utf-8")
    assert (
        text.count("- alert:")
        == text.count("summary:")
        == text.count("description:")
        == text.count("severity:")
    )


def test_rules_and_dashboard_name_only_metrics_that_there_are() -> None:
    """Those of a fault that is not there now are known by name."""
    only_in_trouble = {"v2g_edge_safety_row_active"}
    named = metrics_in(RULES.read_text(encoding="utf-8")) | {
        name for query in queries() for name in metrics_in(query)
    }
    assert named - metrics_served() - only_in_trouble == set()


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert len(board["uid"]) <= 40
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert [variable["name"] for variable in board["templating"]["list"]] == [
        "datasource",
        "instance",
        "evse",
    ]


async def test_every_query_of_the_dashboard_finds_something_in_a_real_prometheus(tmp_path: Path) -> None:
    service, _state, health = api()
    page = HttpServer("127.0.0.1:0", service.pages())
    await page.start()
    free = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: v2g-edge\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{page.port}']\n"
    )
    command = [
        str((TOOLS / "prometheus").absolute()),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/db",
    ]
    with running(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        waiting = queries()
        async with asyncio.timeout(60):
            while waiting:
                health.record_tick(0.0, 100.0)
                waiting = [query for query in waiting if not await _answers(port, filled(query))]
    await page.stop()


async def _answers(port: int, query: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.1)  # Prometheus is still starting; the test has a limit
        return False
    path = f"/api/v1/query?query={urllib.parse.quote(query)}"
    writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    body = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    await asyncio.sleep(0.05)  # between two questions to another process
    answer = json.loads(body) if body.startswith(b"{") else {}
    assert answer.get("status") != "error", f"{query}: {answer}"
    return bool(answer.get("data", {}).get("result"))
