"""Proposals for importance sampling of a few parameters: a multivariate t near the posterior, and its points.

The proposal starts from the mode and its curvature (finite differences of the log density, so no gradient is
compiled) and is then matched to the weighted moments of pilot samples. Where signed scales make the target
symmetric, points are folded into one orthant and their density summed over the reflections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

Density = Callable[[np.ndarray], np.ndarray]

PILOT_DEGREES = 7.0
DEGREES = 80.0
ENOUGH = 10  # effective draws a hyperparameter, for a covariance that means something
WIDE_SHARE, WIDER, WIDE_DEGREES = 0.15, 1.4, 5.0
FIRST_STEP, FAR_BELOW = 0.02, 1e4
NEWTON_STEPS, LEFT_TO_GAIN, HALVINGS = 25, 0.1, 0.5 ** np.arange(10)


class Proposal(NamedTuple):
    """A multivariate t on the free hyperparameters: centre (f,), factor (f, f), degrees of freedom."""

    centre: np.ndarray
    root: np.ndarray
    degrees: float


def laplace_proposal(density: Density, start: np.ndarray) -> Proposal:
    """A t at the mode with the curvature there, by damped Newton steps on finite differences.

    The search ends where the quadratic says that nothing is left to gain, not where a step gains nothing: a
    step along a bad curvature may. Correlations are measured at the start, at the end, and after a step that
    had to be shortened; between, they are taken as they were.
    """
    centre, step, like = np.asarray(start, float), np.full(len(start), FIRST_STEP), None
    for _ in range(NEWTON_STEPS):
        measured = like is None
        slope, curvature = differences(density, centre, step, like=like)
        values, vectors = np.linalg.eigh(-curvature)
        values = np.maximum(np.abs(values), 1.0)
        newton = vectors @ ((vectors.T @ slope) / values)
        diagonal = np.maximum(np.diag(-curvature), 1.0)
        # Six tenths of a posterior SD: well above single precision, and still in the quadratic part.
        step = np.clip(0.6 / np.sqrt(diagonal), 1e-4, 0.3)
        if 0.5 * slope @ newton < LEFT_TO_GAIN:
            if measured:
                break
            like = None
            continue
        ways = np.clip(np.stack([newton, slope / diagonal]), -1.0, 1.0)
        trial = np.concatenate([centre[None], *(centre + HALVINGS[:, None] * way for way in ways)])
        best = int(np.argmax(density(trial)))
        centre = trial[best]
        like = curvature if best == 1 and np.all(np.diag(curvature) < 0) else None
    return Proposal(centre, vectors / np.sqrt(values), PILOT_DEGREES)


def differences(
    density: Density, centre: np.ndarray, h: np.ndarray, *, like: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of a log density by central differences of steps h (f,), in one batch.

    like : (f, f) negative on its diagonal, a Hessian whose correlations are taken instead of measured
    """
    f = len(centre)
    pairs = [(i, j) for i in range(f) for j in range(i)] if like is None else []
    unit = np.diag(h)
    points = [centre, *(centre + unit), *(centre - unit)]
    points += [centre + a * (unit[i] + unit[j]) for i, j in pairs for a in (1, -1)]
    value = density(np.array(points))
    value = np.maximum(value, value[0] - FAR_BELOW)  # also where the density cannot be computed
    top, up, down = value[0], value[1 : f + 1], value[f + 1 : 2 * f + 1]
    diagonal = (up + down - 2 * top) / h**2
    hessian = np.diag(diagonal)
    if like is not None:
        ratio = np.sqrt(np.maximum(diagonal / np.diag(like), 0.0))
        hessian = ratio[:, None] * like * ratio + np.diag(diagonal - ratio**2 * np.diag(like))
    for p, (i, j) in enumerate(pairs):
        both = value[2 * f + 1 + 2 * p] + value[2 * f + 2 + 2 * p]
        hessian[i, j] = hessian[j, i] = (both + 2 * top - up[i] - down[i] - up[j] - down[j]) / (
            2 * h[i] * h[j]
        )
    return (up - down) / (2 * h), hessian


