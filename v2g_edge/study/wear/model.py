"""Wear models as data: a TOML file names the form and its figures. Forms: ``lfp`` and ``nmc`` (as BLAST-Lite
writes them) and ``xu``.
"""

import math
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
import tomli
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHIPPED: Final = Path(__file__).parent / "models"
KELVIN: Final = 273.15
REFERENCE_K: Final = KELVIN + 35.0
REFERENCE_POTENTIAL_V: Final = 0.123
"""What the ``nmc`` form is normalised by."""


class WearError(Exception):
    """The model cannot be used; the message names the file and what is missing."""


class WearModel(Struct, frozen=True, forbid_unknown_fields=True):
    """A model.

    Attributes:
        form: The equations.
        title: Its name for people.
        depth_range: Depths that were measured; outside them it extrapolates.
        temperature_c: Temperatures that were measured.
        figures: The figures of its form.
    """

    form: Literal["lfp", "nmc", "xu"]
    title: str
    depth_range: tuple[float, float]
    temperature_c: tuple[float, float]
    figures: dict[str, float]


class Stress(Struct, frozen=True):
    """What a pack goes through in a time.

    Attributes:
        days: How long.
        soc: SoC over that time in equal steps, 0 to 1.
        pack_c: Mean temperature; or one at each of the SoC's steps, where it swings.
        efc: Equivalent full cycles of the nominal capacity.
        cycles: Cycles as (depth 0 to 1, mean SoC, count).
        rate_c: Mean C-rate over the whole time.
    """

    days: float
    soc: tuple[float, ...]
    pack_c: float | tuple[float, ...]
    efc: float
    cycles: tuple[tuple[float, float, float], ...]
    rate_c: float = 0.0

    @property
    def depth(self) -> float:
        """Range of the SoC."""
        return max(self.soc) - min(self.soc)

    @property
    def kelvin(self) -> Floats:
        """Temperature at each step of the SoC."""
        return np.asarray(np.full(len(self.soc), KELVIN) + np.asarray(self.pack_c))


class Health(Struct, frozen=True):
    """What has been lost so far: by time, by cycles, by loss of active material (``nmc``), each 0 to 1."""

    by_time: float = 0.0
    by_cycles: float = 0.0
    by_sites: float = 1e-8


NEEDED: Final = {
    "lfp": {
        "calendar", "calendar_temperature_k", "calendar_potential_k", "calendar_power", "cycle",
        "cycle_depth", "cycle_rate", "cycle_temperature_k", "cycle_power",
    },
    "nmc": {
        "calendar", "calendar_temperature", "calendar_potential", "calendar_power", "cycle",
        "cycle_temperature", "cycle_depth", "cycle_power", "site_loss", "site_loss_depth", "site_loss_power",
    },
    "xu": {
        "depth_a", "depth_power", "depth_b", "soc", "soc_reference", "temperature",
        "temperature_reference_c", "time_per_s", "film_share", "film_rate",
    },
}  # fmt: skip


def read_model(name: str) -> WearModel:
    """A shipped model by its name, or a file. Raises ``WearError``."""
    path = Path(name) if "/" in name or name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        model = msgspec.convert(tomli.loads(path.read_text(encoding="utf-8")), WearModel)
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError, msgspec.ValidationError) as error:
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.toml")))
        raise WearError(f"{path}: no wear model that can be used ({error}); shipped: {known}") from error
    wrong = NEEDED[model.form] ^ model.figures.keys()
    if wrong:
        raise WearError(f"{path}: figures of form {model.form!r} are {', '.join(sorted(NEEDED[model.form]))}")
    return model


def aged(model: WearModel, health: Health, stress: Stress) -> Health:
    """The pack after ``stress``."""
    return {"lfp": _lfp, "nmc": _nmc, "xu": _xu}[model.form](model.figures, health, stress)


def capacity(model: WearModel, health: Health) -> float:
    """What is left of the capacity, 0 to 1."""
    if model.form == "xu":
        figures = model.figures
        film, rate = figures["film_share"], figures["film_rate"]
        worn = health.by_time + health.by_cycles
        return film * math.exp(-rate * worn) + (1.0 - film) * math.exp(-worn)
    lithium = 1.0 - health.by_time - health.by_cycles
    return min(lithium, 1.01 - health.by_sites) if model.form == "nmc" else lithium


