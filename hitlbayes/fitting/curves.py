"""Curves over a share of something: densities corrected at both ends, and Cleveland's local regression."""

from __future__ import annotations

import numpy as np

BINS = 400


def reflected_density(counts: np.ndarray, *, grid: np.ndarray, bandwidth: float) -> np.ndarray:
    """Kernel density on [0, 1] from binned values, what leaks over an end put back by reflection.

    Parameters
    ----------
    counts : (..., bins) array
        How many values lie in each of equally wide bins of [0, 1].
    grid : (g,) array
        Where the density is wanted.
    bandwidth : float
        SD of the Gaussian kernel.

    Returns
    -------
    (..., g) array
        Integrates to one over [0, 1] up to the bins' width.

    Notes
    -----
    Silverman (1986), section 2.10: the estimate has zero slope at both ends.

    Examples
    --------
    >>> flat = reflected_density(np.ones(400), grid=np.array([0.0, 0.5, 1.0]), bandwidth=0.1)
    >>> flat.round(3).tolist()
    [1.0, 1.0, 1.0]
    """
    counts = np.asarray(counts, float)
    bins = counts.shape[-1]
    at = (np.arange(bins) + 0.5) / bins
    images = (at, -at, 2.0 - at)
    kernel = sum(np.exp(-0.5 * ((grid[:, None] - image) / bandwidth) ** 2) for image in images)
    kernel = kernel / (bandwidth * np.sqrt(2 * np.pi))
    return counts @ kernel.T / counts.sum(axis=-1, keepdims=True)


def silverman(values: np.ndarray) -> float:
    """Silverman's rule of thumb, .9 min(SD, IQR / 1.34) n^(-1/5) (1986, equation 3.31)."""
    low, high = np.quantile(values, [0.25, 0.75])
    spread = min(s for s in (float(np.std(values)), (high - low) / 1.34, 1.0) if s > 0)
    return 0.9 * spread * len(values) ** -0.2


def in_bins(values: np.ndarray, *, bins: int = BINS) -> np.ndarray:
    """Position of each value's bin among equally wide bins of [0, 1]."""
    return np.minimum((np.asarray(values, float) * bins).astype(int), bins - 1)


def bootstrap_densities(
    values: np.ndarray, *, grid: np.ndarray, resamples: int, seed: int, bandwidth: float | None = None
) -> np.ndarray:
    """Densities (resamples, g) of resamples with replacement of values in [0, 1]."""
    counts = np.bincount(in_bins(values), minlength=BINS)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(values), counts / counts.sum(), size=resamples)
    width = silverman(np.asarray(values, float)) if bandwidth is None else bandwidth
    return reflected_density(drawn, grid=grid, bandwidth=width)


def local_regression(
    x: np.ndarray, y: np.ndarray, *, weights: np.ndarray, grid: np.ndarray, span: float, degree: int = 2
) -> np.ndarray:
    """Cleveland's loess of y on x at the grid's points.

    Source: Cleveland and Grosse (1991), doi:10.1007/BF01890836, by scikit-misc.
    """
    from skmisc.loess import loess

    model = loess(x, y, weights=weights, span=span, degree=degree)
    model.fit()
    return np.asarray(model.predict(grid, stderror=False).values)
