"""Metrics as text: OpenMetrics 1.0 where it is asked for, else Prometheus' text format 0.0.4.

A plain writer: 200 chargers with 20 series each cost a few milliseconds at each scrape, and nothing
otherwise. The usual client library takes a hundred, in the loop that decides power.
"""

from collections.abc import Mapping
from typing import Final, Literal

from v2g_edge.host.health import BUCKETS_S, Histogram

Kind = Literal["gauge", "counter", "histogram"]

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def escaped(text: str) -> str:
    """A label's value as both formats write it."""
    return text.translate(_ESCAPES)


def labels(**values: str) -> str:
    """``{evse="B07",direction="charge"}``; values of any text."""
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in values.items()) + "}"


class Exposition:
    """Collects families in the order in which they are written. Names carry their unit; counters end in
    ``_total``.
    """

    def __init__(self, *, openmetrics: bool) -> None:
        self._openmetrics = openmetrics
        self._lines: list[str] = []

    def add(self, name: str, kind: Kind, text: str, samples: Mapping[str, float]) -> None:
        """One family: ``samples`` by their labels, "" without any. A family without samples is left out."""
        if not samples:
            return
        self._head(name, kind, text)
        self._lines.extend(f"{name}{at} {value!r}" for at, value in samples.items())

    def add_histogram(self, name: str, text: str, histogram: Histogram) -> None:
        """One histogram of seconds, cumulative as the formats want it."""
        self._head(name, "histogram", text)
        total = 0
        for end_s, count in zip([*map(repr, BUCKETS_S), "+Inf"], histogram.counts, strict=True):
            total += count
            self._lines.append(f'{name}_bucket{{le="{end_s}"}} {total}')
        self._lines += [f"{name}_sum {histogram.sum_s!r}", f"{name}_count {total}"]

    def _head(self, name: str, kind: Kind, text: str) -> None:
        family = name.removesuffix("_total") if self._openmetrics and kind == "counter" else name
        self._lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}"]

    @property
    def content_type(self) -> str:
        """What the answer calls itself."""
        return OPENMETRICS if self._openmetrics else TEXT

    def body(self) -> bytes:
        """The whole text."""
        end = ["# EOF", ""] if self._openmetrics else [""]
        return "\n".join([*self._lines, *end]).encode()
