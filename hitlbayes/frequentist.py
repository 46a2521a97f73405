"""The frequentist twin: two-way fixed effects on unit-period means, standard errors clustered by unit."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pandas as pd

from hitlbayes.spec.columns import calendar_days


@dataclass(frozen=True, slots=True)
class Frequentist:
    """Two-way fixed-effects estimate, in the outcome's unit-period-mean scale (log points for logs).

    estimate, se, lower, upper : of the treatment; the interval is 95 % from the t distribution
    n, clusters : unit-periods and units that entered
    r2 : R-squared, fixed effects included
    formula : as given to pyfixest
    """

    estimate: float
    se: float
    lower: float
    upper: float
    n: int
    clusters: int
    r2: float
    formula: str


def fixest() -> ModuleType:
    """The module pyfixest, without what its import does to everybody's messages.

    Importing it gives the root logger a handler and the level INFO; remarks of all packages would then be
    printed between a user's results.
    """
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import pyfixest

    getattr(pyfixest, "feols")  # noqa: B009 (its modules are imported when it is first asked for)
    root.setLevel(level)
    root.handlers[:] = handlers
    return pyfixest


def two_way_fixed_effects(
    means: pd.DataFrame, *, outcome: str, controls: Sequence[str] = (), weights: str | None = None
) -> Frequentist:
    """Two-way fixed-effects estimate of the treatment effect (paper eq. 1) by pyfixest.

    Parameters
    ----------
    means : DataFrame
        One row per unit and period: unit, period, exposure (0/1 treated now), the outcome, controls.
        Periods finer than a day share the fixed effect of their day.
        Rows with a missing outcome or control do not enter; `n` says how many did.
    """
    columns = ["unit", "period", "exposure", outcome, *controls, *([weights] if weights else [])]
    frame = means[columns].dropna().rename(columns={outcome: "outcome"})
    frame = frame.assign(period=calendar_days(frame["period"]))
    formula = " + ".join(["outcome ~ exposure", *controls]) + " | unit + period"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fixest().feols(formula, frame, vcov={"CRV1": "unit"}, weights=weights, fixef_tol=1e-9)
    interval = fit.confint().loc["exposure"].to_numpy(float)
    return Frequentist(
        float(fit.coef()["exposure"]),
        float(fit.se()["exposure"]),
        float(interval[0]),
        float(interval[1]),
        int(fit._N),
        int(frame["unit"].nunique()),
        _r_squared(fit),
        formula,
    )


def _r_squared(fit) -> float:
    return float(getattr(fit, "_r2", np.nan))
