"""Coordinates of scales and correlations, made to suit pilot draws.

A posterior of a scale that straddles zero is nearly normal in a straight coordinate, where a logarithmic one
would have walls; one with a tail away from zero is nearly normal in a logarithmic coordinate, and one with a
tail towards zero in a quadratic one (`hitlbayes.inference.problem.scale_at`). A correlation is known as well
as its scale is large (`hitlbayes.inference.problem.natural`); pilot draws tell how large the product is, and
how surely.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.problem import Beliefs, Layout, coordinate_of, log_slope, natural, pull_of

SMALLEST = 1e-4  # of the outcome's SD, a logit or a log point
NEAR_ZERO = 2.0  # spreads
BENDS = 2.0 ** np.arange(2.0, -4.0, -1.0)  # medians
BY_CHANCE = 0.05  # asymmetry of deciles that a few hundred draws show


def rebend(
    psi: np.ndarray, weights: np.ndarray, beliefs: Beliefs, *, layout: Layout
) -> tuple[np.ndarray, Beliefs]:
    """Draws psi (n, k) of weights (n,) in coordinates made to suit them, and the beliefs that say so.

    A scale whose mean is within two spreads of zero gets a coordinate that is straight over all its draws;
    another the one in which they are most nearly symmetric.
    """
    n, plain = layout.n_scales, _in_numpy(beliefs)
    c = len(BLOCKS[layout.block].correlations)
    scale, atanh, log_sigma, _ = natural(psi, layout, plain, xp=np)
    centre = weights @ scale
    spread = np.sqrt(weights @ (scale - centre) ** 2)
    straight = np.maximum(4.0 * spread, SMALLEST)
    suited = np.array([_most_symmetric(np.abs(scale[:, j]), weights) for j in range(n)])
    bend = np.where(np.abs(centre) < NEAR_ZERO * spread, straight, suited)
    free = np.isnan(plain.fixed)
    new = plain._replace(bend=np.where(free[:n], bend, plain.bend))
    fitted = [_slope(scale, atanh, weights, j, new, layout) if free[n + j] else (0.0, 0.0) for j in range(c)]
    slope, sharpness = np.array(fitted).reshape(c, 2).T
    new = new._replace(slope=slope, sharpness=sharpness)
    pull, precision = pull_of(scale, layout, new, xp=np)
    moved = np.concatenate(
        [coordinate_of(scale, new.bend, xp=np), np.sqrt(precision) * (atanh - pull / precision), log_sigma],
        axis=1,
    )
    return np.where(free, moved, psi), beliefs._replace(
        bend=jnp.asarray(new.bend), slope=jnp.asarray(slope), sharpness=jnp.asarray(sharpness)
    )


def stretch(psi: np.ndarray, before: Beliefs, after: Beliefs, *, layout: Layout) -> np.ndarray:
    """How far each coordinate (k,) moves in the new coordinates for a unit in the old ones, at psi's mean."""
    before, after = _in_numpy(before), _in_numpy(after)
    old = natural(psi.mean(axis=0), layout, before, xp=np)
    _, precision = pull_of(old.scale, layout, after, xp=np)
    made = np.ones(layout.n_hyper)
    n = layout.n_scales
    slope = np.exp(log_slope(old.scale, before.bend, xp=np) - log_slope(old.scale, after.bend, xp=np))
    made[:n] = np.where(np.isnan(before.fixed[:n]), slope, 1.0)
    made[n : n + len(precision)] = np.sqrt(precision / old.precision)
    return made


def _most_symmetric(scale: np.ndarray, weights: np.ndarray) -> float:
    """The bend at whose coordinates draws (n,) of a scale are most nearly symmetric, by their deciles."""
    order = np.argsort(scale)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    deciles = np.maximum(np.interp((0.1, 0.5, 0.9), below, scale[order]), SMALLEST)

    def skewness(bend: float) -> float:
        low, middle, high = coordinate_of(deciles, bend, xp=np)
        return max(float(abs(high + low - 2.0 * middle) / max(high - low, SMALLEST)), BY_CHANCE)

    # Of those that chance cannot tell apart, the straightest.
    return min((sign * deciles[1] * bend for bend in BENDS for sign in (1.0, -1.0)), key=skewness)


def _slope(
    scale: np.ndarray, atanh: np.ndarray, weights: np.ndarray, j: int, beliefs: Beliefs, layout: Layout
) -> tuple[float, float]:
    """Slope and sharpness under which the draws of one atanh given its scale are most probable."""

    def loss(x: np.ndarray) -> float:
        one = beliefs._replace(
            slope=np.full_like(beliefs.slope, x[0]), sharpness=np.full_like(beliefs.slope, np.exp(x[1]))
        )
        pull, precision = (v[:, j] for v in pull_of(scale, layout, one, xp=np))
        return float(weights @ (precision * (atanh[:, j] - pull / precision) ** 2 - np.log(precision)))

    partner = BLOCKS[layout.block].scales.index(BLOCKS[layout.block].correlations[j])
    product = np.abs(scale[:, partner]) * np.tanh(atanh[:, j]) * np.sign(scale[:, 0] * scale[:, partner])
    mean = weights @ product
    spread = np.sqrt(weights @ (product - mean) ** 2)
    found = minimize(loss, [mean, -2.0 * np.log(max(spread, SMALLEST))], method="Nelder-Mead")
    return float(found.x[0]), float(np.exp(np.clip(found.x[1], -20.0, 20.0)))


def _in_numpy(beliefs: Beliefs) -> Beliefs:
    return Beliefs(*map(np.asarray, beliefs))
