"""Draws of a Gaussian model: hyperparameters by importance sampling, effects exactly given them.

The proposal is a multivariate t whose centre and spread start from the mode and its curvature (finite
differences of the log density, so no gradient is compiled) and are then matched to the weighted moments of
small pilot samples. Signed scales make the target symmetric, so proposals are folded into one orthant and
their density summed over the reflections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, logsumexp

from hitlbayes.inference import psis
from hitlbayes.inference.blocks import BLOCKS
from hitlbayes.inference.effects import own_effects
from hitlbayes.inference.marginal import Means, draw_effects, log_posterior, single
from hitlbayes.inference.problem import Beliefs, Layout
from hitlbayes.inference.rebend import rebend
from hitlbayes.inference.runtime import Progress, in_threads, silent

Density = Callable[[np.ndarray], np.ndarray]

BATCH = 64
PILOT_DEGREES = 7.0
DEGREES = 20.0
ATTEMPTS, MORE_ATTEMPTS, GOOD_K, GOOD_SHARE = 3, 4, 0.6, 0.3
ENOUGH = 10  # effective draws a hyperparameter, for a covariance that means something
WIDE_SHARE, WIDER, WIDE_DEGREES = 0.15, 1.4, 5.0
PILOT = 768  # a covariance of eleven hyperparameters from a few hundred effective draws
FIRST_STEP = 0.02
NEWTON_STEPS, LEFT_TO_GAIN, HALVINGS = 25, 0.1, 0.5 ** np.arange(10)
MORE = 1.25  # points weighed for each draw that is kept
WIDE_PRIOR = 30.0  # from where on sums in single precision lose what a nearly flat prior leaves to the data


class Proposal(NamedTuple):
    """A multivariate t on the free hyperparameters: centre (f,), factor (f, f), degrees of freedom."""

    centre: np.ndarray
    root: np.ndarray
    degrees: float


class SampledMeans(NamedTuple):
    """Draws (n, ...) of a Gaussian model.

    psi (n, k), outer (n, m) and its exact conditional mean outer_mean (n, m), unit (n, N, q),
    own (n, N) unit effects on the linear predictor
    beliefs : with the coordinates of psi
    k_hat, effective : of the importance weights
    """

    psi: np.ndarray
    outer: np.ndarray
    outer_mean: np.ndarray
    unit: np.ndarray
    own: np.ndarray
    beliefs: Beliefs
    k_hat: float
    effective: float


class Weighed(NamedTuple):
    """Draws psi (n, k) of the hyperparameters, resampled by their importance weights.

    beliefs : with the coordinates of psi
    k_hat, effective : of the weights
    """

    psi: np.ndarray
    beliefs: Beliefs
    k_hat: float
    effective: float


def sample_hyper(
    psi: np.ndarray,
    data: Means,
    beliefs: Beliefs,
    *,
    layout: Layout,
    draws: int,
    seed: int,
    progress: Progress = silent,
) -> Weighed:
    """`draws` draws of the hyperparameters; psi (k,) is where the search for the mode begins."""
    rng = np.random.default_rng(seed)
    free = np.isnan(np.asarray(beliefs.fixed))
    n_free = int(free.sum())
    signs = reflections(layout, free)
    near = single(data) if _widest(beliefs, layout) < WIDE_PRIOR else data
    near, beliefs = jax.tree.map(jnp.asarray, (near, beliefs))
    base = np.where(free, psi, 0.0)

    def whole(points: np.ndarray) -> np.ndarray:
        full = np.tile(base, (len(points), 1))
        full[:, free] = points
        return full

    def density_with(beliefs: Beliefs) -> Density:
        return lambda points: evaluate(whole(points), near, beliefs, layout=layout)

    progress("finding the mode", 0.0)
    density = density_with(beliefs)
    points, log_ratio = propose(laplace_proposal(density, psi[free]), density, signs, size=PILOT, rng=rng)
    first = psis.smooth(log_ratio)
    first_weights = tempered(first.log_weights, n_free)
    moved, beliefs = rebend(whole(points), first_weights, beliefs, layout=layout)
    density, first_points = density_with(beliefs), moved[:, free]
    proposal = match_moments(first_points, first_weights)
    points, log_ratio = propose(proposal, density, signs, size=2 * PILOT, rng=rng)
    second = psis.smooth(log_ratio)
    # Each pilot counts by what it is worth, so that a poor second one does not undo a good first.
    worth = first.effective * first_weights, second.effective * tempered(second.log_weights, n_free)
    weights = np.concatenate(worth)
    proposal = match_moments(np.concatenate([first_points, points]), weights / weights.sum())
    best: tuple[np.ndarray, psis.Smoothed] | None = None
    size = int(MORE * draws)
    for attempt in range(ATTEMPTS + MORE_ATTEMPTS):
        progress("weighing draws", 0.3 + 0.05 * attempt)
        points, log_ratio = propose(proposal, density, signs, size=size, rng=rng)
        weighed = psis.smooth(log_ratio)
        if best is None or weighed.effective > best[1].effective:
            best = points, weighed
        good = best[1].k_hat < GOOD_K and best[1].effective > GOOD_SHARE * size
        if good or (attempt >= ATTEMPTS - 1 and best[1].k_hat < psis.TRUSTED_K):
            break
        proposal = match_moments(points, tempered(weighed.log_weights, n_free))
    points, smoothed = best
    full = whole(points[psis.resample(smoothed.log_weights, draws, rng=rng)])
    return Weighed(full, beliefs, smoothed.k_hat, smoothed.effective)


def _widest(beliefs: Beliefs, layout: Layout) -> float:
    """The largest prior SD of a coefficient, or scale that is held, in SDs of the outcome."""
    held = np.nan_to_num(np.asarray(beliefs.fixed)[: layout.n_scales])
    return float(np.max(np.concatenate([np.asarray(beliefs.coef_sd), np.abs(held)]), initial=0.0))


def evaluate(points: np.ndarray, data: Means, beliefs: Beliefs, *, layout: Layout) -> np.ndarray:
    """Log posterior density of each point (n, k), minus infinity where it cannot be computed."""
    n = len(points)
    padded = np.concatenate([points, np.repeat(points[-1:], -n % BATCH, axis=0)]).reshape(
        -1, BATCH, points.shape[1]
    )
    done = in_threads(
        lambda i: np.asarray(log_posterior(padded[i], data, beliefs, layout=layout)), len(padded)
    )
    return np.nan_to_num(np.concatenate(done)[:n], nan=-np.inf)


def conditional_effects(
    psi: np.ndarray, data: Means, beliefs: Beliefs, *, layout: Layout, seed: int
) -> tuple[np.ndarray, ...]:
    """Exact draws of outer parameters, their means, unit blocks and own effects, one for each psi (n, k)."""
    batches = range(-(-len(psi) // BATCH))
    parts = effect_batches(psi, data, beliefs, layout=layout, seed=seed, batches=batches)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def effect_batches(
    psi: np.ndarray, data: Means, beliefs: Beliefs, *, layout: Layout, seed: int, batches: Sequence[int]
) -> list[tuple[np.ndarray, ...]]:
    """Some of the batches of `conditional_effects`, BATCH draws each, the last as many as are left."""
    n = len(psi)
    padded = np.concatenate([psi, np.repeat(psi[-1:], -n % BATCH, axis=0)]).reshape(-1, BATCH, psi.shape[1])
    keys = jax.random.split(jax.random.key(seed), len(padded))

    def one(j: int) -> tuple[np.ndarray, ...]:
        i = batches[j]
        drawn = draw_effects(padded[i], keys[i], data, beliefs, layout=layout)
        own = _own(drawn.unit, drawn.outer, padded[i], jax.random.fold_in(keys[i], 1), beliefs, layout=layout)
        arrays = (drawn.outer, drawn.outer_mean, drawn.unit, own)
        return tuple(np.asarray(a)[: n - i * BATCH] for a in arrays)

    return in_threads(one, len(batches))


@partial(jax.jit, static_argnames="layout")
def _own(
    unit: jax.Array, outer: jax.Array, psi: jax.Array, key: jax.Array, beliefs: Beliefs, *, layout: Layout
):
    keys = jax.random.split(key, psi.shape[0])
    return jax.vmap(partial(own_effects, beliefs=beliefs, layout=layout))(unit, outer, psi, keys)


def reflections(layout: Layout, free: np.ndarray) -> np.ndarray:
    """Sign patterns (2^s, f) of the free hyperparameters under which the posterior is unchanged.

    Turning a scale's sign turns the effects it multiplies; a correlation follows the product of the signs
    of its two scales.
    """
    block = BLOCKS[layout.block]
    turning = [i for i in range(layout.n_scales) if free[i]]
    patterns = []
    for signs in product((1.0, -1.0), repeat=len(turning)):
        full = np.ones(layout.n_hyper)
        full[turning] = signs
        for j, name in enumerate(block.correlations):
            full[layout.n_scales + j] = full[0] * full[block.scales.index(name)]
        patterns.append(full[free])
    return np.array(patterns)


def laplace_proposal(density: Density, start: np.ndarray) -> Proposal:
    """A t at the mode with the curvature there, by damped Newton steps on finite differences.

    The search ends where the quadratic says that nothing is left to gain, not where a step gains nothing: a
    step along a bad curvature may.
    """
    centre, step = np.asarray(start, float), np.full(len(start), FIRST_STEP)
    for _ in range(NEWTON_STEPS):
        slope, curvature = differences(density, centre, step)
        values, vectors = np.linalg.eigh(-curvature)
        values = np.maximum(np.abs(values), 1.0)
        newton = vectors @ ((vectors.T @ slope) / values)
        diagonal = np.maximum(np.diag(-curvature), 1.0)
        # Six tenths of a posterior SD: well above single precision, and still in the quadratic part.
        step = np.clip(0.6 / np.sqrt(diagonal), 1e-4, 0.3)
        if 0.5 * slope @ newton < LEFT_TO_GAIN:
            break
        ways = np.clip(np.stack([newton, slope / diagonal]), -1.0, 1.0)
        trial = np.concatenate([centre[None], *(centre + HALVINGS[:, None] * way for way in ways)])
        centre = trial[int(np.argmax(density(trial)))]
    return Proposal(centre, vectors / np.sqrt(values), PILOT_DEGREES)


def differences(density: Density, centre: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of a log density by central differences of steps h (f,), in one batch."""
    f = len(centre)
    pairs = [(i, j) for i in range(f) for j in range(i)]
    unit = np.diag(h)
    points = [centre, *(centre + unit), *(centre - unit)]
    points += [centre + a * (unit[i] + unit[j]) for i, j in pairs for a in (1, -1)]
    value = density(np.array(points))
    top, up, down = value[0], value[1 : f + 1], value[f + 1 : 2 * f + 1]
    hessian = np.diag((up + down - 2 * top) / h**2)
    for p, (i, j) in enumerate(pairs):
        both = value[2 * f + 1 + 2 * p] + value[2 * f + 2 + 2 * p]
        hessian[i, j] = hessian[j, i] = (both + 2 * top - up[i] - down[i] - up[j] - down[j]) / (
            2 * h[i] * h[j]
        )
    return (up - down) / (2 * h), hessian


