"""How far apart two groups are in one variable: differences of means, spreads and whole distributions.

The definitions are those of R's MatchIt 4.7 (`summary.matchit`, Ho, Imai, King and Stuart 2011,
doi:10.18637/jss.v042.i08), so that balance tables can be read side by side.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from hitlbayes.errors import SchemaError, SpecError

Spread = Literal["treated", "control", "pooled"]


class EcdfDistance(NamedTuple):
    """Mean (over the distinct values) and maximum of the distance between two distribution functions."""

    mean: float
    maximum: float


def standardized_difference(
    x: ArrayLike, treated: ArrayLike, *, weights: ArrayLike | None = None, spread: Spread | float = "treated"
) -> float:
    """Weighted difference in means, treated minus control, in standard deviations of the unweighted sample.

    Pass every row with weight 0 for those left out of a match: the means are weighted and the standard
    deviation is not, so that a match changes the numerator only.

    Parameters
    ----------
    x : (n,) numbers
    treated : (n,) booleans, or 0 and 1
    weights : (n,) non-negative numbers, or None for equal weights
    spread : "treated", "control", "pooled" (root of the mean of the two variances), or a number

    Returns
    -------
    float
        Infinite where the standard deviation is nil and the means differ; 0 where they do not.

    Raises
    ------
    SchemaError
        Missing values, unequal lengths, negative weights, or a group without weight.

    Examples
    --------
    >>> standardized_difference([1, 2, 3, 2, 3, 4], [0, 0, 0, 1, 1, 1])
    1.0
    >>> standardized_difference([1, 2, 3, 2, 3, 4], [0, 0, 0, 1, 1, 1], weights=[0, 1, 1, 1, 1, 0])
    0.0
    """
    x, arm, w = _checked(x, treated, weights=weights)
    difference = float(_mean(x[arm], w[arm]) - _mean(x[~arm], w[~arm]))
    scale = _spread(x, arm, spread=spread)
    if scale > 0:
        return difference / scale
    return float(np.copysign(np.inf, difference)) if difference else 0.0


def variance_ratio(x: ArrayLike, treated: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Weighted variance among the treated over that among controls; NaN for a variable of 0 and 1 only.

    Shapes and errors are those of `standardized_difference`.

    Examples
    --------
    >>> variance_ratio([0, 2, 4, 1, 2, 3], [0, 0, 0, 1, 1, 1])
    0.25
    """
    x, arm, w = _checked(x, treated, weights=weights)
    if is_binary(x):
        return float("nan")
    of_treated, of_control = weighted_variance(x[arm], w[arm]), weighted_variance(x[~arm], w[~arm])
    if of_control == 0:
        return float("inf") if of_treated > 0 else float("nan")
    return of_treated / of_control


def ecdf_distance(x: ArrayLike, treated: ArrayLike, *, weights: ArrayLike | None = None) -> EcdfDistance:
    """Distance between the weighted distribution functions of treated and controls, between 0 and 1.

    The mean is over the distinct values of x, the maximum is the Kolmogorov-Smirnov distance. Of a variable
    of 0 and 1 both are the difference of the two shares. Shapes and errors: `standardized_difference`.

    Examples
    --------
    >>> ecdf_distance([1, 2, 3, 4], [0, 0, 1, 1])
    EcdfDistance(mean=0.5, maximum=1.0)
    """
    x, arm, w = _checked(x, treated, weights=weights)
    if is_binary(x):
        gap = float(abs(_mean(x[arm], w[arm]) - _mean(x[~arm], w[~arm])))
        return EcdfDistance(gap, gap)
    share = np.where(arm, w / w[arm].sum(), -w / w[~arm].sum())
    order = np.argsort(x, kind="stable")
    last = np.append(np.diff(x[order]) != 0, True)  # of the rows that share a value
    gaps = np.abs(np.cumsum(share[order]))[last]
    return EcdfDistance(float(gaps.mean()), float(gaps.max()))


def is_binary(x: np.ndarray) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.all((x == 0) | (x == 1)))


def weighted_variance(x: np.ndarray, weights: np.ndarray) -> float:
    """Unbiased variance under reliability weights; p (1 - p) for a variable of 0 and 1; NaN of one row."""
    share = weights / weights.sum()
    mean = float(share @ x)
    if is_binary(x):
        return mean * (1.0 - mean)
    denominator = 1.0 - float(share @ share)
    return float(share @ (x - mean) ** 2) / denominator if denominator > 1e-12 else float("nan")


def _mean(x: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(x, weights=weights))


def _spread(x: np.ndarray, arm: np.ndarray, *, spread: Spread | float) -> float:
    if isinstance(spread, int | float) and not isinstance(spread, bool) and 0 <= spread < np.inf:
        return float(spread)
    if spread not in get_args(Spread):
        raise SpecError(
            f"spread={spread!r}.\n  expected: one of {', '.join(get_args(Spread))}, or a positive number."
        )
    # A variable of 0 and 1 gets the same formula in both arms, even where one of them is constant.
    binary = is_binary(x)
    variances = {
        name: float(np.var(x[rows], ddof=0 if binary else 1))
        for name, rows in (("treated", arm), ("control", ~arm))
        if spread in (name, "pooled")
    }
    return float(np.sqrt(np.mean(list(variances.values()))))


def _checked(
    x: ArrayLike, treated: ArrayLike, *, weights: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, arm = np.asarray(x, float), np.asarray(treated)
    w = np.ones(values.shape) if weights is None else np.asarray(weights, float)
    if values.ndim != 1 or arm.shape != values.shape or w.shape != values.shape:
        raise SchemaError(
            f"x, treated and weights have the shapes {values.shape}, {arm.shape} and {w.shape}.\n"
            "  expected: one dimension and the same length."
        )
    if not np.all((arm == 0) | (arm == 1)):
        raise SchemaError("treated holds values other than 0 and 1.\n  expected: booleans, or 0 and 1.")
    gaps = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(w))
    if len(gaps):
        raise SchemaError(
            f"{len(gaps):,} of {len(values):,} values or weights are missing or infinite (first row: "
            f"{gaps[0]}).\n  to do: leave these rows out, and count them, before comparing groups."
        )
    arm = arm.astype(bool)
    if np.any(w < 0) or w[arm].sum() <= 0 or w[~arm].sum() <= 0:
        raise SchemaError(
            f"{int((w < 0).sum()):,} weights are negative; the treated weigh {w[arm].sum():g}, the controls "
            f"{w[~arm].sum():g}.\n  expected: no negative weight, and rows with weight in both groups."
        )
    return values, arm, w
