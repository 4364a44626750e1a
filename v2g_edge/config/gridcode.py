"""Grid codes by name, with the values that a network operator has set otherwise. All problems are reported at
once.

An override is written as in the code's own file: ``UV1.threshold``, ``UV1.time_s``,
``enter_service.delay_s``, ``rocof.time_s``.
"""

from collections.abc import Iterator
from importlib import resources
from math import isfinite
from typing import Any

import msgspec
import tomli
from msgspec.structs import replace

from v2g_edge.config.hints import near
from v2g_edge.config.problems import ConfigError, Problem
from v2g_edge.model.gridcode import Element, EnterService, GridCode, Rocof, Span

FOLDER = "envelope/gridcodes"
ENTER_SERVICE = ("v_lo_pu", "v_hi_pu", "f_lo_hz", "f_hi_hz", "delay_s", "ramp_s", "random_delay_s")
ROCOF = ("hz_per_s", "time_s")
ELEMENT = ("threshold", "time_s")
HZ_APART = 1e-6
"""Nominal frequencies are 50 and 60: anything nearer than this is the same number."""


def code_names() -> tuple[str, ...]:
    """The grid codes that ship, sorted."""
    files = resources.files("v2g_edge").joinpath(FOLDER).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def shipped_code(name: str) -> GridCode:
    """The code as it ships, drafts included. KeyError for a name that does not ship."""
    if name not in code_names():
        raise KeyError(name)
    text = resources.files("v2g_edge").joinpath(FOLDER, f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text), GridCode)


def load_code(
    name: str,
    overrides: tuple[tuple[str, float], ...] = (),
    draft_signed_by: str = "",
    nominal_hz: float | None = None,
    file: str = "site.toml",
) -> GridCode:
    """The grid code of a site. ConfigError with every problem of its ``[grid]`` table."""
    code, problems = check_code(name, overrides, draft_signed_by, nominal_hz, file)
    if code is None or problems:
        raise ConfigError(problems)
    return code


def check_code(
    name: str,
    overrides: tuple[tuple[str, float], ...],
    draft_signed_by: str,
    nominal_hz: float | None,
    file: str,
) -> tuple[GridCode | None, list[Problem]]:
    """As ``load_code``, for a caller that collects: the code with the overrides that could be used (None:
    no such code).
    """
    problems: list[Problem] = []
    if name not in code_names():
        allowed = ", ".join(code_names())
        meant = near(name, code_names())
        mend = f'Did you mean "{meant}"?' if meant else "Name the code of the interconnection agreement."
        return None, [Problem(file, "grid.code", f'"{name}"', allowed, mend)]
    code = shipped_code(name)
    if code.status == "draft" and not draft_signed_by.strip():
        problems.append(_unsigned(file, code))
    if nominal_hz is not None and abs(nominal_hz - code.nominal_hz) > HZ_APART:
        mend = "Take the code of the country, or mend the nominal frequency."
        problems.append(
            Problem(file, "grid.nominal_hz", f"{nominal_hz:g}", f"{code.nominal_hz:g} Hz for {name}", mend)
        )
    seen: set[str] = set()
    for key, value in overrides:
        where = f"grid.code_overrides.{key}"
        if key in seen:
            problems.append(
                Problem(file, where, "a second value", "one value a key", "Take one of them out.")
            )
        seen.add(key)
        code = _overridden(code, key, value, where, file, problems)
    problems.extend(_contradictions(code, file))
    return code, problems


def _unsigned(file: str, code: GridCode) -> Problem:
    mend = (
        f"Check each value of {code.name} against the agreement with the network operator and write who did."
    )
    return Problem(
        file,
        "grid.draft_signed_by",
        f"nobody, and {code.name} is a draft ({code.source})",
        "a person's name",
        mend,
    )


def _overridden(
    code: GridCode, key: str, value: float, where: str, file: str, problems: list[Problem]
) -> GridCode:
    """``code`` with one value set, or as it was and a problem more."""
    part, _, field = key.partition(".")
    target: Element | EnterService | Rocof | None = next((e for e in code.elements if e.id == part), None)
    target = code.enter_service if part == "enter_service" else code.rocof if part == "rocof" else target
    fields = (
        ENTER_SERVICE if isinstance(target, EnterService) else ROCOF if isinstance(target, Rocof) else ELEMENT
    )
    if target is None or field not in fields:
        allowed = ", ".join(adjustable(code))
        problems.append(Problem(file, where, "no such value", allowed, f"Name a value of {code.name}."))
        return code
    low, high = _span(target, field)
    if not (isfinite(value) and low <= value <= high):
        allowed = f"{low:g} to {high:g}" if low < high else f"{low:g}, fixed by the code"
        mend = f"{code.name} does not let a site go there ({target.source})."
        problems.append(Problem(file, where, f"{value:g}", allowed, mend))
        return code
    changed: Any = replace(target, **{field: value})
    if isinstance(target, EnterService):
        return replace(code, enter_service=changed)
    if isinstance(target, Rocof):
        return replace(code, rocof=changed)
    return replace(
        code, elements=tuple(changed if element is target else element for element in code.elements)
    )


def adjustable(code: GridCode) -> Iterator[str]:
    """The keys that a site file may set, with their ranges."""
    parts: list[tuple[str, Element | EnterService | Rocof, tuple[str, ...]]] = [
        (e.id, e, ELEMENT) for e in code.elements
    ]
    parts.append(("enter_service", code.enter_service, ENTER_SERVICE))
    if code.rocof is not None:
        parts.append(("rocof", code.rocof, ROCOF))
    for part, target, fields in parts:
        for field in fields:
            low, high = _span(target, field)
            if low < high:
                yield f"{part}.{field} ({low:g} to {high:g})"


def _span(target: Element | EnterService | Rocof, field: str) -> Span:
    """The range beside a value: "time_s" has "time_range_s", "v_lo_pu" has "v_lo_range_pu", "threshold"
    has "threshold_range".
    """
    stem, _, unit = field.rpartition("_")
    spans = [getattr(target, name, None) for name in (f"{stem}_range_{unit}", f"{field}_range")]
    span: Span = spans[0] or spans[1]  # type: ignore[assignment]  # a test reads every range of every code
    return span


def _contradictions(code: GridCode, file: str) -> Iterator[Problem]:
    """What no single range can forbid."""
    enter = code.enter_service
    if enter.ramp_s > 0.0 and enter.random_delay_s > 0.0:
        found = f"a ramp of {enter.ramp_s:g} s and a random delay of {enter.random_delay_s:g} s"
        yield Problem(
            file,
            "grid.code_overrides.enter_service",
            found,
            "one of the two",
            "Set ramp_s or random_delay_s to 0.",
        )
    for low, high in (("v_lo_pu", "v_hi_pu"), ("f_lo_hz", "f_hi_hz")):
        if getattr(enter, low) >= getattr(enter, high):
            found = f"{low} = {getattr(enter, low):g}, {high} = {getattr(enter, high):g}"
            yield Problem(
                file,
                "grid.code_overrides.enter_service",
                found,
                f"{low} below {high}",
                "Leave a window between them.",
            )
