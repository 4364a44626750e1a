"""The interface for programs: the schema, a client that another project makes from it, and drawn requests.

``python -m tests.console.interface`` draws many more, at a real daemon.
"""

import asyncio
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.console.conftest import NIGHT, Place
from tests.console.interface import STREAM, draw, schema_of
from v2g_edge.console import guard
from v2g_edge.console.schema import OPEN, Status


def generated(folder: Path, schema: bytes) -> None:
    """The client of this schema, as openapi-python-client makes it, as a package ``depot_client``."""
    (folder / "openapi.json").write_bytes(schema)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(folder / "openapi.json"), "--output-path", str(folder / "depot_client")]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Warning" not in made.stdout, made.stdout  # it leaves out what it cannot express


async def test_a_generated_client_reads_the_depot_and_gives_an_order(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erna = await place.as_("erna")
    made = await erna.post("/api/tokens", json={"label": "depot tool", "role": "operator", "days": 1})
    await asyncio.to_thread(generated, tmp_path, await schema_of(place.url))
    monkeypatch.syspath_prepend(str(tmp_path))
    client_of = importlib.import_module("depot_client")
    models = importlib.import_module("depot_client.models")

    def api(name: str) -> Any:
        return importlib.import_module(f"depot_client.api.default.{name}")

    client = client_of.AuthenticatedClient(
        place.url, token=made.json()["token"], httpx_args={"trust_env": False}
    )
    async with client as opened:
        status = await api("get_status").asyncio(client=opened)
        assert [each.vehicle for each in status.evses] == [each["vehicle"] for each in NIGHT["evses"]]
        assert status.attention[0].remedy == "another vehicle, or a later departure"
        why = await api("get_why_subject").asyncio(client=opened, subject="E01")
        assert why.to_dict()["answer"] == ["It waits for 01:04, when energy costs 0.08."]
        order = models.Order(export_hold=True, why="heat test")
        await api("post_orders").asyncio(client=opened, body=order)
        assert place.daemon.orders == [
            {"export_hold": True, "by": "erna (token depot tool)", "why": "heat test"}
        ]
        refused = await api("get_people").asyncio(client=opened)
        assert isinstance(refused, models.Refusal)
        assert refused.detail.endswith("this takes the role engineer")
    for name in [each for each in sys.modules if each.startswith("depot_client")]:
        monkeypatch.delitem(sys.modules, name)


async def test_the_schema_names_every_route_its_refusals_and_who_may_ask(place: Place) -> None:
    schema = msgspec.json.decode(await schema_of(place.url))
    assert len(schema["paths"]) >= 23
    names = [each["operationId"] for path in schema["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    for path, item in schema["paths"].items():
        for method, each in item.items():
            assert each["description"], path
            assert set(each["responses"]) >= {"401", "403", "422", "429", "503"}, path
            assert bool(each["security"]) is (path not in OPEN), (path, method)
            if each["security"]:
                answer = await place.client().request(method, path.replace("{number}", "1"))
                assert answer.status_code == 401, (path, method)


def test_what_the_schema_says_of_a_status_is_true() -> None:
    status = Status.model_validate(NIGHT)
    assert status.evses[0].vehicle == "BUS01"


async def test_drawn_requests_find_no_fault_of_the_server(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of each operation; all answers are as the schema says."""
    monkeypatch.setattr(guard, "ASKED_PER_S", 1e9)
    erna = await place.as_("erna")
    made = await erna.post("/api/tokens", json={"label": "drawn", "role": "engineer", "days": 1})
    code, said = await asyncio.to_thread(draw, place.url, made.json()["token"], 2, tmp_path)
    assert code == 0, said
    schema = msgspec.json.decode(await schema_of(place.url))
    drawn = sum(len(methods) for path, methods in schema["paths"].items() if path != STREAM)
    assert re.search(rf"^ *Tested: {drawn}$|\b{drawn} passed", said, re.MULTILINE), said
