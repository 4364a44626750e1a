"""Studies that people ask for at the page: in a child process with a deadline, one at a time, one a person.

The child is the command line itself (``v2g-edge roi``), so that page and terminal say the same. Nothing of it
outlives the console: assumptions and reports are in a folder that ends with the child, results in memory.
"""

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from v2g_edge.tasks import begin, end

WITHIN_S: Final = 300.0
"""A study of 20,000 futures takes some 10 s of a small computer's processor."""
WAITING_MAX: Final = 4
"""Studies that wait for the one that runs."""
KEPT: Final = 8
"""People whose last study is remembered; a report has some 0.2 MiB."""
REPORT_MAX: Final = 4 << 20
"""Octets of one form of a report."""
SAID_MAX: Final = 20
"""Lines of a failed child that are looked at."""
BEGIN: Final = (
    "from v2g_edge.priority import give_way; give_way(); import sys; from v2g_edge.cli.main import main;"
    " sys.exit(main())"
)
PROGRESS: Final = re.compile(r"progress (\d{1,6})/(\d{1,6})")
FORMS: Final = ("csv", "pdf", "html", "json")

State = Literal["none", "waiting", "running", "done", "failed", "cancelled"]


class Busy(Exception):  # noqa: N818 - an answer, told to people in these words
    """The study cannot begin now. ``own``: because one of the same person has not ended."""

    def __init__(self, text: str, *, own: bool) -> None:
        super().__init__(text)
        self.own = own


@dataclass
class Job:
    """One study.

    Attributes:
        asked: What it was asked with.
        state: How far it is.
        done: Steps done.
        of: Steps in all; 0 until the child has said so.
        fault: Why it failed, in words.
        reports: The report by form.
        result: The report as data.
    """

    asked: dict[str, Any]
    state: State = "waiting"
    done: int = 0
    of: int = 0
    fault: str = ""
    reports: dict[str, bytes] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    def give_up(self) -> None:
        """Its task has ended: what has not come to its end is cancelled."""
        if self.is_open:
            self.state = "cancelled"


class Studies:
    """The last study of each person. ``within_s``: the deadline of one."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._one = asyncio.Lock()
        self._within_s = within_s

    def of(self, owner: str) -> Job | None:
        """The last study of a person."""
        return self._jobs.get(owner)

    def start(self, owner: str, assumptions: dict[str, Any], prices_csv: str) -> Job:
        """Begin a study, or let it wait for its turn. Raises ``Busy``."""
        before = self._jobs.get(owner)
        if before is not None and before.is_open:
            raise Busy("a study of yours has not ended; wait for it, or cancel it", own=True)
        if sum(job.is_open for job in self._jobs.values()) > WAITING_MAX:
            raise Busy(f"{WAITING_MAX} studies of others wait already; try again in a minute", own=False)
        job = self._jobs[owner] = Job(assumptions)
        self._jobs.move_to_end(owner)
        for name in [name for name, each in self._jobs.items() if not each.is_open][
            : max(len(self._jobs) - KEPT, 0)
        ]:
            del self._jobs[name]
        job.task = begin("a study of the console", self._run(job, prices_csv))
        job.task.add_done_callback(lambda _task: job.give_up())  # one that is cancelled may never have begun
        return job

    async def cancel(self, owner: str) -> None:
        """End the study of a person, if one waits or runs."""
        job = self._jobs.get(owner)
        if job is not None and job.is_open and job.task is not None:
            await end(job.task)

    async def stop(self) -> None:
        """End them all."""
        await end(*(job.task for job in self._jobs.values() if job.task is not None))

    async def _run(self, job: Job, prices_csv: str) -> None:
        try:
            async with self._one:
                job.state = "running"
                with tempfile.TemporaryDirectory(prefix="v2g-edge-study-") as made:
                    await self._make(job, Path(made), prices_csv)
        except TimeoutError:
            job.state, job.fault = (
                "failed",
                f"the study did not end within {self._within_s:g} s; ask for fewer futures",
            )
        except (OSError, ValueError) as fault:
            job.state, job.fault = "failed", f"the study could not be made: {fault}"

    async def _make(self, job: Job, folder: Path, prices_csv: str) -> None:
        """Write what is asked, run the child, read its reports."""
        asked = folder / "assumptions.json"
        asked.write_bytes(msgspec.json.encode(job.asked))
        (folder / "prices.csv").write_text(prices_csv, encoding="utf-8")
        words = ("roi", "--assumptions", str(asked), "--folder", str(folder / "made"), "--progress")
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BEGIN, *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ
            | {"OPENBLAS_NUM_THREADS": "1"},  # threads would count against TasksMax of the unit
        )
        try:
            async with asyncio.timeout(self._within_s):
                said = await _follow(child, job)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        if child.returncode != 0:
            text = "\n".join(line.removeprefix("v2g-edge roi: ").replace(f"{asked}: ", "") for line in said)
            job.state, job.fault = "failed", text[:1_000] or f"it ended with {child.returncode}"
            return
        job.reports = {form: data for form in FORMS if (data := _read(folder / "made" / f"roi.{form}"))}
        job.result = msgspec.json.decode(job.reports["json"], type=dict[str, Any])
        job.state = "done"


async def _follow(child: asyncio.subprocess.Process, job: Job) -> list[str]:
    """Take its progress until it ends; what else it said last."""
    said: list[str] = []
    async for line in child.stderr or asyncio.StreamReader():
        text = line.decode("utf-8", "replace").strip()
        if found := PROGRESS.fullmatch(text):
            job.done, job.of = int(found[1]), int(found[2])
        elif text:
            said = [*said[1 - SAID_MAX :], text]
    await child.wait()
    return said


def _read(path: Path) -> bytes:
    """A report; nothing where there is none or one that cannot be."""
    if not path.is_file() or path.stat().st_size > REPORT_MAX:
        return b""
    return path.read_bytes()
