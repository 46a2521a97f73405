"""Nearest-neighbour matching on the propensity score, as R's MatchIt 4.7 does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from hitlbayes.design.covariates import Covariates, Missing, read_covariates, refuse_gaps
from hitlbayes.design.matched import Matched
from hitlbayes.design.nearest import Limits, Order, has_candidate, nearest_neighbours
from hitlbayes.design.propensity import Propensity, propensity_scores
from hitlbayes.errors import DesignError, FitError, SchemaError, SpecError

SEED = 20240815
NO_STRATUM = "no control agrees with it exactly"
NO_CANDIDATE = "no control within the calipers"
ALL_TAKEN = "every control within its reach was taken"


def match(
    frame: pd.DataFrame,
    *,
    formula: str,
    distance: Literal["probability", "logit"] | Sequence[float] = "probability",
    order: Order = "largest",
    ratio: int = 1,
    caliper: float | None = None,
    std_caliper: bool = True,
    covariate_caliper: Mapping[str, float] | None = None,
    std_covariate_caliper: bool = True,
    exact: Sequence[str] = (),
    estimand: Literal["ATT"] = "ATT",
    missing: Missing = "refuse",
    seed: int = SEED,
) -> Matched:
    """Controls like the treated: nearest neighbours on the propensity score, without replacement.

    Parameters
    ----------
    frame : DataFrame
        One row per unit. Never changed.
    formula : str
        ``"treat ~ age + C(region)"``: the 0/1 treatment and the covariates of the propensity score, an
        unpenalised logistic regression. Text columns are categories.
    distance : {"probability", "logit"} or numbers
        What neighbours are near in: the probability of treatment, its log odds, or a column of your own.
    order : {"largest", "smallest", "data", "closest", "random"}
        Who chooses first: the treated with the largest distance, ..., or the closest pair of all.
    ratio : int
        Controls for each treated row; everybody gets a first one before anybody gets a second.
    caliper : float, optional
        Largest difference in distance within a pair, that difference included: in standard deviations of the
        distance over all rows, or raw with ``std_caliper=False``.
    covariate_caliper : mapping, optional
        Column -> largest difference within a pair, in standard deviations over all rows, or raw with
        ``std_covariate_caliper=False``.
    exact : sequence of str
        Columns in which a pair must agree.
    estimand : {"ATT"}
        The average effect on the treated.
    missing : {"refuse", "indicator"}
        What becomes of missing covariates (`hitlbayes.design.covariates.read_covariates`).
    seed : int
        Of the random order.

    Returns
    -------
    Matched

    Raises
    ------
    SchemaError
        Missing values, or a treatment other than 0 and 1: which rows.
    DesignError
        The covariates separate the arms, or no treated row has a control within the calipers.
    SpecError
        An unknown column or option.

    Notes
    -----
    The semantics are those of R's MatchIt 4.7, ``method = "nearest"`` (Ho, Imai, King and Stuart 2011,
    doi:10.18637/jss.v042.i08). The time is O(n log n) unless covariates have calipers. Where distances tie,
    pairs are not unique; their number and their gaps are.

    Examples
    --------
    >>> import numpy as np, pandas as pd, hitlbayes as hb
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=200)})
    >>> frame["treat"] = (rng.random(200) < 0.3 / (1 + np.exp(-frame["x"]))).astype(int)
    >>> matched = hb.match(frame, formula="treat ~ x", caliper=0.2)
    >>> bool(matched.pairs["gap_sd"].max() <= 0.2), matched.pairs["control"].is_unique
    (True, True)
    """
    if estimand != "ATT":
        raise SpecError(f"estimand is {estimand!r}; matching estimates the effect on the treated, 'ATT'.")
    covariates = read_covariates(frame, formula=formula, missing=missing)
    values, found = _distance(distance, covariates)
    limits = _limits(
        frame,
        values,
        caliper=_positive(caliper, name="caliper"),
        standardised=(std_caliper, std_covariate_caliper),
        covariate_caliper=covariate_caliper or {},
        exact=exact,
    )
    rows = nearest_neighbours(values, covariates.treated, limits=limits, order=order, ratio=ratio, seed=seed)
    _verify(rows, covariates.treated, limits=limits, distance=values, ratio=ratio)
    unmatched = _unmatched(frame, rows, covariates.treated, limits=limits, distance=values)
    if not len(rows):
        _refuse_empty(unmatched, caliper=caliper)
    settings = {
        "formula": formula,
        "distance": distance if isinstance(distance, str) else "given",
        "order": order,
        "ratio": int(ratio),
        "caliper": limits.caliper,
        "covariate_caliper": dict(zip(covariate_caliper or {}, limits.widths.tolist(), strict=True)),
        "exact": list(exact),
        "estimand": estimand,
        "missing": missing,
        "seed": seed,
        "left_out": list(found.left_out) if found else [],
        "foretold": found.foretold if found else {},
        "foretold_by": list(found.foretold_by) if found else [],
        "filled": covariates.filled,
    }
    return Matched(
        frame,
        covariates.treated,
        covariates.shown,
        values,
        _pairs(frame, rows, distance=values),
        pair_weights(rows, n=len(frame)),
        unmatched,
        settings,
    )


def _distance(given: Any, covariates: Covariates) -> tuple[np.ndarray, Propensity | None]:
    treated = covariates.treated
    if not isinstance(given, str):
        values = np.asarray(given, float)
        odd = int((~np.isfinite(values)).sum())
        if values.shape != treated.shape or odd:
            raise SchemaError(
                f"distance has shape {values.shape} and {odd:,} values that are not finite; "
                f"expected one finite number for each of {len(treated):,} rows."
            )
        return values, None
    if given not in ("probability", "logit"):
        raise SpecError(f"distance is {given!r}; expected 'probability', 'logit' or an array of numbers.")
    model = covariates.model
    found = propensity_scores(model.to_numpy(), treated, names=list(map(str, model)))
    return (found.probability if given == "probability" else found.logit), found


def _limits(
    frame: pd.DataFrame,
    distance: np.ndarray,
    *,
    caliper: float,
    standardised: tuple[bool, bool],
    covariate_caliper: Mapping[str, float],
    exact: Sequence[str],
) -> Limits:
    """Calipers in units of what they limit, and the strata of exact agreement."""
    if isinstance(exact, str):
        raise SpecError(f"exact is {exact!r}; expected a list of columns, for example [{exact!r}].")
    names = list(dict.fromkeys([*covariate_caliper, *exact]))
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise SpecError(
            f"no column {', '.join(absent)} to match on; the data have: {', '.join(map(str, frame))}."
        )
    refuse_gaps(frame, names, to_do="fill them in or leave those rows out: such rows have no neighbour.")
    if standardised[0]:
        # An infinite log odds has no spread of its own; probabilities are all finite.
        caliper *= float(np.std(distance[np.isfinite(distance)], ddof=1))
    columns = frame[list(covariate_caliper)]
    odd = [name for name in map(str, columns) if not pd.api.types.is_numeric_dtype(columns[name])]
    if odd:
        raise SpecError(f"a caliper needs numbers, and {', '.join(odd)} is not; use exact={odd}.")
    values = columns.to_numpy(float)
    widths = np.array([_positive(width, name=f"caliper of {n!r}") for n, width in covariate_caliper.items()])
    if standardised[1] and len(widths):
        widths = widths * values.std(axis=0, ddof=1)
    strata = frame.groupby(list(exact), sort=False, observed=True).ngroup() if exact else None
    codes = np.zeros(len(frame), np.int64) if strata is None else strata.to_numpy(np.int64)
    return Limits(caliper, codes.astype(np.int64), values, widths)


def _positive(value: float | None, *, name: str) -> float:
    if value is None:
        return np.inf
    if not value >= 0:
        raise SpecError(f"{name} is {value}; expected a number of at least 0.")
    return float(value)


def _pairs(frame: pd.DataFrame, rows: np.ndarray, *, distance: np.ndarray) -> pd.DataFrame:
    treated, control = rows.T
    gap = np.abs(distance[treated] - distance[control])
    spread = float(np.std(distance[np.isfinite(distance)], ddof=1))
    return pd.DataFrame(
        {
            "treated": frame.index[treated],
            "control": frame.index[control],
            "treated_row": treated,
            "control_row": control,
            "gap": gap,
            "gap_sd": gap / spread if spread > 0 else np.zeros_like(gap),
        }
    )


def pair_weights(rows: np.ndarray, *, n: int) -> np.ndarray:
    """MatchIt's: a control has 1 / k of its treated row's k, and controls sum to their number."""
    weights = np.zeros(n)
    treated, control = rows.T
    weights[treated] = 1.0
    weights[control] = 1.0 / np.bincount(treated, minlength=n)[treated]
    weights[control] *= len(control) / weights[control].sum()
    return weights


def _unmatched(
    frame: pd.DataFrame, rows: np.ndarray, treated: np.ndarray, *, limits: Limits, distance: np.ndarray
) -> pd.DataFrame:
    alone = treated.copy()
    alone[rows[:, 0]] = False
    at = np.flatnonzero(alone)
    agreeing = np.isin(limits.strata[at], limits.strata[~treated])
    reachable = has_candidate(distance, treated, limits=limits)[at]
    why = np.where(reachable, ALL_TAKEN, np.where(agreeing, NO_CANDIDATE, NO_STRATUM))
    return pd.DataFrame({"index": frame.index[at], "row": at, "why": why})


def _refuse_empty(unmatched: pd.DataFrame, *, caliper: float | None) -> None:
    reasons = ", ".join(f"{why} ({k:,} rows)" for why, k in unmatched["why"].value_counts().items())
    raise DesignError(
        f"none of {len(unmatched):,} treated rows has a control: {reasons}; caliper={caliper}.\n"
        "  to do: widen the calipers, or match exactly on fewer columns."
    )


def _verify(
    rows: np.ndarray, treated: np.ndarray, *, limits: Limits, distance: np.ndarray, ratio: int
) -> None:
    """Calipers, exactness, arms and no reuse, on the pairs themselves."""
    at, control = rows.T
    kept = limits.kept_by(at, control, distance=distance)
    once = len(np.unique(control)) == len(control) and np.bincount(at, minlength=1).max(initial=0) <= ratio
    if not (kept.all() and once and treated[at].all() and not treated[control].any()):
        raise FitError(
            f"{int((~kept).sum())} pairs break the calipers or exactness, or a control was used twice: this "
            "is a defect of hitlbayes; please report it with the call."
        )
