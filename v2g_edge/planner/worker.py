"""The planner's own process: a setup frame, then jobs in and answers out, until its input ends.

``python -m v2g_edge.planner.worker``. It runs at low priority and on one core: control goes first.
"""

import contextlib
import sys
from typing import BinaryIO

from v2g_edge.model.orders import planned
from v2g_edge.planner.exchange import ENCODER, JOB, SETUP, Answer, Job, Setup
from v2g_edge.priority import give_way


def main() -> int:
    """Answer jobs until the input ends."""
    give_way()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    first = read_frame(source)
    if first is None:
        return 0
    setup = SETUP.decode(first)
    while (frame := read_frame(source)) is not None:
        with contextlib.redirect_stdout(sys.stderr):  # what a library prints must not land among the frames
            answer = ENCODER.encode(answer_to(setup, JOB.decode(frame)))
        sink.write(len(answer).to_bytes(4, "big") + answer)
        sink.flush()
    return 0


def answer_to(setup: Setup, job: Job) -> Answer:
    """The plan, or the reason why there is none: of whatever class, it is the caller's to fall back."""
    from v2g_edge.planner.build import outlook_of  # noqa: PLC0415
    from v2g_edge.planner.day import plan_day  # noqa: PLC0415 - with the solver, once per process, after the setup was read

    try:
        site = planned(setup.site, job.snapshot.operator.orders, job.ahead)
        plan, report = plan_day(
            site,
            job.snapshot,
            job.prices,
            setup.terms,
            job.snapshot.wall_s,
            job.pasts,
            outlook_of(job.demand, job.reserves, job.ahead or (), job.base_kw, job.base_error_kw),
            limit_s=job.limit_s,
        )
    except Exception as fault:  # noqa: BLE001 - see above
        return Answer(fault=f"{type(fault).__name__}: {fault}")
    return Answer(plan, report)


def read_frame(source: BinaryIO) -> bytes | None:
    """One frame; None at the end of the input."""
    head = source.read(4)
    if len(head) < 4:
        return None
    body = source.read(int.from_bytes(head, "big"))
    return body if len(body) == int.from_bytes(head, "big") else None


if __name__ == "__main__":
    sys.exit(main())
