"""What the synthetic experiment is made of: every number that `simulate` uses, kept as TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from hitlbayes.errors import SpecError
from hitlbayes.twin.sections import (
    Away,
    Covariates,
    Customers,
    Effects,
    Escalation,
    Experiment,
    Issues,
    People,
    Process,
    Ratings,
    Text,
    Volume,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Parameters:
    """Every parameter of the synthetic experiment; `Parameters.load()` gives the calibrated ones.

    Examples
    --------
    >>> Parameters.load().experiment.days
    31
    """

    experiment: Experiment
    volume: Volume
    duration: Process
    retrial: Process
    rating: Process
    response: Process
    concurrency: Process
    away: Process
    switches: Process
    ratings: Ratings
    text: Text
    multitasking: Away
    people: People
    customers: Customers
    issues: Issues
    duration_covariates: Covariates
    retrial_covariates: Covariates
    rating_covariates: Covariates
    escalation: Escalation
    effects: Effects

    @classmethod
    def load(cls, path: str | Path | None = None) -> Parameters:
        """Read parameters from a TOML file; without a path, those calibrated to the paper."""
        if path is None:
            text = resources.files("hitlbayes.twin").joinpath("parameters.toml").read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        return cls.from_dict(tomllib.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Parameters:
        """Parameters from nested dicts, as `dataclasses.asdict` gives them."""
        return _build(cls, values, where="parameters")

    def dump(self) -> str:
        """TOML text from which `load` gives these parameters back."""
        return _toml(dataclasses.asdict(self), prefix="")


def _build(kind: type, values: dict[str, Any], *, where: str) -> Any:
    """Dataclass `kind` from a nested dict; unknown or missing keys are errors, not defaults."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    required = {n for n, f in fields.items() if f.default is dataclasses.MISSING}
    if wrong := [*sorted(set(values) - set(fields)), *sorted(required - set(values))]:
        raise SpecError(f"{where}: unknown or missing keys {wrong}; expected {sorted(fields)}")
    hints = get_type_hints(kind)
    out = {}
    for name, value in values.items():
        hint = hints[name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            out[name] = _build(hint, value, where=f"{where}.{name}")
        else:
            out[name] = tuple(value) if isinstance(value, list) else value
    return kind(**out)


def _toml(values: dict[str, Any], *, prefix: str) -> str:
    lines, tables = [], []
    for name, value in values.items():
        if isinstance(value, dict):
            tables.append(f"\n[{prefix}{name}]\n" + _toml(value, prefix=f"{prefix}{name}."))
        else:
            lines.append(f"{name} = {_literal(value)}")
    return "\n".join(lines) + ("\n" if lines else "") + "".join(tables)


def _literal(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_literal(v) for v in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:.6g}" if value % 1 else f"{value:.1f}"
    return str(value)
