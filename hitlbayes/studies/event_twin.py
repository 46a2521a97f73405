"""Least squares beside an event study: the same saturated columns, unit and period fixed effects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.frequentist import fixest
from hitlbayes.result import Fit
from hitlbayes.spec.columns import calendar_days
from hitlbayes.studies.labelled import Labels


def event_twin(
    fit: Fit, groups: Mapping[Any, Sequence[str]], *, labels: Callable[[pd.DataFrame], Labels], dim: str
) -> pd.DataFrame:
    """Estimates and standard errors clustered by unit, pooled into groups by unit-periods.

    Parameters
    ----------
    groups : label -> names of the effects in it
    labels : the effect of each row of a frame of keys
    """
    keys = [c for c in ("unit", "period", "treated", "post", "treatment") if c in fit.cells]
    rows = fit.cells[keys].drop_duplicates(["unit", "period"])
    assert fit.means is not None  # every event study has a treatment
    frame = fit.means.merge(rows, on=["unit", "period"], how="left", validate="one_to_one")
    told = labels(frame)
    estimate, covariance, size = saturated(frame, told)
    place = {name: j for j, name in enumerate(told.table.index)}
    made = []
    for members in groups.values():
        pick = np.zeros(len(place))
        chosen = [place[name] for name in members]
        pick[chosen] = size[chosen] / size[chosen].sum()
        made.append((pick @ estimate, np.sqrt(pick @ covariance @ pick)))
    return pd.DataFrame(made, index=pd.Index(list(groups), name=dim), columns=["estimate", "se"])


def saturated(frame: pd.DataFrame, labels: Labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates (E,), their covariance clustered by unit (E, E), and unit-periods behind each (E,)."""
    terms = [f"e{j}" for j in range(len(labels.table))]
    columns = pd.DataFrame(
        (labels.code[:, None] == np.arange(len(terms))).astype(float), columns=terms, index=frame.index
    )
    data = frame[["unit", "outcome"]].assign(period=calendar_days(frame["period"])).join(columns)
    weights = "precision" if "precision" in frame else None
    data = data.assign(**{weights: frame[weights]} if weights else {})
    formula = "outcome ~ " + " + ".join(terms) + " | unit + period"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fixest().feols(formula, data, vcov={"CRV1": "unit"}, weights=weights, fixef_tol=1e-9)
    names = [str(name) for name in fit.coef().index]
    estimate = fit.coef().reindex(terms).to_numpy(float)
    covariance = pd.DataFrame(np.asarray(fit._vcov), index=names, columns=names)
    size = np.bincount(labels.code[labels.code >= 0], minlength=len(terms)).astype(float)
    return estimate, covariance.reindex(index=terms, columns=terms).to_numpy(float), size
