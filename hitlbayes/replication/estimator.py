"""The paper's own estimator, run on any worker-period means: the like-for-like column of every table."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from hitlbayes.errors import DesignError, SchemaError
from hitlbayes.frequentist import fixest

LAGGED = ("lag_customer_tenure", "lag_vip", "lag_concurrency", "lag_volume")


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Coefficient of treatment with its clustered standard error, cells used, R-squared and clusters."""

    estimate: float
    se: float
    n: int
    r2: float
    clusters: int


def paper_estimator(
    means: pd.DataFrame, *, outcome: str, controls: tuple[str, ...] = LAGGED, time: str = "day"
) -> TwoWay:
    """Two-way fixed effects on unweighted unit-period means, standard errors clustered by unit.

    Parameters
    ----------
    means : DataFrame
        `Panel.means`: ``unit``, ``period``, ``treated``, ``post``, the outcome and the controls.
    outcome : str
        Column of means. Cells without the outcome or without a lagged control (a unit's first period) are
        left out, as in any regression on these columns.
    controls : tuple of str
        The paper's lagged customer tenure, VIP share, concurrency and volume by default.
    time : {"day", "period"}
        Level of the time effects: the calendar day, also for hourly panels, or the panel's own period.

    Raises
    ------
    SchemaError
        A column is missing.
    DesignError
        No cell is left.

    Notes
    -----
    Equation (1) and section 4.2 of Wang, Zhu, Feng, Lu and Jia (2026).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> days = pd.date_range("2024-08-01", periods=4)
    >>> means = pd.MultiIndex.from_product([range(6), days], names=["unit", "period"]).to_frame(index=False)
    >>> means["treated"] = (means["unit"] < 3).astype(int)
    >>> means["post"] = (means["period"] >= "2024-08-03").astype(int)
    >>> noise = np.random.default_rng(1).normal(0, .01, len(means))
    >>> means["y"] = means["unit"] + 2.0 * means["treated"] * means["post"] + noise
    >>> round(paper_estimator(means, outcome="y", controls=()).estimate, 1)
    2.0
    """
    needed = ["unit", "period", "treated", "post", outcome, *controls]
    missing = [name for name in needed if name not in means.columns]
    if missing:
        raise SchemaError(f"the means lack {', '.join(missing)}; they hold {', '.join(means.columns)}")
    frame = means[needed].dropna()
    if frame.empty:
        raise DesignError(f"none of {len(means)} cells has {outcome} and the controls {', '.join(controls)}")
    frame = frame.assign(
        treat=(frame["treated"].astype(float) * frame["post"].astype(float)),
        when=_time(frame["period"], time=time),
        value=frame[outcome].astype(float),
    )
    formula = " + ".join(["value ~ treat", *controls]) + " | unit + when"
    # Units seen once stay in, as in the paper's counts; they add nothing to the estimate.
    fit = fixest().feols(formula, data=frame, vcov={"CRV1": "unit"}, fixef_rm="none")
    return TwoWay(
        estimate=float(fit.coef()["treat"]),
        se=float(fit.se()["treat"]),
        n=len(fit.resid()),
        r2=float(fit._r2),
        clusters=int(frame["unit"].nunique()),
    )


def _time(period: pd.Series, *, time: str) -> pd.Series:
    return period.dt.floor("D") if time == "day" and pd.api.types.is_datetime64_any_dtype(period) else period
