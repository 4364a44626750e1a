"""From a file to ``Settings``, or to all its problems: syntax, then keys, then what must fit together."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from v2g_edge.config import toml
from v2g_edge.config.devices import check_devices
from v2g_edge.config.fallback import check_fallback
from v2g_edge.config.gridcode import check_code
from v2g_edge.config.layout import SiteFile, from_plain, to_settings
from v2g_edge.config.problems import ConfigError, Problem
from v2g_edge.config.references import check_references
from v2g_edge.config.schema import Place, validate
from v2g_edge.config.standin import stand_ins
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.settings import Settings


def load(path: Path) -> Settings:
    """The settings of a site file. ConfigError with every problem of it; then nothing may be started."""
    document, faults = toml.read(Path(path))
    return settle(document, faults, str(path))


def loads(text: str, name: str = "site.toml") -> Settings:
    """The same for a text at hand; ``name`` stands for the file in reports."""
    document, faults = toml.parse(text, Path(name))
    return settle(document, faults, name)


def settle(document: dict[str, Any], faults: list[Problem], file: str) -> Settings:
    """Check what could be read. What hangs on a broken place is not judged: it would only repeat the first problem."""
    problems, places = validate(document, file)
    if faults:  # a table that could not be read is not missing
        problems = [problem for problem in problems if not (problem.found == "nothing" and "." not in problem.key)]
        raise ConfigError(faults + problems)
    if problems:
        raise ConfigError(problems + _beside(document, places, file))
    plan = from_plain(document)
    profile, problems = _fits(plan, file)
    if problems:
        raise ConfigError(problems)
    return to_settings(replace(plan, grid=replace(plan.grid, profile=profile)))


def _fits(plan: SiteFile, file: str) -> tuple[GridCode | None, list[Problem]]:
    """The site's grid code, and everything that does not fit together."""
    profile, problems = check_code(
        plan.grid.code, plan.grid.code_overrides, plan.grid.draft_signed_by, plan.grid.nominal_hz, file
    )
    names = list(check_references(plan, file))
    problems += [*names, *check_devices(plan, file)]
    if not names:  # the sums need a tree
        problems += check_fallback(to_settings(plan).site, file)
    return profile, problems


def _beside(document: dict[str, Any], places: list[Place], file: str) -> list[Problem]:
    """What is wrong whatever stands in the places that the schema refuses."""
    found = [_fits(from_plain(plain), file)[1] for plain in stand_ins(document, places)]
    return [problem for problem in found[0] if problem in found[1]] if found else []


__all__ = ["SiteFile", "load", "loads", "settle"]
