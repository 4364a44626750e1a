"""Dialling an upstream central system as a station does: its identity in the path, its password, our
certificate.
"""

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, NegotiationError
from websockets.typing import Subprotocol

from v2g_edge.field.ocpp.upstream.policy import CARRIED_IN
from v2g_edge.field.ocpp.wire.dialed import Dialed
from v2g_edge.field.ocpp.wire.frames import FRAME_MAX
from v2g_edge.field.ocpp.wire.messages import SUBPROTOCOL, Version
from v2g_edge.model.settings import UpstreamSettings

OPEN_S: Final = 15.0
CLOSE_S: Final = 2.0
PING_S: Final = 50.0
"""Patience with opening and closing: a mobile uplink takes some seconds. Time between two pings: routers
forget quiet connections, some after a minute.
"""


class Refusal(ConnectionError):  # noqa: N818 - an answer of the upstream
    """The upstream, or our own site file, says no: another dial soon would not help. Its text says what
    does.
    """


async def dial(settings: UpstreamSettings, identity: str, version: Version) -> tuple[Dialed, Version]:
    """An open connection for a station that speaks ``version``, and the version that the upstream has chosen.
    ``Refusal`` where the upstream turns the station away; OSError and others where it is not reached.
    """
    offered = CARRIED_IN[version]
    headers = await asyncio.to_thread(_credentials, settings, identity)
    context = await asyncio.to_thread(tls_of, settings) if settings.url.startswith("wss:") else None
    url = f"{settings.url.rstrip('/')}/{identity}"
    try:
        ws = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL[each]) for each in offered],
            additional_headers=headers,
            ssl=context,
            create_connection=Dialed,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            max_size=FRAME_MAX,
            user_agent_header=None,
        )
    except InvalidStatus as fault:
        status = fault.response.status_code
        raise Refusal(
            f"upstream {settings.id} answers {url} with HTTP {status}: look at the identity, the password and"
            f" the certificate that it knows for this station, and whether it speaks OCPP {version}"
        ) from fault
    except NegotiationError as fault:
        raise Refusal(_no_version(settings, version)) from fault
    chosen = next((each for each in offered if SUBPROTOCOL[each] == ws.subprotocol), None)
    if chosen is None:
        await ws.close()
        raise Refusal(_no_version(settings, version))
    assert isinstance(ws, Dialed)  # noqa: S101 - see ``create_connection``
    return ws, chosen


def _no_version(settings: UpstreamSettings, version: Version) -> str:
    others = "".join(f" or {each}" for each in CARRIED_IN[version][1:])
    return (
        f"upstream {settings.id} does not speak OCPP {version}{others}. The station speaks {version}; what it"
        " says cannot be said in another version without loss: let the upstream speak that one"
    )


def _credentials(settings: UpstreamSettings, identity: str) -> dict[str, str]:
    """HTTP Basic with the station's identity as user name (security profiles 1 and 2)."""
    if not settings.password_folder:
        return {}
    password = (Path(settings.password_folder) / identity).read_text(encoding="utf-8").strip()
    word = base64.b64encode(f"{identity}:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def tls_of(settings: UpstreamSettings) -> ssl.SSLContext:
    """TLS 1.2 or later, the upstream's name checked, our certificate where there is one. OSError names a
    file that does not fit.
    """
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate_file:
        context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    return context
