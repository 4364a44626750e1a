"""Who may charge, where the upstream is asked: its word, ours where it is silent."""

import asyncio
from collections import OrderedDict
from typing import Any, Final

from v2g_edge.field.ocpp.wire.connection import Connection
from v2g_edge.field.ocpp.wire.events import Answered
from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.queue import ROUTINE
from v2g_edge.field.ocpp.wire.schemas import problems
from v2g_edge.model.settings import UpstreamSettings

KNOWN_MAX: Final = 1_000
"""Answers of the upstream that are remembered, so that the start of a transaction says what Authorize
said.
"""

Payload = dict[str, Any]


def token_of(payload: Payload) -> str:
    """The identifier in a request of 1.6 or 2.x, without case; "" where there is none."""
    token = payload.get("idTag", payload.get("idToken", ""))
    return str(token.get("idToken", "") if isinstance(token, dict) else token).casefold()


def info_of(answer: Payload) -> tuple[str, Payload]:
    """The key and the content of what an answer says of an identifier; "" and {} where it says nothing."""
    for key in ("idTagInfo", "idTokenInfo"):
        if isinstance(answer.get(key), dict):
            return key, answer[key]
    return "", {}


class UpstreamTokens:
    """Answers for one station."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, Payload] = OrderedDict()

    async def ask(
        self, connection: Connection | None, version: Version, payload: Payload, answer: Payload
    ) -> Payload:
        """The upstream's answer within ``authorize_s``; else ours, or a refusal, as the site file says.

        Who is blocked here stays blocked. Of an answer that the station's ``version`` has no room for, the
        status alone is passed on.
        """
        key, ours = info_of(answer)
        if ours.get("status") == "Blocked":
            return answer
        if connection is not None:
            try:
                async with asyncio.timeout(self._settings.authorize_s):
                    outcome = await connection.call(
                        "Authorize", payload, priority=ROUTINE, timeout_s=self._settings.authorize_s
                    )
            except (TimeoutError, ValueError):
                outcome = None
            if isinstance(outcome, Answered) and (info := info_of(outcome.payload)[1]):
                if problems(version, "Authorize", "response", {**answer, key: info}):
                    info = {"status": info.get("status", "Invalid")}
                self._remember(token_of(payload), info)
                return {**answer, key: info}
        if self._settings.when_gone == "refuse":
            return {**answer, key: {"status": "Invalid"}}
        return answer

    def answer(self, action: str, payload: Payload, answer: Payload) -> Payload:
        """What the station hears of an identifier at a start or an end: what the upstream said of it last."""
        if not answer:
            return answer
        key, ours = info_of(answer)
        theirs = self._known.get(token_of(payload))
        if not key or theirs is None or ours.get("status") == "Blocked" or action == "Authorize":
            return answer
        return {**answer, key: theirs}

    def _remember(self, token: str, info: Payload) -> None:
        self._known[token] = info
        self._known.move_to_end(token)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
