"""Coordinates of scales and correlations, made to suit pilot draws.

A posterior of a scale that straddles zero is nearly normal in a straight coordinate, where a logarithmic one
would have walls; one with a tail away from zero is nearly normal in a logarithmic coordinate, and one with a
tail towards zero in a quadratic one. Why the others are as they are is told in `hitlbayes.inference.hyper`;
pilot draws tell by how much a drift falls as an effect grows, how large a correlation times its scale is, and
how surely.
"""

from __future__ import annotations

import jax
import numpy as np
from scipy.optimize import minimize

from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.hyper import (
    Natural,
    atanh_at,
    coordinate_of,
    coordinate_of_atanh,
    coordinates_of,
    natural,
    pull_of,
    sheared,
)
from hitlbayes.inference.problem import Beliefs, Layout

SMALLEST = 1e-4  # of the outcome's SD, a logit or a log point
NEAR_ZERO = 4.0  # spreads; nearer, a coordinate that is bent at zero has a spike there
LARGEST_SHEAR = 4.0  # of one over the mean square of the scale that grows
BENDS = 2.0 ** np.arange(2.0, -4.0, -1.0)  # medians
BY_CHANCE = 0.05  # asymmetry of deciles that a few hundred draws show


def rebend(
    psi: np.ndarray, weights: np.ndarray, beliefs: Beliefs, *, layout: Layout
) -> tuple[np.ndarray, Beliefs]:
    """Draws psi (n, k) of weights (n,) in coordinates made to suit them, and the beliefs that say so.

    A scale whose mean is within four spreads of zero gets a coordinate that is straight over all its draws;
    another the one in which they are most nearly symmetric.
    """
    n, c, plain = layout.n_scales, len(BLOCKS[layout.block].correlations), _in_numpy(beliefs)
    found, free = natural(psi, layout, plain, xp=np), np.isnan(plain.fixed)
    new = plain._replace(shear=_shear(found.scale, weights, free, layout))
    scale = found.scale * np.exp(-sheared(found.scale, layout, new, xp=np))
    centre = weights @ scale
    spread = np.sqrt(weights @ (scale - centre) ** 2)
    straight = np.maximum(4.0 * spread, SMALLEST)
    suited = np.array([_most_symmetric(np.abs(scale[:, j]), weights) for j in range(n)])
    bend = np.where(np.abs(centre) < NEAR_ZERO * spread, straight, suited)
    new = new._replace(bend=np.where(free[:n], bend, plain.bend))
    fitted = [_slope(found, weights, j, new, layout) if free[n + j] else (0.0, 0.0) for j in range(c)]
    slope, sharpness = np.array(fitted).reshape(c, 2).T
    new = new._replace(slope=slope, sharpness=sharpness)
    made = jax.device_put({name: getattr(new, name) for name in ("bend", "slope", "sharpness", "shear")})
    return np.where(free, coordinates_of(found, layout, new), psi), beliefs._replace(**made)


def stretch(psi: np.ndarray, before: Beliefs, after: Beliefs, *, layout: Layout) -> np.ndarray:
    """How far each coordinate (k,) moves in the new coordinates for a unit in the old ones, at psi's mean."""
    before, after = _in_numpy(before), _in_numpy(after)
    old = natural(psi.mean(axis=0), layout, before, xp=np)
    new = natural(coordinates_of(old, layout, after), layout, after, xp=np)
    made = np.ones(layout.n_hyper)
    known = len(old.log_slope)
    made[:known] = np.where(np.isnan(before.fixed[:known]), np.exp(old.log_slope - new.log_slope), 1.0)
    return made


def _shear(scale: np.ndarray, weights: np.ndarray, free: np.ndarray, layout: Layout) -> np.ndarray:
    """The shear with which draws (n, k_scales) of two scales have squares without covariance.

    Never below zero; zero where the block has no such pair, or one of them is held.
    """
    block = BLOCKS[layout.block]
    places = [block.scales.index(name) for name in block.added or ()]
    if not places or not free[places].all():
        return np.zeros(())
    falling, rising = (scale[:, places] ** 2).T
    moved = rising - weights @ rising
    together, both = weights @ (moved * falling), weights @ (moved * rising * falling)
    size = max(float(weights @ rising), SMALLEST**2)
    return np.asarray(np.clip(-together / both if both > 0 else 0.0, 0.0, LARGEST_SHEAR / size))


def _most_symmetric(scale: np.ndarray, weights: np.ndarray) -> float:
    """The bend at whose coordinates draws (n,) of a scale are most nearly symmetric, by their deciles."""
    order = np.argsort(scale)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    deciles = np.maximum(np.interp((0.1, 0.5, 0.9), below, scale[order]), SMALLEST)

    def skewness(bend: float) -> float:
        low, middle, high = coordinate_of(deciles, np.array(bend))
        return max(float(abs(high + low - 2.0 * middle) / max(high - low, SMALLEST)), BY_CHANCE)

    # Of those that chance cannot tell apart, the straightest.
    return min((sign * deciles[1] * bend for bend in BENDS for sign in (1.0, -1.0)), key=skewness)


def _slope(
    found: Natural, weights: np.ndarray, j: int, beliefs: Beliefs, layout: Layout
) -> tuple[float, float]:
    """Slope and sharpness under which the draws of one atanh given its scale are most probable."""
    scale, atanh = found[:2]

    def loss(parameters: np.ndarray) -> float:
        slope, sharpness = parameters[0], np.exp(parameters[1])
        one = beliefs._replace(
            slope=np.full_like(beliefs.slope, slope), sharpness=np.full_like(beliefs.slope, sharpness)
        )
        pull, precision = (values[:, j] for values in pull_of(scale, layout, one, xp=np))
        x = coordinate_of_atanh(atanh[:, j], pull, precision, one)
        log_slope = atanh_at(x, pull, precision, one, xp=np)[1]
        return float(weights @ (0.5 * x**2 + log_slope))

    partner = BLOCKS[layout.block].scales.index(BLOCKS[layout.block].correlations[j])
    product = np.abs(scale[:, partner]) * np.tanh(atanh[:, j]) * np.sign(scale[:, 0] * scale[:, partner])
    mean = weights @ product
    spread = np.sqrt(weights @ (product - mean) ** 2)
    best = minimize(loss, [mean, -2.0 * np.log(max(spread, SMALLEST))], method="Nelder-Mead")
    return float(best.x[0]), float(np.exp(np.clip(best.x[1], -20.0, 20.0)))


def _in_numpy(beliefs: Beliefs) -> Beliefs:
    return Beliefs(*map(np.asarray, beliefs))