def propose(proposal: Proposal, signs: np.ndarray, *, size: int, rng: np.random.Generator) -> np.ndarray:
    """Points (size, f) folded to positive scales.

    A few come from a wider, heavier-tailed t, so that no weight is large where the proposal is too narrow
    (a defensive mixture: Hesterberg 1995).
    """
    wide = int(WIDE_SHARE * size)
    degrees = np.repeat([WIDE_DEGREES, proposal.degrees], [wide, size - wide])
    width = np.repeat([WIDER, 1.0], [wide, size - wide]) * np.sqrt(degrees / rng.chisquare(degrees))
    z = rng.standard_normal((size, len(proposal.centre)))
    return fold(proposal.centre + (z * width[:, None]) @ proposal.root.T, signs)


def log_density(points: np.ndarray, proposal: Proposal, signs: np.ndarray) -> np.ndarray:
    """Log density (n,) of what `propose` draws, at points (n, f) with positive scales."""
    f, whiten = points.shape[1], np.linalg.inv(proposal.root).T
    squares = np.stack([np.sum(((points * sign - proposal.centre) @ whiten) ** 2, axis=1) for sign in signs])
    mixed = np.zeros_like(squares)
    for share, width, nu in ((WIDE_SHARE, WIDER, WIDE_DEGREES), (1.0 - WIDE_SHARE, 1.0, proposal.degrees)):
        constant = gammaln(0.5 * (nu + f)) - gammaln(0.5 * nu) - 0.5 * f * np.log(nu) - f * np.log(width)
        mixed += share * np.exp(constant - 0.5 * (nu + f) * np.log1p(squares / (nu * width**2)))
    # The wide part's tail is heavy: its density does not underflow where points are.
    return np.log(np.sum(mixed, axis=0)) - np.linalg.slogdet(proposal.root)[1]


def tempered(log_weights: np.ndarray, parameters: int) -> np.ndarray:
    """Weights (n,) adding to one, raised to the largest power up to one that leaves enough of them effective.

    Where a proposal misses the posterior, the moments of a few huge weights would miss it again; flattened
    weights move towards it in steps (Koblents and Miguez 2015, doi:10.1007/s11222-013-9440-2).
    """
    for power in 0.75 ** np.arange(24):
        weights = np.exp(power * log_weights - logsumexp(power * log_weights))
        if 1.0 / np.sum(weights**2) >= ENOUGH * parameters:
            break
    return weights


def fold(points: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """The reflection of each point (n, f) whose free scales are all positive."""
    scale_columns = np.flatnonzero(np.any(signs < 0, axis=0) & _independent(signs))
    folded = points.copy()
    for pattern in signs:
        here = np.all(
            np.sign(pattern[scale_columns]) == np.where(points[:, scale_columns] < 0, -1.0, 1.0), axis=1
        )
        folded[here] = points[here] * pattern
    return folded


def _independent(signs: np.ndarray) -> np.ndarray:
    """Columns whose signs generate the patterns: the scales, which come before what follows from them."""
    n = int(np.log2(len(signs)))
    found, keep = 0, np.zeros(signs.shape[1], bool)
    for j in np.flatnonzero(np.any(signs < 0, axis=0)):
        if found < n:
            keep[j], found = True, found + 1
    return keep


def match_moments(points: np.ndarray, weights: np.ndarray) -> Proposal:
    """A t with the mean and covariance of points (n, f) of weights (n,) that add to one."""
    centre = weights @ points
    moved = points - centre
    covariance = (weights[:, None] * moved).T @ moved * (DEGREES - 2) / DEGREES
    return Proposal(centre, np.linalg.cholesky(covariance + 1e-10 * np.eye(len(centre))), DEGREES)
