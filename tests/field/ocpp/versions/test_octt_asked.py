"""Each compliance case in which a person asks for something, played step by step (see ``octt_step``)."""

from typing import Any

import pytest

from tests.field.ocpp import octt_asked_16, octt_asked_21, octt_asked_201
from tests.field.ocpp.conftest import Depot
from tests.field.ocpp.octt_step import Step
from tests.field.ocpp.peer import Peer
from tests.field.ocpp.test_server import ready
from v2g_edge.field.ocpp.upkeep import operations

OLD = octt_asked_16.V16
NEW = {f"{case}_CSMS": steps for case, steps in octt_asked_201.V201.items()}


@pytest.fixture(autouse=True)
def _reports_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases tell a report's parts after the request was answered to the person who asked."""
    monkeypatch.setattr(operations, "REPORT_S", 0.0)


NEWEST = {f"{case}_CSMS": steps for case, steps in octt_asked_21.V21.items()}


@pytest.mark.parametrize("case", OLD | NEW | NEWEST)
async def test_a_case_of_the_compliance_tool_is_asked_for_and_told(depot: Depot, case: str) -> None:
    identity, version = (
        ("old", "1.6") if case in OLD else ("new", "2.0.1") if case in NEW else ("newest", "2.1")
    )
    station = await ready(depot, identity, version)
    for step in (OLD | NEW | NEWEST)[case]:
        await play(depot, station, identity, step)
    await station.close()


@pytest.mark.parametrize("case", octt_asked_21.SENT)
async def test_a_case_of_the_compliance_tool_is_listened_to(depot: Depot, case: str) -> None:
    station = await ready(depot, "newest", "2.1")
    for action, payload in octt_asked_21.SENT[case]:
        answer = await station.call(action, payload)
        assert isinstance(answer, dict), (action, answer)
    await station.close()


async def play(depot: Depot, station: Peer, identity: str, step: Step) -> None:
    station.scripts[step.action] = lambda _: step.answer
    done = await depot.central.perform(identity, step.operation, step.params)
    assert (done["outcome"], done.get("payload")) == ("answered", step.answer)
    sent = station.got(step.action)[-1]
    assert holds(sent, step.demands), sent
    for action, payload in step.after:
        answer = await station.call(action, payload)
        assert isinstance(answer, dict), (action, answer)


def holds(sent: Any, demands: Any) -> bool:
    """Whether everything demanded is there; a message may say more."""
    if isinstance(demands, dict):
        return isinstance(sent, dict) and all(
            name in sent and holds(sent[name], value) for name, value in demands.items()
        )
    if isinstance(demands, list):
        return isinstance(sent, list) and len(sent) == len(demands) and all(map(holds, sent, demands))
    return bool(sent == demands)


@pytest.mark.parametrize("params", [{"limit_w": -1.0}, {"limit_w": 5_000.0, "evse": 9}])
async def test_a_start_never_asks_for_discharge_and_only_at_an_outlet_of_the_site(
    depot: Depot, params: dict[str, Any]
) -> None:
    station = await ready(depot)
    with pytest.raises(ValueError, match="limit_w must be 0 W or more"):
        await depot.central.perform("new", "start", {"token": "bus-2", **params})
    assert station.got("RequestStartTransaction") == []
    await station.close()
