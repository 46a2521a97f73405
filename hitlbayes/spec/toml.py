"""Which model a TOML file asks for: its keys are the keywords of `fit_did` and `read_chats`, checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hitlbayes.errors import SpecError
from hitlbayes.spec.priors import Prior, dirichlet, fixed, half_normal, lkj, normal
from hitlbayes.spec.strict import did_you_mean, explain, load_toml, refuse_unknown_keys

_PRIORS: dict[str, Callable[..., Prior]] = {
    "normal": normal,
    "half_normal": half_normal,
    "fixed": fixed,
    "lkj": lkj,
    "dirichlet": dirichlet,
}

Family = Literal["gaussian", "bernoulli", "ordinal", "count"]
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
    family : {"gaussian", "bernoulli", "ordinal", "count"}, optional
        Its distribution; required for a plain table, known for the outcomes of a chat log.
    scope, period, lag, by
        Chats that count, length of a period, rule of the lagged controls, discrete covariates kept in cells.
    columns : dict of str to str
        Canonical name to the file's own name.
    tz, start
        Zone in which the days of aware stamps are cut; first treated day.
    treated_level
        The value that means treated, where the arm is not 0/1.
    unit, time, treated, post, treatment, precision, trials : str, optional
        Columns of a plain table, as in `hitlbayes.fit_did`.
    formula, groups
        Controls (``"~ x + C(z)"``) and further grouping factors.
    priors : dict of str to dict
        Kind and values by parameter: ``sd_effect = {half_normal = 0.5}``, ``treatment = {normal = [0, 1]}``.
    likelihood, controls
        ``"cells"`` (sufficient statistics, default) or ``"means"`` (unweighted worker-day means);
        ``"lagged"`` adds the paper's lagged controls.
    draws, chains, seed, device
        The sampler, and where it runs (``"cpu"`` or ``"gpu"``). What is left out takes
        `hitlbayes.fit_did`'s default.
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
    priors: dict[str, dict[str, float | list[float]]] = Field(default_factory=dict)
    likelihood: Literal["cells", "means"] | None = None
    controls: Literal["none", "lagged"] | None = None

    draws: int | None = Field(default=None, ge=1)
    chains: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0)
    device: Literal["cpu", "gpu"] | None = None

    @model_validator(mode="after")
    def _known_priors(self) -> FitSpec:
        for name, given in self.priors.items():
            prior_of(given, name=name)
        return self

    @model_validator(mode="after")
    def _one_kind_of_file(self) -> FitSpec:
        given = self.model_fields_set
        if not self.is_frame:
            stray = [key for key in _FRAME_KEYS if key in given and key != "treated_level"]
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
            "treated_level": self.treated_level,
        }

    def panel_arguments(self) -> dict[str, Any]:
        """Keywords for `hitlbayes.panel`."""
        return {"scope": self.scope, "period": self.period, "by": tuple(self.by), "lag": self.lag}

    def fit_arguments(self) -> dict[str, Any]:
        """Keywords for `hitlbayes.fit_did`; only those that the file gives."""
        keys = ("outcome", *_MODEL_KEYS, *_SAMPLER_KEYS, *(_FRAME_KEYS if self.is_frame else ()))
        values = {key: getattr(self, key) for key in keys}
        values["priors"] = {name: prior_of(given, name=name) for name, given in self.priors.items()}
        return {key: value for key, value in values.items() if value not in (None, [], {})}


def prior_of(given: Mapping[str, float | list[float]], *, name: str) -> Prior:
    """The prior that a table of one key asks for.

    Parameters
    ----------
    given : mapping
        One of ``normal`` (location, scale), ``half_normal``, ``fixed``, ``lkj``, ``dirichlet`` (a number).
    name : str
        The parameter, for the error.

    Raises
    ------
    SpecError
        Not one kind, an unknown kind, or the wrong number of values.

    Examples
    --------
    >>> str(prior_of({"half_normal": 0.5}, name="sd_effect"))
    'half_normal(0.5)'
    """
    if len(given) != 1:
        raise SpecError(f"priors.{name}: expected one kind, as in {{half_normal = 0.5}}; found {dict(given)}")
    ((kind, value),) = given.items()
    if kind not in _PRIORS:
        hint = did_you_mean(kind, _PRIORS)
        raise SpecError(f"priors.{name}: no prior {kind!r}{hint} (known: {', '.join(_PRIORS)})")
    values = value if isinstance(value, list) else [value]
    if len(values) != (2 if kind == "normal" else 1):
        wanted = "[location, scale]" if kind == "normal" else "one number"
        raise SpecError(f"priors.{name}: {kind} takes {wanted}; found {value!r}")
    return _PRIORS[kind](*values)


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


def parse_spec(values: Mapping[str, Any], *, source: str = "specification") -> FitSpec:
    """A checked `FitSpec` from a mapping, as `read_spec` makes it from a file."""
    try:
        refuse_unknown_keys(values, known=FitSpec.model_fields, source=source)
    except SpecError as error:
        raise SpecError(f"{error}; the columns of a log are mapped under [columns]") from None
    try:
        return FitSpec(**values)
    except ValidationError as error:
        raise SpecError(f"{source}: {explain(error)}") from None


def _text(day: dt.date | str | None) -> str | None:
    return day.isoformat() if isinstance(day, dt.date) else day


def _listed(keys: list[str]) -> str:
    return ", ".join(keys)
