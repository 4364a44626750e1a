"""A child process that answers one request at a time over its standard input and output, within a deadline.

A frame is its length (4 bytes, big-endian) and its bytes. A child that is late, dies or writes nonsense is
killed; the next request starts a new one. Its standard error is the daemon's, so that what it complains of is
in the log.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 64 * 1024 * 1024
"""A frame longer than this is nonsense: the plan of a thousand vehicles takes 4 MB."""
END_S: Final = 2.0
"""How long a child may take to end by itself when its input is closed."""


class ChildFailedError(Exception):
    """No answer; the message says why: not started, late, ended, nonsense."""


class Child:
    """``command`` is started at the first request. ``first``: a frame that every new process gets before
    the first request.
    """

    def __init__(
        self, command: Sequence[str], first: bytes = b"", environment: dict[str, str] | None = None
    ) -> None:
        self._command = tuple(command)
        self._first = first
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The running process's id, None without one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def ask(self, request: bytes, within_s: float) -> bytes:
        """The answer. Raises ``ChildFailedError``; the process is then gone."""
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(request)
        except TimeoutError as late:
            await self.stop(0.0)
            raise ChildFailedError(f"no answer within {within_s:g} s; it was stopped") from late
        except (OSError, asyncio.IncompleteReadError, ValueError) as fault:
            code = self._process.returncode if self._process is not None else None
            await self.stop(0.0)
            why = (
                "it ended" if isinstance(fault, asyncio.IncompleteReadError | ConnectionError) else str(fault)
            )
            raise ChildFailedError(why if code is None else f"{why} with {code}") from fault
        except BaseException:  # a cancelled question leaves an answer in the pipe that no question waits for
            await self.stop(0.0)
            raise

    async def _ask(self, request: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
            )
            if self._first:
                await self._write(process, self._first)
        await self._write(process, request)
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        length = int.from_bytes(await process.stdout.readexactly(4), "big")
        if length > LONGEST:
            raise ValueError(f"it answered with {length} bytes")
        return await process.stdout.readexactly(length)

    @staticmethod
    async def _write(process: asyncio.subprocess.Process, frame: bytes) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for above
        process.stdin.write(len(frame).to_bytes(4, "big") + frame)
        await process.stdin.drain()

    async def stop(self, within_s: float = END_S) -> None:
        """Close its input; kill it when it has not ended ``within_s`` later."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None and within_s > 0.0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), within_s)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        if process.stdin is not None:
            with contextlib.suppress(
                OSError, TimeoutError
            ):  # what it could not be told any more is nobody's fault to report
                await asyncio.wait_for(process.stdin.wait_closed(), END_S)
