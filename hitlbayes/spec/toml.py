"""Which model a TOML file asks for: its keys are the keywords of `fit_did` and `read_chats`, checked."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hitlbayes.errors import SpecError

Family = Literal["gaussian", "bernoulli", "binomial", "ordinal", "count"]
Scope = Literal["all", "eligible", "ineligible"]
Period = Literal["day", "hour"]

_FRAME_KEYS = ("unit", "time", "treated", "treated_level", "post", "treatment", "precision", "trials")
_CHAT_KEYS = ("scope", "period", "lag", "by", "tz", "start", "columns")
_SAMPLER_KEYS = ("draws", "chains", "seed", "device")
_MODEL_KEYS = ("family", "formula", "groups", "priors", "likelihood", "controls")


class FitSpec(BaseModel):
    """One difference-in-differences fit: what is estimated, on which rows, with which priors and sampler.

    Two kinds of file can be fitted. A chat log (one row per chat) is collapsed to ``scope`` x ``period``
    cells and needs at most ``columns``, ``tz`` and ``start``. A plain table (any rows) is described by the
    names of its columns: ``unit``, ``time``, and ``treated`` with ``post``, or ``treatment`` for staggered
    starts. Naming ``unit`` says that the file is a plain table.

    Attributes
    ----------
    outcome : str
        The outcome: a canonical name of a chat log, or a column of a plain table.
    family : {"gaussian", "bernoulli", "binomial", "ordinal", "count"}, optional
        Its distribution; required for a plain table, known for the outcomes of a chat log.
    scope, period, lag, by
        Chats that count, length of a period, rule of the lagged controls, discrete covariates kept in cells.
    columns : dict of str to str
        Canonical name to the file's own name.
    tz, start
        Zone in which the days of aware stamps are cut; first treated day.
    unit, time, treated, treated_level, post, treatment, precision, trials : str, optional
        Columns of a plain table, as in `hitlbayes.fit_did`.
    formula, groups, priors
        Controls (``"~ x + C(z)"``), further grouping factors, priors by parameter.
    likelihood, controls
        ``"cells"`` (sufficient statistics, default) or ``"means"`` (unweighted worker-day means);
        ``"lagged"`` adds the paper's lagged controls.
    draws, chains, seed, device
        The sampler. What is left out takes `hitlbayes.fit_did`'s default.
    synthetic : bool
        True labels every result as synthetic.
    name : str, optional
        Title of the report.

    References
    ----------
    Equation (1) of Wang, Zhu, Feng, Lu and Jia (2026), extended by worker drift and effect heterogeneity.

    Examples
    --------
    >>> from hitlbayes.spec.toml import FitSpec
    >>> FitSpec(outcome="rating", scope="eligible").fit_arguments()
    {'outcome': 'rating'}
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    outcome: str
    family: Family | None = None
    name: str | None = None
    synthetic: bool = False

    scope: Scope = "all"
    period: Period = "day"
    lag: Literal["worked", "calendar"] = "worked"
    by: list[str] = Field(default_factory=list)
    columns: dict[str, str] = Field(default_factory=dict)
    tz: str | None = None
    start: dt.date | str | None = None

    unit: str | None = None
    time: str | None = None
    treated: str | None = None
    treated_level: str | int | float | bool | None = None
    post: str | None = None
    treatment: str | None = None
    precision: str | None = None
    trials: str | None = None

    formula: str | None = None
    groups: list[str] = Field(default_factory=list)
    priors: dict[str, Any] = Field(default_factory=dict)
    likelihood: Literal["cells", "means"] | None = None
    controls: Literal["lagged"] | None = None

    draws: int | None = Field(default=None, ge=1)
    chains: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    device: str | None = None

    @model_validator(mode="after")
    def _one_kind_of_file(self) -> FitSpec:
        given = self.model_fields_set
        if not self.is_frame:
            stray = [key for key in _FRAME_KEYS if key in given]
            if stray:
                raise ValueError(
                    f"{_listed(stray)} given without unit: a plain table needs unit and time; "
                    "for a chat log map your names under [columns] instead"
                )
            return self
        stray = [key for key in _CHAT_KEYS if key in given]
        if stray:
            raise ValueError(
                f"{_listed(stray)} given together with unit: unit says that the file is a plain "
                "table, these belong to a chat log; leave out one or the other"
            )
        missing = [key for key in ("time", "family") if getattr(self, key) is None]
        if missing:
            raise ValueError(f"{_listed(missing)} missing: a plain table needs unit, time and family")
        if self.treatment is None and (self.treated is None or self.post is None):
            raise ValueError("a plain table needs treated and post, or treatment (0/1, for staggered starts)")
        return self

    @property
    def is_frame(self) -> bool:
        """True where the file is a plain table, False where it is a chat log."""
        return self.unit is not None

    def read_arguments(self) -> dict[str, Any]:
        """Keywords for `hitlbayes.read_chats`."""
        return {
            "columns": self.columns or None,
            "tz": self.tz,
            "start": _text(self.start),
            "outcome": self.outcome,
            "synthetic": self.synthetic,
        }

    def panel_arguments(self) -> dict[str, Any]:
        """Keywords for `hitlbayes.panel`."""
        return {"scope": self.scope, "period": self.period, "by": tuple(self.by), "lag": self.lag}

    def fit_arguments(self) -> dict[str, Any]:
        """Keywords for `hitlbayes.fit_did`; only those that the file gives."""
        keys = ("outcome", *_MODEL_KEYS, *_SAMPLER_KEYS, *(_FRAME_KEYS if self.is_frame else ()))
        values = {key: getattr(self, key) for key in keys}
        return {key: value for key, value in values.items() if value not in (None, [], {})}


