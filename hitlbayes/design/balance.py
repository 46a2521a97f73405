"""How alike treated and controls are, before and after matching."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hitlbayes.design.distances import ecdf_distance, standardized_difference, variance_ratio
from hitlbayes.design.matched import Matched

DISTANCE = "distance"


def balance(matched: Matched) -> pd.DataFrame:
    """Differences between treated and controls in every covariate, before and after matching.

    Parameters
    ----------
    matched : Matched

    Returns
    -------
    DataFrame
        One row per covariate (each level of a category) and for the ``distance``; for ``before`` and
        ``after``: ``mean_treated``, ``mean_control``, ``difference`` (standardised by the SD of all treated
        rows), ``variance_ratio`` (NaN for 0/1), ``ecdf_mean`` and ``ecdf_max`` (distances of the distribution
        functions). Columns are ``before_...`` and ``after_...``. ``attrs``: ``n`` by arm and moment,
        ``synthetic``.

    Notes
    -----
    As `summary` of R's MatchIt 4.7 gives them (doi:10.18637/jss.v042.i08).

    Examples
    --------
    >>> import numpy as np, pandas as pd, hitlbayes as hb
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=300)})
    >>> frame["treat"] = (rng.random(300) < 0.4 / (1 + np.exp(-frame["x"]))).astype(int)
    >>> table = hb.balance(hb.match(frame, formula="treat ~ x", caliper=0.1))
    >>> bool(abs(table.loc["x", "after_difference"]) < abs(table.loc["x", "before_difference"]))
    True
    """
    arm = matched.treated
    moments = {"before": np.ones(len(arm)), "after": matched.weights}
    rows: dict[str, dict[str, float]] = {}
    for name, x in _columns(matched).items():
        rows[name] = {}
        for moment, weights in moments.items():
            rows[name] |= {f"{moment}_{what}": value for what, value in _compare(x, arm, weights).items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("covariate")
    table.attrs["n"] = {
        moment: {"treated": int((w[arm] > 0).sum()), "control": int((w[~arm] > 0).sum())}
        for moment, w in moments.items()
    }
    table.attrs["synthetic"] = matched.synthetic
    return table


def largest_difference(table: pd.DataFrame) -> float:
    """Largest standardised difference of a covariate after matching, in absolute value.

    Examples
    --------
    >>> largest_difference(pd.DataFrame({"after_difference": [-0.2, 0.1]}, index=["x", "y"]))
    0.2
    """
    return float(table["after_difference"].drop(index=DISTANCE, errors="ignore").abs().max())


def _columns(matched: Matched) -> dict[str, np.ndarray]:
    found = {str(name): column.to_numpy(float) for name, column in matched.covariates.items()}
    # Infinite log odds (rows that nobody is like) have no mean; the covariates say what is wrong with them.
    known = np.isfinite(matched.distance).all()
    return ({DISTANCE: matched.distance} if known else {}) | found


def _compare(x: np.ndarray, arm: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    gaps = ecdf_distance(x, arm, weights=weights)
    return {
        "mean_treated": float(np.average(x[arm], weights=weights[arm])),
        "mean_control": float(np.average(x[~arm], weights=weights[~arm])),
        "difference": standardized_difference(x, arm, weights=weights),
        "variance_ratio": variance_ratio(x, arm, weights=weights),
        "ecdf_mean": gaps.mean,
        "ecdf_max": gaps.maximum,
    }
