"""A link to an upstream under each security profile: what is shown there, and what is not talked to."""

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.cloud.broker import make_certificates
from v2g_edge.field.ocpp.upstream.dialling import Refusal, dial
from v2g_edge.model.settings import UpstreamSettings

PASSWORD = "0123456789abcdef"
WORD = "Basic " + base64.b64encode(f"CP01:{PASSWORD}".encode()).decode()


class Seen:
    """What a station showed."""

    def __init__(self) -> None:
        self.path = ""
        self.authorization: str | None = None
        self.certificate: Any = None


@contextlib.asynccontextmanager
async def upstream(
    seen: Seen, folder: Path, *, tls: bool, client: bool, basic: bool
) -> AsyncIterator[Server]:
    """A central system that asks for what its profile asks for."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED if client else ssl.CERT_NONE

    def judge(connection: ServerConnection, request: Request) -> Response | None:
        seen.path, seen.authorization = request.path, request.headers.get("Authorization")
        link = connection.transport.get_extra_info("ssl_object")
        seen.certificate = link.getpeercert() if link is not None else None
        return connection.respond(401, "") if basic and seen.authorization != WORD else None

    async def stay(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async with serve(
        stay, "127.0.0.1", 0, ssl=context, process_request=judge, subprotocols=[Subprotocol("ocpp1.6")]
    ) as server:
        yield server


def settings_for(server: Server, folder: Path, **changes: Any) -> UpstreamSettings:
    port = next(iter(server.sockets)).getsockname()[1]
    scheme = "wss" if changes.pop("tls") else "ws"
    return UpstreamSettings("csms", f"{scheme}://127.0.0.1:{port}/ocpp", **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "CP01").write_text(f"{PASSWORD}\n")
    return tmp_path


def keys(folder: Path, profile: int) -> dict[str, Any]:
    """The keys of the site file for a security profile."""
    found: dict[str, Any] = {"tls": profile >= 2}
    if profile in {1, 2}:
        found["password_folder"] = str(folder / "secrets")
    if profile >= 2:
        found["ca_file"] = str(folder / "ca.pem")
    if profile == 3:
        found |= {"certificate_file": str(folder / "client.pem"), "key_file": str(folder / "client.key")}
    return found


@pytest.mark.parametrize("profile", [0, 1, 2, 3])
async def test_a_station_shows_what_its_profile_asks_for(folder: Path, profile: int) -> None:
    seen = Seen()
    async with upstream(
        seen, folder, tls=profile >= 2, client=profile == 3, basic=profile in {1, 2}
    ) as server:
        ws, _ = await dial(settings_for(server, folder, **keys(folder, profile)), "CP01", "1.6")
        await ws.close()
    assert seen.path == "/ocpp/CP01"
    assert seen.authorization == (WORD if profile in {1, 2} else None)
    assert bool(seen.certificate) is (profile == 3)


async def test_a_password_that_is_not_known_there_is_a_refusal_that_says_so(folder: Path) -> None:
    (folder / "secrets" / "CP01").write_text("another-password")
    async with upstream(Seen(), folder, tls=False, client=False, basic=True) as server:
        with pytest.raises(Refusal, match="HTTP 401: look at the identity, the password"):
            await dial(settings_for(server, folder, **keys(folder, 1)), "CP01", "1.6")


def _other_authority(folder: Path) -> dict[str, Any]:
    make_certificates(folder / "other")
    return keys(folder, 2) | {"ca_file": str(folder / "other" / "ca.pem")}


def _no_certificate(folder: Path) -> dict[str, Any]:
    return keys(folder, 2)


@pytest.mark.parametrize("changed", [_other_authority, _no_certificate])
async def test_a_link_that_is_not_as_it_must_be_is_not_opened(
    folder: Path, changed: Callable[[Path], dict[str, Any]]
) -> None:
    wants_ours = changed is _no_certificate
    async with upstream(Seen(), folder, tls=True, client=wants_ours, basic=False) as server:
        with pytest.raises(Exception, match=r"(?i)certificate|closed|reset|no.* HTTP response|valid HTTP"):
            await dial(settings_for(server, folder, **changed(folder)), "CP01", "1.6")


async def test_an_upstream_that_speaks_another_version_is_a_refusal(folder: Path) -> None:
    """Some answer the handshake with an error, some open a link without a version."""
    async with upstream(Seen(), folder, tls=False, client=False, basic=False) as server:
        with pytest.raises(Refusal, match=r"HTTP 400: .* whether it speaks OCPP 2\.0\.1"):
            await dial(settings_for(server, folder, **keys(folder, 0)), "CP01", "2.0.1")

    async def stay(ws: ServerConnection) -> None:
        await ws.wait_closed()

    async with serve(stay, "127.0.0.1", 0) as mute:
        with pytest.raises(Refusal, match=r"does not speak OCPP 2\.0\.1"):
            await dial(settings_for(mute, folder, **keys(folder, 0)), "CP01", "2.0.1")
