"""Draws that may be larger than memory (`store=` of `fit_did`), a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

AT_ONCE = 2**24  # numbers: 64 MB in single precision


def by_draws(values: xr.DataArray, *, at_once: int = AT_ONCE) -> Iterator[xr.DataArray]:
    """Consecutive parts of draws (chain, draw, ...), in the order of memory; small arrays in one part."""
    if values.size <= at_once or values.ndim < 2:
        yield values
        return
    chains, draws = values.shape[:2]
    step = max(1, at_once * chains * draws // values.size)
    for chain in range(chains):
        for start in range(0, draws, step):
            yield values[chain, start : start + step]


def by_units(values: xr.DataArray, *, at_once: int = AT_ONCE) -> Iterator[xr.DataArray]:
    """All draws of some units at a time, of draws (chain, draw, unit)."""
    units = values.shape[-1]
    step = max(1, at_once * units // max(values.size, 1))
    for start in range(0, units, step):
        yield values[..., start : start + step]


def weighted(values: xr.DataArray, weights: np.ndarray, *, at_once: int = AT_ONCE) -> xr.DataArray:
    """Draws (chain, draw) of a weighted sum over the units of draws (chain, draw, unit).

    Examples
    --------
    >>> draws = xr.DataArray(np.ones((2, 3, 4)), dims=("chain", "draw", "unit"))
    >>> weighted(draws, np.full(4, 0.5)).shape
    (2, 3)
    """
    by_unit = xr.DataArray(weights, dims=values.dims[-1:])
    parts = [np.ravel((part @ by_unit).to_numpy()) for part in by_draws(values, at_once=at_once)]
    return xr.DataArray(np.concatenate(parts).reshape(values.shape[:2]), dims=values.dims[:2])
