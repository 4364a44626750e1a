"""``python -m tests.console.interface``: requests drawn by schemathesis from the console's own schema, some
thousand, at a console before a real daemon and simulated stations. None may find a fault of the server, or an
answer that the schema does not name.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final
from unittest.mock import patch

import httpx

from tests.console.test_browser import depot
from v2g_edge.console import guard
from v2g_edge.console.accounts import Accounts
from v2g_edge.host.clock import SystemClock

EXAMPLES: Final = 150
CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)
"""What it judges. Not whether a request that fits the schema is taken: the daemon refuses in words an order
for a vehicle that is not there.
"""
STREAM: Final = "/api/live"
"""An answer without end, which it would wait for."""
SLOW: Final = (
    "/api/night",
    "/api/money",
    "/api/money/csv",
    "/api/setup",
    "/api/roi",
    "/api/what-if/{subject}",
)
"""Each of these answers comes from a process of its own, after seconds; fewer are drawn."""
FEWER: Final = 15


async def schema_of(url: str) -> bytes:
    """The schema, as a program gets it."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/api/openapi.json")
        return answer.raise_for_status().content


def draw(
    url: str, token: str, examples: int, folder: Path, phases: str = "fuzzing", chosen: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Draw so many requests of each operation; exit code and report. ``folder`` is for what it keeps,
    ``phases`` are those of schemathesis, ``chosen`` are its words that choose operations.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/openapi.json"]
    command += ["--checks", CHECKS, "--max-examples", str(examples), "--phases", phases]
    command += [
        "--header",
        f"Authorization: Bearer {token}",
        *(chosen or ("--exclude-path", STREAM)),
        "--seed",
        "7",
        "--request-timeout",
        "180",
    ]
    made = subprocess.run(
        [*command, "--generation-deterministic", "--no-color"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return made.returncode, (made.stdout + made.stderr)[-6_000:]


async def main(examples: int) -> int:
    """All phases, at a real daemon."""
    # The pace of one address is no part of what is judged.
    with patch.object(guard, "ASKED_PER_S", 1e9), tempfile.TemporaryDirectory(prefix="v2g-") as folder:
        async with depot(Path(folder)) as found:
            accounts = Accounts(Path(folder) / "console")
            token = accounts.new_token("drawn", "drawn", "engineer", SystemClock().wall_s() + 86_400.0)
            phases = "examples,coverage,fuzzing"
            quick = tuple(word for path in (STREAM, *SLOW) for word in ("--exclude-path", path))
            slow = tuple(word for path in SLOW for word in ("--include-path", path))
            codes = []
            for chosen, fewer in ((slow, FEWER), (quick, 1)):
                code, said = await asyncio.to_thread(
                    draw, found.url, token, max(examples // fewer, 1), Path(folder), phases, chosen
                )
                sys.stdout.write(said)
                sys.stdout.flush()
                codes.append(code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES)))
