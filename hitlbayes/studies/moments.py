"""The moments of cells that effects rest on, as one vector: for data, and for what a model makes of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hitlbayes.fitting.structure import Structure
from hitlbayes.spec.cells import category_values
from hitlbayes.spec.columns import calendar_days

TAILS = (0.01, 0.1, 0.9, 0.99)
ARMS = ("control, before", "control, after", "treated, before", "treated, after")


class Sample(NamedTuple):
    """Cells of one data set: n (R,) and statistics (R, S) as in `hitlbayes.spec.cells.Cells`."""

    family: str
    n: np.ndarray
    stats: np.ndarray
    labels: tuple
    is_precision: bool = False

    def mean(self) -> np.ndarray:
        """Mean outcome of each cell (R,)."""
        if self.family == "gaussian":
            return self.stats[:, 0]
        if self.family == "ordinal":
            return self.stats @ category_values(self.labels) / self.n
        return self.stats[:, 0] / self.n


class Neighbours(NamedTuple):
    """Unit-periods, `code` (R,) and `size` (M,), and which follow one another, `before` and `after` (P,)."""

    code: np.ndarray
    size: np.ndarray
    before: np.ndarray
    after: np.ndarray


class Plan(NamedTuple):
    """What is the same in every data set of one design: rows of arms, units, periods, neighbours."""

    arms: dict[str, np.ndarray]
    unit: np.ndarray
    units: int
    period: np.ndarray | None
    neighbours: Neighbours | None


def plan_moments(keys: pd.DataFrame, structure: Structure, exposure: np.ndarray) -> Plan:
    """Everything about the cells that `moments` needs and that outcomes do not change."""
    unit, period, pairs = structure.unit.codes, None, None
    if "period" in keys:
        period = pd.factorize(calendar_days(keys["period"]), sort=True)[0]
        pairs = neighbours(unit, pd.factorize(keys["period"], sort=True)[0])
    return Plan(_arms(structure, keys, exposure), unit, len(structure.unit.labels), period, pairs)


def moments(sample: Sample, plan: Plan) -> pd.Series:
    """Statistics of a data set, indexed by (group, statistic).

    - by arm and phase: the mean; shares of each category of an ordinal outcome
    - between units: the variance of their means, as it is seen (sampling noise included)
    - between unit-periods: the variance of what is left when units' and periods' means are taken out
    - within units: the correlation of that with its own previous period
    - tails of cell means about their unit's; of a Gaussian outcome within cells: the mean and the spread of
      the cells' variances, which a heavy tail of single observations makes large
    """
    mean, unit, period = sample.mean(), plan.unit, plan.period
    made: dict[tuple[str, str], float] = {}
    for name, here in plan.arms.items():
        made[name, "mean"] = float(np.average(mean[here], weights=sample.n[here]))
        if sample.family == "ordinal":
            share = sample.stats[here].sum(axis=0) / sample.stats[here].sum()
            made |= {
                (name, f"share of {label}"): float(s) for label, s in zip(sample.labels, share, strict=True)
            }
    by_unit = np.bincount(unit, sample.n * mean, plan.units) / np.bincount(unit, sample.n, plan.units)
    made["units", "variance of means"] = float(np.var(by_unit, ddof=1))
    left = mean - by_unit[unit]
    if period is not None and plan.neighbours is not None:
        shared = np.bincount(period, sample.n * left) / np.bincount(period, sample.n)
        left = left - shared[period]
        made["unit-periods", "variance"] = float(np.average(left**2, weights=sample.n))
        made["unit-periods", "correlation with the previous"] = lag_correlation(left, plan.neighbours)
    quantiles = np.quantile(left * np.sqrt(sample.n), TAILS)
    made |= {("tails", f"quantile {q:g}"): float(v) for q, v in zip(TAILS, quantiles, strict=True)}
    if sample.family == "gaussian" and not sample.is_precision and np.any(sample.n > 1):
        several = sample.n > 1
        variance = sample.stats[several, 1] / (sample.n[several] - 1)
        made["within cells", "mean variance"] = float(np.average(variance, weights=sample.n[several] - 1))
        made["within cells", "99% of variances"] = float(np.quantile(variance, 0.99))
    return pd.Series(made).rename_axis(["group", "statistic"])


def neighbours(unit: np.ndarray, period: np.ndarray) -> Neighbours:
    """Which unit-periods follow one another, from the units and periods (R,) of rows."""
    span = int(period.max()) + 2  # a period that is not there parts one unit from the next
    found, code = np.unique(unit.astype(np.int64) * span + period, return_inverse=True)
    place = np.searchsorted(found, found + 1)
    follows = (place < len(found)) & (found[np.minimum(place, len(found) - 1)] == found + 1)
    before = np.flatnonzero(follows)
    return Neighbours(code, np.bincount(code), before, place[before])


def lag_correlation(value: np.ndarray, pairs: Neighbours) -> float:
    """Correlation of unit-periods' values with those of one period before; NaN where there are none.

    Examples
    --------
    >>> pairs = neighbours(np.zeros(4, int), np.arange(4))
    >>> lag_correlation(np.array([1.0, -1.0, 1.0, -1.0]), pairs)
    -1.0
    """
    mean = np.bincount(pairs.code, value) / pairs.size
    before, after = mean[pairs.before], mean[pairs.after]
    if len(before) < 3 or not (before.std() > 0 and after.std() > 0):
        return float("nan")
    return float(round(np.corrcoef(after, before)[0, 1], 12))


def _arms(structure: Structure, keys: pd.DataFrame, exposure: np.ndarray) -> dict[str, np.ndarray]:
    """Cells of each arm and phase; all together where there is no treatment."""
    if not exposure.any():
        return {"all": np.ones(len(exposure), bool)}
    unit = structure.unit.codes
    ever = (np.bincount(unit, exposure) > 0)[unit]
    after = keys["post"].to_numpy() > 0 if "post" in keys else exposure > 0
    masks = (~ever & ~after, ~ever & after, ever & ~after, ever & after)
    return {name: mask for name, mask in zip(ARMS, masks, strict=True) if mask.any()}
