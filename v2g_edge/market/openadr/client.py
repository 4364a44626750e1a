"""The calls of a VEN: programmes, events and reports over HTTPS, with OAuth 2.0 client credentials.

Every fault of the network, the server and its answers ends as ``VtnFault``, with words that hold no secret.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from v2g_edge.market.openadr.wire import AdrEvent, BadAnswer, Programme, read_list
from v2g_edge.model.ports import ClockPort
from v2g_edge.model.settings import OpenAdrSettings

TIMEOUT_S: Final = 20.0
ANSWER_MAX: Final = 4 << 20
"""Octets of one answer: fifty events of three days in quarter hours are 1 MB."""
PAGE: Final = 50
"""Objects of one call (OpenADR 3.1: limit is at most 50)."""
PAGES_MAX: Final = 40
SCOPES: Final = "read_all read_targets read_ven_objects write_reports"
EARLY_S: Final = 60.0
"""A token is renewed this long before it ends."""
RETRY_AFTER_MAX_S: Final = 3_600.0


class VtnFault(Exception):  # noqa: N818 - names the fault of a VTN
    """A call failed; the message says how. ``wait_s``: the server asked for that much patience."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class VtnClient:
    """Used by one task. ``wrong`` holds what is wrong with single objects of the last calls."""

    def __init__(self, settings: OpenAdrSettings, clock: ClockPort) -> None:
        self._settings = settings
        self._clock = clock
        self._base = settings.url.rstrip("/")
        self._token = ""
        self._until_s = 0.0
        self._http: httpx.AsyncClient | None = None
        self.wrong: list[str] = []

    async def close(self) -> None:
        """End the connection."""
        if self._http is not None:
            await self._http.aclose()
        self._http = None

    async def programmes(self) -> dict[str, Programme]:
        """Those that this VEN may see, by id."""
        found = await self._pages("/programs", Programme, "programmes", {})
        return {each.id: each for each in found}

    async def events(self) -> list[AdrEvent]:
        """All events of the programme, or of all programmes, for our targets."""
        query: dict[str, Any] = {}
        if self._settings.program_id:
            query["programID"] = self._settings.program_id
        if self._settings.targets:
            query["targets"] = list(self._settings.targets)
        found: list[AdrEvent] = await self._pages("/events", AdrEvent, "events", query)
        ours = set(self._settings.targets)
        return [each for each in found if not each.targets or not ours or ours & set(each.targets)]

    async def report(self, body: dict[str, Any]) -> None:
        """Send a report. One that is there already counts as sent."""
        answer = await self._call("POST", "/reports", body=msgspec.json.encode(body))
        if answer.status_code not in (httpx.codes.CREATED, httpx.codes.OK, httpx.codes.CONFLICT):
            raise VtnFault(f"the VTN answers {answer.status_code} to a report")

    async def _pages(self, path: str, kind: type[Any], what: str, query: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        for page in range(PAGES_MAX):
            answer = await self._call("GET", path, query={**query, "skip": page * PAGE, "limit": PAGE})
            if answer.status_code != httpx.codes.OK:
                raise VtnFault(f"the VTN answers {answer.status_code} to {path}")
            try:
                good, bad = read_list(answer.content, kind, what)
            except BadAnswer as fault:
                raise VtnFault(str(fault)) from fault
            found += good
            self.wrong += bad
            if len(good) + len(bad) < PAGE:
                return found
        raise VtnFault(f"the VTN has more than {PAGES_MAX * PAGE} {what}")

    async def _call(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: bytes = b""
    ) -> httpx.Response:
        """One call; with a new token once, where the old one is not taken any more."""
        for _ in range(2):
            token = await self._bearer()
            headers = {"Accept": "application/json"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            if body:
                headers["Content-Type"] = "application/json"
            answer = await self._send(method, self._base + path, headers, params=query, content=body or None)
            if answer.status_code != httpx.codes.UNAUTHORIZED or not token:
                break
            self._token = ""
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise VtnFault(
                f"the VTN refuses {path} ({answer.status_code}); see openadr.client_id, its secret and scopes"
            )
        return answer

    async def _bearer(self) -> str:
        if not self._settings.client_id:
            return ""
        if self._token and self._clock.now_s() < self._until_s:
            return self._token
        url = self._settings.token_url or await self._token_url()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": await self._secret(),
            "scope": SCOPES,
        }
        answer = await self._send("POST", url, {"Accept": "application/json"}, data=form)
        try:
            said = msgspec.json.decode(answer.content)
            token, lasts_s = str(said["access_token"]), float(said.get("expires_in", 300.0))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as fault:
            raise VtnFault(
                f"{httpx.URL(url).host} gives no token ({answer.status_code}); see openadr.client_id"
            ) from fault
        self._token, self._until_s = token, self._clock.now_s() + max(lasts_s - EARLY_S, EARLY_S)
        return token

    async def _token_url(self) -> str:
        """As the VTN says. The secret goes to no other host, unless the site file names it."""
        answer = await self._send("GET", f"{self._base}/auth/server", {"Accept": "application/json"})
        try:
            url = str(msgspec.json.decode(answer.content)["tokenURL"])
            told, ours = httpx.URL(url), httpx.URL(self._base)
        except (msgspec.MsgspecError, KeyError, TypeError, httpx.InvalidURL, RecursionError) as fault:
            raise VtnFault("the VTN does not say where tokens are given; set openadr.token_url") from fault
        if (told.scheme, told.host) != (ours.scheme, ours.host):
            raise VtnFault(
                f"the VTN sends us to {told.scheme}://{told.host} for a token: set openadr.token_url, if that"
                " host may have our secret"
            )
        return url

    async def _secret(self) -> str:
        try:
            text = await asyncio.to_thread(
                Path(self._settings.client_secret_file).read_text, encoding="utf-8"
            )
        except (OSError, UnicodeDecodeError) as fault:
            raise VtnFault(f"openadr.client_secret_file cannot be read: {fault}") from fault
        return text.strip()

    async def _send(self, method: str, url: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        """The whole answer, at most ``ANSWER_MAX`` octets."""
        try:
            if self._http is None:
                self._http = await asyncio.to_thread(self._connected)
            async with self._http.stream(method, url, headers=headers, **more) as answer:
                _refuse(answer)
                data = b""
                async for part in answer.aiter_bytes():
                    data += part
                    if len(data) > ANSWER_MAX:
                        raise VtnFault(f"the VTN sends more than {ANSWER_MAX} octets")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, ValueError) as fault:
            raise VtnFault(f"the VTN cannot be asked: {type(fault).__name__}: {str(fault)[:150]}") from fault
        return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=data)

    def _connected(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=self._settings.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return httpx.AsyncClient(verify=context, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """The headers of a body that is decoded already."""
    return [(name, value) for name, value in headers.items() if name.lower() == "content-type"]


def _refuse(answer: httpx.Response) -> None:
    if answer.is_redirect:
        raise VtnFault(
            f"the VTN sends us elsewhere ({answer.status_code}); set openadr.url to the right address"
        )
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        said = answer.headers.get("Retry-After", "")
        wait_s = min(float(said), RETRY_AFTER_MAX_S) if said.isdecimal() else 0.0
        raise VtnFault("the VTN asks for patience (429)", wait_s)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise VtnFault(f"the VTN answers {answer.status_code}")
