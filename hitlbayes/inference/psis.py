"""Pareto-smoothed importance sampling of a few parameters.

Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning Research 25(72); the fit of the
generalised Pareto tail is Zhang and Stephens (2009), doi:10.1198/tech.2009.08017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TRUSTED_K = 0.7


class Smoothed(NamedTuple):
    """Normalised log weights (n,), the tail's shape k-hat, and the effective number of draws."""

    log_weights: np.ndarray
    k_hat: float
    effective: float


def smooth(log_ratios: np.ndarray) -> Smoothed:
    """Smooth the largest importance ratios (n,) by the quantiles of a generalised Pareto fitted to them."""
    x = np.asarray(log_ratios, float) - np.max(log_ratios)
    n_tail = int(np.ceil(min(0.2 * len(x), 3.0 * np.sqrt(len(x)))))
    order = np.argsort(x, kind="stable")
    tail, cut = order[-n_tail:], x[order[-n_tail - 1]]
    excess = np.exp(x[tail]) - np.exp(cut)
    k_hat = -np.inf
    if n_tail > 4 and excess[-1] > 1e-12:
        k_hat, sigma = fit_pareto(excess)
        p = (np.arange(n_tail) + 0.5) / n_tail
        quantile = (
            sigma * np.expm1(-k_hat * np.log1p(-p)) / k_hat if abs(k_hat) > 1e-12 else -sigma * np.log1p(-p)
        )
        x[tail] = np.minimum(np.log(quantile + np.exp(cut)), 0.0)
    top = x.max()
    x = x - (top + np.log(np.sum(np.exp(x - top))))
    return Smoothed(x, float(k_hat), float(1.0 / np.sum(np.exp(x) ** 2)))


def fit_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution fitted to sorted positive excesses (n,)."""
    n = len(excess)
    grid = 30 + int(np.sqrt(n))
    quarter = excess[int(n / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3.0 * quarter)
    k = np.mean(np.log1p(-theta[:, None] * excess), axis=1)
    profile = n * (np.log(-theta / k) - k - 1.0)
    weight = np.exp(profile - profile.max())
    weight = weight / weight.sum()
    best = float(np.sum(theta * weight))
    shape = float(np.mean(np.log1p(-best * excess)))
    # A weak pull of the shape towards .5, as ten observations would (Vehtari et al., appendix C).
    return (n * shape + 10 * 0.5) / (n + 10), -shape / best


def resample(log_weights: np.ndarray, size: int, *, rng: np.random.Generator) -> np.ndarray:
    """Indices (size,) drawn in proportion to the weights, systematically, in random order."""
    weights = np.exp(log_weights)
    points = (rng.random() + np.arange(size)) / size
    index = np.searchsorted(np.cumsum(weights) / weights.sum(), points)
    return rng.permutation(np.minimum(index, len(weights) - 1))
