"""Differences before the start: how large they may be, all of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from hitlbayes.errors import SpecError

SURE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class PreTrend:
    """What is known of the effects before the start, where there should be none.

    Attributes
    ----------
    size, units
        The size asked about.
    probability : float
        Joint posterior probability that at least one of them exceeds `size` in absolute value.
    by_period : Series
        The same for each relative period by itself.
    bound : float
        They are all below it with probability .95: no difference before the start is larger than this.
    slope : (draws,) array
        Straight line through them and the reference, per period, that fits best in each draw.
    """

    size: float
    units: str
    probability: float
    by_period: pd.Series
    bound: float
    slope: np.ndarray

    def __str__(self) -> str:
        low, high = np.quantile(self.slope, [0.025, 0.975])
        return (
            f"{len(self.by_period)} periods before the start: P(any exceeds {self.size:g} {self.units}) = "
            f"{self.probability:.3f}; all below {self.bound:.3g} with probability {SURE:g}; slope "
            f"{self.slope.mean():.3g} a period, 95% ETI {low:.3g} to {high:.3g}"
        )


def pretrend(before: xr.DataArray, *, size: float, reference: int) -> PreTrend:
    """The joint statement about effects before the start (chain, draw, relative).

    The more periods there are and the less each is known, the larger the probability that one exceeds the
    size though nothing differs: a large probability may mean too few data, a small one never does.

    Examples
    --------
    >>> draws = xr.DataArray(np.array([[[0.1, 0.3], [-0.5, 0.2]]]), dims=("chain", "draw", "relative"),
    ...                      coords={"relative": [-3, -2]})
    >>> told = pretrend(draws, size=0.25, reference=-1)
    >>> told.probability, told.by_period.tolist()
    (1.0, [0.5, 0.5])
    """
    if not size > 0:
        raise SpecError(f"size is {size}; expected a positive difference in the units of the effects.")
    periods = before["relative"].to_numpy()
    if not len(periods):
        raise SpecError(
            "no effects before the start were estimated: there is one period before it, or "
            "comparison='not_yet' counts them as untreated."
        )
    draws = before.transpose("chain", "draw", "relative").to_numpy().reshape(-1, len(periods))
    large = np.abs(draws)
    away = periods - reference  # the line goes through zero at the reference
    return PreTrend(
        float(size),
        str(before.attrs.get("units", "")),
        float(np.mean(large.max(axis=1) > size)),
        pd.Series(np.mean(large > size, axis=0), index=pd.Index(periods, name="relative")),
        float(np.quantile(large.max(axis=1), SURE)),
        draws @ away / (away @ away),
    )
