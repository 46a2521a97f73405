"""Draws as plain arrays: checked to be finite, summarised by mean and 95 % interval."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from hitlbayes.errors import FitError


def draws_of(values: ArrayLike, *, what: str) -> NDArray[np.float64]:
    """Draws as one flat vector; refuses an empty vector and draws that are not finite.

    Raises
    ------
    FitError
        Where there is no draw, or a draw is NaN or infinite.

    Examples
    --------
    >>> draws_of([[0.1, 0.2], [0.3, 0.4]], what="att").shape
    (4,)
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    bad = int(flat.size - np.isfinite(flat).sum())
    if flat.size == 0 or bad:
        raise FitError(
            f"{bad} of {flat.size} draws of {what} are NaN or infinite and cannot be shown; "
            "look at fit.check(), then refit with other priors or a longer warm-up."
        )
    return flat


def sign_phrase(draws: NDArray[np.float64]) -> str:
    """Share of draws on the side of zero where most of them lie.

    Examples
    --------
    >>> sign_phrase(np.array([-1.0, -2.0, -3.0, 4.0]))
    '75.0% of 4 draws are below zero'
    """
    above = float(np.mean(draws > 0))
    share, side = (above, "above") if above >= 0.5 else (float(np.mean(draws < 0)), "below")
    if share == 1.0:
        return f"all {draws.size:,} draws are {side} zero"
    # Rounding 99.97 up to 100.0 would claim certainty that the draws do not show.
    percent = min(share * 100, 99.9) if share < 1 else 100.0
    return f"{percent:.1f}% of {draws.size:,} draws are {side} zero"


def draws_by(array: xr.DataArray, *, dim: str) -> NDArray[np.float64]:
    """Draws of a vector, shape (draws, dim), chains one after the other.

    Parameters
    ----------
    array : DataArray, dims chain, draw and `dim` in any order
    dim : str

    Examples
    --------
    >>> draws_by(xr.DataArray(np.zeros((5, 2, 3)), dims=("unit", "chain", "draw")), dim="unit").shape
    (6, 5)
    """
    stacked = array.transpose("chain", "draw", dim).to_numpy()
    return draws_of(stacked, what=str(array.name or dim)).reshape(-1, stacked.shape[-1])


def mean_interval(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Mean, lower and upper end of the 95 % equal-tailed interval of each column.

    Parameters
    ----------
    draws : array, shape (draws, columns)

    Returns
    -------
    tuple of three arrays, shape (columns,)

    Examples
    --------
    >>> [float(part[0]) for part in mean_interval(np.arange(41.0)[:, None])]
    [20.0, 1.0, 39.0]
    """
    lower, upper = np.quantile(draws, [0.025, 0.975], axis=0)
    return draws.mean(axis=0), lower, upper
