"""A person's certificate opens the session of the account that it names, and of no other."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from tests.cloud.broker import make_certificates
from tests.console.conftest import PASSWORD, Clock, until
from v2g_edge.console.server import Console, Options


def browser(url: str, folder: Path, *, own: Path | None) -> httpx.AsyncClient:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if own is not None:
        context.load_cert_chain(own / "client.pem", own / "client.key")
    return httpx.AsyncClient(base_url=url, verify=context, trust_env=False)


@pytest.mark.parametrize("account", ["client", "erna"])
async def test_a_certificate_opens_the_session_of_the_account_that_it_names(
    tmp_path: Path, account: str
) -> None:
    ca = make_certificates(tmp_path)
    stranger = tmp_path / "stranger"
    make_certificates(stranger)
    tls = (tmp_path / "server.pem", tmp_path / "server.key")
    options = Options("127.0.0.1", 0, str(tmp_path / "c.sock"), tmp_path / "state", tls, client_ca=ca)
    console = Console(options, Clock())
    await console.accounts.add(account, "operator", PASSWORD)
    task = asyncio.ensure_future(console.run())
    url = f"https://127.0.0.1:{console.port}"
    try:
        await until(lambda: console.is_up)
        async with browser(url, tmp_path, own=tmp_path) as client:
            assert (await client.get("/api/session")).json()["certificate"] == "client"
            entered = await client.post("/api/login/certificate")
            assert entered.status_code == (204 if account == "client" else 403)
            person = (await client.get("/api/session")).json()["person"]
            assert person == ({"name": "client", "role": "operator"} if account == "client" else None)
        async with browser(url, tmp_path, own=None) as client:
            assert (await client.post("/api/login/certificate")).status_code == 403
            assert (await client.post("/api/login", json={"name": account, "password": PASSWORD})).is_success
        async with browser(url, tmp_path, own=stranger) as client:
            with pytest.raises(httpx.TransportError):
                await client.post("/api/login/certificate")
    finally:
        console.stop()
        await task