def anode_v(soc: Floats) -> Floats:
    """Potential of graphite against lithium at a SoC (Safari and Delacourt, doi.org/10.1149/1.3567007)."""
    x = 8.5e-3 + soc * (0.78 - 8.5e-3)
    return np.asarray(
        0.6379
        + 0.5416 * np.exp(-305.5309 * x)
        + 0.044 * np.tanh((0.1958 - x) / 0.1088)
        - 0.1978 * np.tanh((x - 1.0571) / 0.0854)
        - 0.6875 * np.tanh((x + 0.0117) / 0.0529)
        - 0.0175 * np.tanh((x - 0.5692) / 0.0875)
    )


def _lfp(figures: dict[str, float], health: Health, stress: Stress) -> Health:
    kelvin = stress.kelvin
    calendar = figures["calendar"] * np.exp(figures["calendar_temperature_k"] / kelvin)
    by_soc = np.exp(figures["calendar_potential_k"] * anode_v(np.asarray(stress.soc)) / kelvin)
    stressed = (
        figures["cycle"] + figures["cycle_depth"] * stress.depth + figures["cycle_rate"] * stress.rate_c
    )
    cycle = stressed * _mean(np.exp(figures["cycle_temperature_k"] / kelvin))
    return Health(
        _power(health.by_time, stress.days, _mean(calendar * by_soc), figures["calendar_power"]),
        _power(health.by_cycles, stress.efc, cycle, figures["cycle_power"]),
    )


def _nmc(figures: dict[str, float], health: Health, stress: Stress) -> Health:
    warm = stress.kelvin / REFERENCE_K
    soc = np.asarray(stress.soc)
    by_soc = np.exp(figures["calendar_potential"] * anode_v(soc) / REFERENCE_POTENTIAL_V / warm)
    calendar = figures["calendar"] * _mean(np.exp(figures["calendar_temperature"] / warm) * by_soc)
    depth = math.exp(figures["cycle_depth"] * math.exp(stress.depth**2))
    cycle = figures["cycle"] * _mean(np.exp(figures["cycle_temperature"] / warm)) * depth
    mean_c = _mean(stress.kelvin) - KELVIN
    sites = figures["site_loss"] + figures["site_loss_depth"] * (mean_c - 55.0) * stress.depth * (
        float(soc.mean()) / 0.6
    )
    return Health(
        _power(health.by_time, stress.days, calendar, figures["calendar_power"]),
        _power(health.by_cycles, stress.efc, cycle, figures["cycle_power"]),
        _sigmoid(health.by_sites, stress.efc, 1.0 / sites, figures["site_loss_power"]),
    )


def _xu(figures: dict[str, float], health: Health, stress: Stress) -> Health:
    """``by_time`` and ``by_cycles`` are the model's own damage, of which ``capacity`` makes a loss."""
    reference_k = figures["temperature_reference_c"] + KELVIN
    kelvin = stress.kelvin
    warm = _mean(np.exp(figures["temperature"] * (kelvin - reference_k) * reference_k / kelvin))

    def by_soc(soc: float) -> float:
        return math.exp(figures["soc"] * (soc - figures["soc_reference"]))

    mean = sum(stress.soc) / len(stress.soc)
    aging = figures["time_per_s"] * stress.days * 86_400.0 * by_soc(mean) * warm
    cycling = sum(count * depth_damage(figures, depth) * by_soc(soc) for depth, soc, count in stress.cycles)
    return Health(health.by_time + aging, health.by_cycles + cycling * warm)


def depth_damage(figures: dict[str, float], depth: float) -> float:
    """The damage of one full cycle. The form turns negative past a depth of 1.29: depths stay within 0-1."""
    depth = min(max(depth, 0.0), 1.0)
    return 1.0 / (figures["depth_a"] * depth ** figures["depth_power"] - figures["depth_b"]) if depth else 0.0


def _power(lost: float, more: float, rate: float, power: float) -> float:
    """A loss that grows as ``rate`` × x^``power``, ``more`` further along x, from whatever it is now."""
    if more <= 0.0:
        return lost
    return float(rate * ((lost / rate) ** (1.0 / power) + more) ** power)


def _sigmoid(lost: float, more: float, rate: float, power: float) -> float:
    """A loss that grows as 2 × (1/2 − 1/(1 + exp((rate × x)^power)))."""
    if more <= 0.0:
        return lost
    x = math.log(2.0 / (1.0 - min(lost, 0.999)) - 1.0) ** (1.0 / power) / rate
    return 1.0 - 2.0 / (1.0 + math.exp(min((rate * (x + more)) ** power, 700.0)))


def _mean(values: Floats) -> float:
    """Mean over time of values at equal steps (trapezoids)."""
    return float(np.trapezoid(values) / (len(values) - 1)) if len(values) > 1 else float(values[0])
