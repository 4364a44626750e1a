"""Our VTN, as another's client knows it: what ``toadr3`` reads there is what our VEN makes limits of."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from toadr3 import OAuthConfig, ToadrClient
from toadr3.models import Report

from tests.field.ocpp.peer import until
from tests.market.openadr.test_timeline import NOW, NOW_S
from tests.market.openadr.test_ven import HOUR, Depot, limit, running
from tests.market.openadr.vtn import Vtn
from v2g_edge.model.settings import OpenAdrSettings

SECRET = "peer-secret"


@pytest.fixture
async def vtn() -> AsyncIterator[Vtn]:
    vtn = Vtn(secret=SECRET)
    await vtn.start()
    yield vtn
    await vtn.stop()


@pytest.fixture
async def peer(vtn: Vtn) -> AsyncIterator[ToadrClient]:
    config = OAuthConfig(f"{vtn.url}/auth/token", "client_credentials", {"scope": "read_all"}, "peer", SECRET)
    client = ToadrClient(vtn.url, config)
    yield client
    await client.close()


async def test_both_clients_read_the_same_limit_of_one_vtn(
    vtn: Vtn, peer: ToadrClient, tmp_path: Path
) -> None:
    vtn.put("e1", **limit(30.0, priority=2, modificationDateTime=NOW))
    assert [each.program_name for each in await peer.get_programs()] == ["flex"]
    (event,) = await peer.get_events(program_id="p1")
    assert event.interval_period is not None
    (payload,) = event.intervals[0].payloads
    (tmp_path / "secret").write_text(SECRET)
    settings = OpenAdrSettings(vtn.url, client_id="depot", client_secret_file=str(tmp_path / "secret"))
    async with running(Depot(settings, tmp_path)) as depot:
        await until(lambda: depot.ven.limits_at(NOW_S))
        (ours,) = depot.ven.limits_at(NOW_S)
    assert (payload.type, payload.values) == ("IMPORT_CAPACITY_LIMIT", [ours.power_w / 1e3])
    assert isinstance(event.interval_period.start, datetime)
    assert event.interval_period.start.timestamp() == ours.from_wall_s
    assert event.interval_period.duration.total_seconds() == ours.until_wall_s - ours.from_wall_s


async def test_what_our_ven_reports_another_can_read(vtn: Vtn, tmp_path: Path) -> None:
    wanted = [{"payloadType": kind} for kind in ("USAGE", "STORAGE_CHARGE_LEVEL")]
    vtn.put("e1", **limit(30.0, reportDescriptors=wanted))
    (tmp_path / "secret").write_text(SECRET)
    settings = OpenAdrSettings(vtn.url, client_id="depot", client_secret_file=str(tmp_path / "secret"))
    async with running(Depot(settings, tmp_path)) as depot:
        await until(lambda: depot.ven.limits_at(NOW_S) and len(vtn.calls) > 8)
        depot.clock.wall = NOW_S + 3_700.0
        await until(lambda: vtn.reports)
    # 3.1 has no programID in a report; 3.0, which this client speaks, asks for one.
    report = Report.model_validate({"programID": "p1", **vtn.reports[0]})
    told = {each.type: each.values for each in report.resources[0].intervals[0].payloads}
    assert told == {"USAGE": [40.0], "STORAGE_CHARGE_LEVEL": [55.0]}
    assert HOUR["duration"] == "PT1H"