def propose(
    proposal: Proposal, density, signs: np.ndarray, *, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (size, f) folded to positive scales, and their log importance ratios (size,).

    A few come from a wider, heavier-tailed t, so that no weight is large where the proposal is too narrow
    (a defensive mixture: Hesterberg 1995).
    """
    wide = proposal._replace(root=WIDER * proposal.root, degrees=WIDE_DEGREES)
    n_wide = int(WIDE_SHARE * size)
    points = fold(np.concatenate([_draw_t(wide, n_wide, rng), _draw_t(proposal, size - n_wide, rng)]), signs)
    shares = np.array([n_wide, size - n_wide]) / size
    log_q = [
        np.log(share) + _log_t(points * sign, part)
        for sign in signs
        for share, part in zip(shares, (wide, proposal), strict=True)
    ]
    return points, density(points) - logsumexp(np.stack(log_q), axis=0)


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


def _draw_t(proposal: Proposal, size: int, rng: np.random.Generator) -> np.ndarray:
    z = rng.standard_normal((size, len(proposal.centre)))
    spread = np.sqrt(proposal.degrees / rng.chisquare(proposal.degrees, size))
    return proposal.centre + (z * spread[:, None]) @ proposal.root.T


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


def _log_t(points: np.ndarray, proposal: Proposal) -> np.ndarray:
    z = np.linalg.solve(proposal.root, (points - proposal.centre).T)
    f, nu = len(proposal.centre), proposal.degrees
    constant = gammaln(0.5 * (nu + f)) - gammaln(0.5 * nu) - 0.5 * f * np.log(nu)
    size = np.linalg.slogdet(proposal.root)[1]
    return constant - size - 0.5 * (nu + f) * np.log1p(np.sum(z**2, axis=0) / nu)


def match_moments(points: np.ndarray, weights: np.ndarray) -> Proposal:
    """A t with the mean and covariance of points (n, f) of weights (n,) that add to one."""
    centre = weights @ points
    moved = points - centre
    covariance = (weights[:, None] * moved).T @ moved * (DEGREES - 2) / DEGREES
    return Proposal(centre, np.linalg.cholesky(covariance + 1e-10 * np.eye(len(centre))), DEGREES)
