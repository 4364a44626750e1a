"""From a file to ``Settings``, or to all its problems: syntax, then keys, then what must fit together."""

from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from v2g_edge.config import toml
from v2g_edge.config.calendars import check_calendars
from v2g_edge.config.devices import check_devices
from v2g_edge.config.dropins import Source, in_their_files, laid_over, read_dropins
from v2g_edge.config.external_systems import check_external_systems
from v2g_edge.config.fallback import check_fallback
from v2g_edge.config.gridcode import check_code
from v2g_edge.config.layout import SiteFile, from_plain, to_settings
from v2g_edge.config.lines import placed
from v2g_edge.config.plausibility import UNIT_MEND, oddities
from v2g_edge.config.problems import ConfigError, Problem
from v2g_edge.config.references import check_references
from v2g_edge.config.schema import Place, validate
from v2g_edge.config.standin import stand_ins
from v2g_edge.model.gridcode import GridCode
from v2g_edge.model.settings import Settings


class Report(NamedTuple):
    """Everything found in a site file. ``settings`` is None where an error keeps the depot from starting."""

    settings: Settings | None
    problems: list[Problem]
    document: dict[str, Any]
    text: str

    @property
    def errors(self) -> list[Problem]:
        """What keeps the depot from starting."""
        return [problem for problem in self.problems if problem.level == "error"]


def load(path: Path) -> Settings:
    """The settings of a site file. ConfigError with every error of it; then nothing may be started."""
    return _usable(inspect(path))


def loads(text: str, name: str = "site.toml") -> Settings:
    """The same for a text at hand; ``name`` stands for the file in reports."""
    return _usable(inspect_text(text, name))


def inspect_text(text: str, name: str, beside: Path | None = None) -> Report:
    """Errors and warnings of a text at hand; ``beside``: the site file whose drop-ins are laid over it."""
    document, faults = toml.parse(text, Path(name))
    if beside is None:
        return report_of(document, faults, name, text)
    return _with_dropins(Source(Path(name), text, document), faults, beside)


def inspect(path: Path) -> Report:
    """Errors and warnings of a site file and its drop-ins, each with its line, in the order of the file."""
    path = Path(path)
    text, document, faults = toml.read(path)
    return _with_dropins(Source(path, text, document), faults, path)


def _with_dropins(site: Source, faults: list[Problem], beside: Path) -> Report:
    """The report of ``site`` under the drop-ins of the site file ``beside``."""
    over, more = read_dropins(beside)
    if not over and not more:
        return report_of(site.document, faults, str(site.path), site.text)
    document = site.document
    for each in over:
        document = laid_over(document, each.document)
    report = report_of(document, [*faults, *more], str(site.path), "")
    problems = in_their_files(report.problems, [site, *over])
    return report._replace(problems=problems, text=site.text)


def settle(document: dict[str, Any], faults: list[Problem], file: str) -> Settings:
    """The settings of a document that is already read; ConfigError as ``load``, without lines."""
    return _usable(report_of(document, faults, file, ""))


def _usable(report: Report) -> Settings:
    if report.settings is None:
        raise ConfigError(report.errors)
    return report.settings


def report_of(document: dict[str, Any], faults: list[Problem], file: str, text: str) -> Report:
    """Check what could be read. What hangs on a broken place is not judged: it would only repeat the first
    problem.
    """
    settings: Settings | None = None
    problems, places = validate(document, file)
    if faults:  # a table that could not be read is not missing
        problems = [
            problem for problem in problems if not (problem.found == "nothing" and "." not in problem.key)
        ]
        problems = faults + problems
    elif problems:
        problems += _beside(document, places, file)
    else:
        plan = from_plain(document)
        profile, problems = _fits(plan, file)
        if not any(problem.level == "error" for problem in problems):
            settings = to_settings(replace(plan, grid=replace(plan.grid, profile=profile)))
    problems = _one_warning_a_key(problems)
    return Report(settings, placed(problems, text, document) if text else problems, document, text)


def _one_warning_a_key(problems: list[Problem]) -> list[Problem]:
    """One oddity a key is enough, the first is the nearest to its cause. A key that is wrong is odd only
    by its unit.
    """
    wrong = {problem.key for problem in problems if problem.level == "error"}
    odd: set[str] = set()
    kept = []
    for problem in problems:
        by_unit = problem.key not in wrong or problem.mend.endswith(UNIT_MEND)
        if problem.level == "error" or (problem.key not in odd and by_unit):
            kept.append(problem)
        if problem.level == "warning":
            odd.add(problem.key)
    return kept


def _fits(plan: SiteFile, file: str) -> tuple[GridCode | None, list[Problem]]:
    """The site's grid code, and everything that does not fit together or is odd."""
    profile, problems = check_code(
        plan.grid.code, plan.grid.code_overrides, plan.grid.draft_signed_by, plan.grid.nominal_hz, file
    )
    names = list(check_references(plan, file))
    problems += [*names, *check_devices(plan, file), *check_calendars(plan, file)]
    problems += check_external_systems(plan, file)
    if not names:  # the sums need a tree
        problems += check_fallback(to_settings(plan).site, file)
    return profile, [*problems, *oddities(plan, file)]


def _beside(document: dict[str, Any], places: list[Place], file: str) -> list[Problem]:
    """What is wrong or odd whatever stands in the places that the schema refuses."""
    found = [_fits(from_plain(plain), file)[1] for plain in stand_ins(document, places)]
    if not found:
        return []
    with_other = set(found[1])
    return [problem for problem in found[0] if problem in with_other]


__all__ = ["Report", "SiteFile", "inspect", "load", "loads", "settle"]