def read_spec(path: str | Path) -> FitSpec:
    """The fit specification in a TOML file.

    Parameters
    ----------
    path : str or Path
        TOML file; its keys are the attributes of `FitSpec`, with ``[columns]`` and ``[priors]`` as tables.

    Raises
    ------
    SpecError
        The file cannot be read or is not TOML, a key is unknown (the nearest known key is suggested),
        a value is of the wrong kind, or the keys do not go together.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rating.toml"
    >>> _ = path.write_text('outcome = "rating"\\nscope = "eligible"\\ndraws = 500\\n')
    >>> read_spec(path).draws
    500
    """
    return parse_spec(load_toml(path), source=Path(path).name)


def load_toml(path: str | Path) -> dict[str, Any]:
    """The contents of a TOML file, or a `SpecError` that says why it cannot be read."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"no specification at {path}: give the path of a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the specification {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is not TOML: {error}") from None


def parse_spec(values: Mapping[str, Any], *, source: str = "specification") -> FitSpec:
    """A checked `FitSpec` from a mapping, as `read_spec` makes it from a file."""
    refuse_unknown_keys(values, known=FitSpec.model_fields, source=source)
    try:
        return FitSpec(**values)
    except ValidationError as error:
        raise SpecError(f"{source}: {explain(error)}") from None


def refuse_unknown_keys(values: Mapping[str, Any], *, known: Iterable[str], source: str) -> None:
    """Raise a `SpecError` that names every unknown key and the known one it most resembles."""
    names = sorted(known)
    problems = []
    for key in values:
        if key in names:
            continue
        near = get_close_matches(key.lower(), names, n=1, cutoff=0.6)
        problems.append(f"unknown key {key!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    if problems:
        raise SpecError(f"{source}: {'; '.join(problems)} (known keys: {', '.join(names)})")


def explain(error: ValidationError) -> str:
    """One line for the first things that pydantic found wrong: key, what was found, what was expected."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if not where:
            lines.append(message)
            continue
        value = "" if problem["type"] == "missing" else f" = {problem['input']!r}"
        lines.append(f"{where}{value}: {message}{_nearest(problem)}")
    return "; ".join(lines)


def _nearest(problem: Mapping[str, Any]) -> str:
    if problem["type"] != "literal_error" or not isinstance(problem["input"], str):
        return ""
    choices = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    near = get_close_matches(problem["input"].lower(), choices, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _text(day: dt.date | str | None) -> str | None:
    return day.isoformat() if isinstance(day, dt.date) else day


def _listed(keys: list[str]) -> str:
    return ", ".join(keys)
