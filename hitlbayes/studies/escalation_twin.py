"""The frequentist twin of the effects by escalation type: OLS by subsample, clustered by worker (eq. 2)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from hitlbayes.frequentist import fixest

COLUMNS = ("estimate", "se", "lower", "upper", "n", "clusters", "r2")


def ols_by_type(
    samples: Mapping[str, pd.DataFrame], *, outcome: str, worker: str, treated: str, columns: list[str]
) -> pd.DataFrame:
    """Coefficient of treatment in each type's matched sample, standard errors clustered by worker.

    Parameters
    ----------
    samples : mapping
        Type -> its matched chats, both arms: the outcome, the worker, 0/1 `treated`, covariates' columns.
    columns : covariates, as numbers

    Returns
    -------
    DataFrame
        One row per type: ``estimate``, ``se``, ``lower``, ``upper`` (95 %, t), ``n``, ``clusters``, ``r2``;
        log points, probabilities or points. NaN where an arm has no known
        outcome, or where there are no more chats than covariates.

    Notes
    -----
    Equation 2 of Wang, Zhu, Feng, Lu and Jia (2026).
    """
    rows = {name: _fit(sample, outcome, worker, treated, columns) for name, sample in samples.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS)).rename_axis("type")


def _fit(
    sample: pd.DataFrame, outcome: str, worker: str, treated: str, columns: list[str]
) -> tuple[float, ...]:
    known = sample[sample[outcome].notna()]
    n, clusters = len(known), known[worker].nunique()
    if known[treated].nunique() < 2 or clusters < 3:
        return (*[np.nan] * 4, n, clusters, np.nan)
    frame = pd.DataFrame({"y": known[outcome].astype(float), "treat": known[treated].astype(float)})
    frame["cluster"] = pd.factorize(known[worker])[0]
    frame[[f"x{j}" for j in range(len(columns))]] = known[columns].to_numpy(float)
    # constant in the sample: nothing to hold
    used = [f"x{j}" for j in range(len(columns)) if frame[f"x{j}"].nunique() > 1]
    if n <= len(used) + 2:
        return (*[np.nan] * 4, n, clusters, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # collinear covariates are dropped
        fit = fixest().feols(" + ".join(["y ~ treat", *used]), frame, vcov={"CRV1": "cluster"})
    low, high = fit.confint().loc["treat"].to_numpy(float)
    return (
        float(fit.coef()["treat"]),
        float(fit.se()["treat"]),
        float(low),
        float(high),
        n,
        clusters,
        float(fit._r2),
    )
