"""One effect beside its frequentist twin, its published estimate and its truth, all in the same units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.errors import SchemaError, SpecError
from hitlbayes.report.draws import draws_of
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.wording import subject

PROB = 0.95  # the frequentist twin and the published estimates come with 95 % intervals
NORMAL_975 = 1.959963984540054  # two-sided 95 % of a normal: published standard errors rest on 647 clusters
FACTORS = {"percentage points": 100.0}


@dataclass(frozen=True, slots=True)
class EffectRow:
    """The average effect on the treated, four ways, in `units`.

    Attributes
    ----------
    label, outcome, scope, units, weight : str
        `weight` says what the posterior averages over: "chat" or "cell".
    mean, sd, lower, upper : float
        Posterior mean, standard deviation and 95 % equal-tailed interval.
    prob_positive : float
        Share of draws above zero.
    twin, twin_lower, twin_upper : float
        Two-way fixed effects with its 95 % confidence interval; NaN where there is none.
    published, published_lower, published_upper : float
        Published estimate with its 95 % interval; NaN where there is none.
    printed, printed_se : float
        The same as printed, on the scale of the published table.
    truth : float
        The effect that was simulated; NaN for real data.
    synthetic, ok : bool
        Whether the data are simulated; whether the draws passed every check.
    problems : str
        What the checks found, "; " between problems.
    r_hat, ess_bulk, ess_tail, divergences : float
        Worst over all parameters; NaN where a check does not apply.
    """

    label: str
    outcome: str
    scope: str
    units: str
    weight: str
    mean: float
    sd: float
    lower: float
    upper: float
    prob_positive: float
    twin: float
    twin_lower: float
    twin_upper: float
    published: float
    published_lower: float
    published_upper: float
    printed: float
    printed_se: float
    truth: float
    synthetic: bool
    ok: bool
    problems: str
    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergences: float


COLUMNS = tuple(field.name for field in fields(EffectRow))


def in_units(value: float, *, units: str) -> float:
    """An effect on unit-period means, in the units that a fit reports.

    Parameters
    ----------
    value : float
        Effect on the mean: log points where `units` is "percent", a difference of proportions where it
        is "percentage points", the outcome's own scale otherwise.
    units : str
        Units of the fit.

    Examples
    --------
    >>> round(in_units(-0.168, units="percent"), 3), round(in_units(0.023, units="percentage points"), 3)
    (-15.465, 2.3)
    """
    if units == "percent":
        return 100.0 * math.expm1(value)
    return FACTORS.get(units, 1.0) * value


def has_effect(fit: FitLike) -> bool:
    """Whether a fit estimates a treatment effect; a mixed model without treatment does not."""
    try:
        return "att" in fit.effects()
    except SpecError:
        return False


def effect_row(
    fit: FitLike,
    *,
    published: tuple[float, float] | None = None,
    truth: float | None = None,
    label: str | None = None,
    weight: str = "chat",
) -> EffectRow:
    """Average effect on the treated with its twin, its published estimate and its truth, in `fit.units`.

    Parameters
    ----------
    fit : Fit
        A difference-in-differences fit.
    published : (float, float), optional
        Estimate and standard error as printed: log points for durations, proportions for rates.
    truth : float, optional
        The simulated effect in `fit.units`.
    label : str, optional
        Name of the row; outcome and scope by default.
    weight : {"chat", "cell"}
        What the posterior effect is averaged over.

    Raises
    ------
    SpecError
        Where a published standard error is not positive, or a truth is given for data that are not synthetic.
    """
    if published is not None and not published[1] > 0:
        raise SpecError(
            f"published must be (estimate, standard error > 0); the error given is {published[1]}."
        )
    if truth is not None and not fit.synthetic:
        raise SpecError("truth was given for a fit to real data; only synthetic data have a known truth.")
    draws = draws_of(fit.effects(weight=weight)["att"], what=f"the effect on {fit.outcome}")
    lower, upper = np.quantile(draws, [(1 - PROB) / 2, (1 + PROB) / 2])
    return EffectRow(
        label=label or subject(fit.outcome, scope=fit.scope),
        outcome=fit.outcome,
        scope=fit.scope or "",
        units=fit.units,
        weight=weight,
        mean=float(draws.mean()),
        sd=float(draws.std(ddof=1)) if draws.size > 1 else math.nan,
        lower=float(lower),
        upper=float(upper),
        prob_positive=float(np.mean(draws > 0)),
        **_twin(fit),
        **_published(published, units=fit.units),
        truth=math.nan if truth is None else float(truth),
        synthetic=fit.synthetic,
        **_verdict(fit),
    )


def compare(rows: Sequence[EffectRow]) -> pd.DataFrame:
    """Effects side by side: published, frequentist twin, posterior and truth, a row per effect.

    Parameters
    ----------
    rows : sequence of EffectRow

    Returns
    -------
    DataFrame
        One row per effect with the fields of `EffectRow` as columns; it survives `to_csv` and `read_csv`.

    Raises
    ------
    SpecError
        Where there is no row.
    """
    if not rows:
        raise SpecError("no effect was given: compare() needs at least one row from effect_row(fit).")
    return pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))


def checked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare`, verified to be complete, with a fresh index.

    Raises
    ------
    SchemaError
        Where columns are missing, there is no row, or an effect has no interval.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise SchemaError(
            f"effects lack the columns {missing}; make them with compare([effect_row(fit), ...])."
        )
    if rows.empty:
        raise SchemaError("effects hold no row; make them with compare([effect_row(fit), ...]).")
    rows = rows.reset_index(drop=True)
    bad = rows.index[~np.isfinite(rows[["mean", "lower", "upper"]].to_numpy(float)).all(axis=1)].tolist()
    if bad:
        raise SchemaError(f"effects without a finite mean and interval in rows {bad} of {len(rows)}.")
    # An empty string comes back from CSV as missing.
    text = {name: rows[name].fillna("").astype(str) for name in ("label", "scope", "units", "problems")}
    return rows.assign(**text, **{name: _flags(rows, name) for name in ("ok", "synthetic")})


def _flags(rows: pd.DataFrame, name: str) -> pd.Series:
    # bool("False") is True: text that came back from a CSV is compared, never cast.
    flags = rows[name].astype(str).map({"True": True, "False": False})
    if flags.isna().any():
        raise SchemaError(
            f"{name} must be True or False; found {rows.loc[flags.isna(), name].unique().tolist()}."
        )
    return flags.astype(bool)


def _twin(fit: FitLike) -> dict[str, Any]:
    twin = fit.frequentist
    values = (math.nan,) * 3 if twin is None else (twin.estimate, twin.lower, twin.upper)
    names = ("twin", "twin_lower", "twin_upper")
    return {name: in_units(value, units=fit.units) for name, value in zip(names, values, strict=True)}


def _published(published: tuple[float, float] | None, *, units: str) -> dict[str, Any]:
    estimate, se = published if published is not None else (math.nan, math.nan)
    return {
        "published": in_units(estimate, units=units),
        "published_lower": in_units(estimate - NORMAL_975 * se, units=units),
        "published_upper": in_units(estimate + NORMAL_975 * se, units=units),
        "printed": estimate,
        "printed_se": se,
    }


def _verdict(fit: FitLike) -> dict[str, Any]:
    check = fit.check()
    worst = {name: getattr(check, name) for name in ("r_hat", "ess_bulk", "ess_tail", "divergences")}
    numbers = {name: math.nan if value is None else float(value) for name, value in worst.items()}
    return {"ok": bool(check.ok), "problems": "; ".join(check.problems), **numbers}
