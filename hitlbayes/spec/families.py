"""Likelihoods of a cell's sufficient statistics, as functions of its linear predictor.

Every family is written once, for rows that may stand for one chat or for thousands:

================  =================================  ==========================================
family            a row's statistics                 per data set
================  =================================  ==========================================
``bernoulli``     n, successes (any binomial)        --
``ordinal``       the count of each category         the gaps between cutpoints
``count``         n, total (negative binomial)       how many values lie above each k
================  =================================  ==========================================

For the ordinal family (cumulative logit, ``z_j = c_j - eta``) the row term is

    sum_j [(n_j + n_{j+1}) log sigma(z_j) - n_{j+1} z_j]

and the rest, ``sum_k n_k log(1 - exp(c_{k-1} - c_k))`` over inner categories, belongs to the data set.

The negative binomial has variance ``m + (x m)^2``, m = exp(eta), x the overdispersion; with t = x^2 m its
row term is ``S eta - S log(1 + t) - n m log(1 + t) / t`` and what is left, ``sum_k M_k log(1 + k x^2)`` with
M_k the number of values above k, belongs to the data set. At x = 0 it is the Poisson, with no limit to take.
Gaussian outcomes are not here: they are integrated in closed form (`hitlbayes.inference.marginal`).

Only numpy and jax are imported, so that the module runs on a bare accelerator machine.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

FAMILIES = ("gaussian", "bernoulli", "ordinal", "count")
FAR = 80.0  # in logits, beyond which an outcome is certain; single precision still has the exponential


class Terms(NamedTuple):
    """Derivatives of the row terms at a linear predictor.

    slope : (R,) first derivative in eta
    curvature : (R,) minus the second derivative in eta
    cross : (K-1, R) minus the second derivative in eta and cutpoint, negated: how the slope moves with
        each cutpoint (ordinal), else (0, R)
    """

    slope: jax.Array
    curvature: jax.Array
    cross: jax.Array


def row_loglik(family: str, eta: jax.Array, stats: jax.Array, cut: jax.Array, over: jax.Array) -> jax.Array:
    """Sum over rows of the row terms of the log likelihood.

    Parameters
    ----------
    family : one of `FAMILIES` but gaussian
    eta : (R,) linear predictor; R may stand for several axes
    stats : (2, R) n and successes or total; ordinal (2(K-1), R): n_j + n_{j+1}, then n_{j+1}
    cut : (K-1,) increasing cutpoints, ordinal only (else an empty array)
    over : () overdispersion x, count only
    """
    if family == "ordinal":
        return _ordinal(eta, cut, stats)
    if family == "bernoulli":
        return _bernoulli(eta, stats)
    if family == "count":
        m = jnp.exp(eta)
        t = over**2 * m
        return jnp.sum(stats[1] * (eta - jnp.log1p(t)) - stats[0] * m * _log1p_over(t))
    raise ValueError(f"no row likelihood for family {family!r}")


def dataset_loglik(
    family: str, categories: jax.Array, above: jax.Array, cut: jax.Array, over: jax.Array
) -> jax.Array:
    """Terms of the log likelihood that belong to the data set, constants in the parameters left out.

    Parameters
    ----------
    categories : (K,) total count of each category (ordinal)
    above : (V,) how many values lie above 0, 1, ... (count)
    """
    if family == "ordinal":
        gaps = jnp.diff(cut)
        return jnp.sum(categories[1:-1] * log1mexp(gaps))
    if family == "count":
        k = jnp.arange(above.shape[0], dtype=above.dtype)
        return jnp.sum(above * jnp.log1p(k * over**2))
    return jnp.zeros((), cut.dtype)


def row_terms(family: str, eta: jax.Array, stats: jax.Array, cut: jax.Array, over: jax.Array) -> Terms:
    """Slope, curvature and cross-curvature of every row's term at eta (shapes in `Terms`)."""
    none = jnp.zeros((0, *eta.shape), eta.dtype)
    if family == "ordinal":
        both, upper = jnp.split(stats, 2)
        above = jax.nn.sigmoid(eta - over_rows(cut, eta))
        weight = both * above * (1 - above)
        return Terms(jnp.sum(upper - both * above, axis=0), jnp.sum(weight, axis=0), weight)
    n, total = stats[0], stats[1]
    if family == "bernoulli":
        p = jax.nn.sigmoid(eta)
        return Terms(total - n * p, n * p * (1 - p), none)
    m = jnp.exp(eta)
    t = over**2 * m
    return Terms((total - n * m) / (1 + t), (n * m + total * t) / (1 + t) ** 2, none)


def mean_response(family: str, eta: jax.Array, cut: jax.Array) -> jax.Array:
    """Expected outcome of one chat at eta: probability, expected category (1..K) or expected count."""
    if family == "ordinal":
        return 1.0 + jnp.sum(jax.nn.sigmoid(eta[..., None] - cut), axis=-1)
    if family == "bernoulli":
        return jax.nn.sigmoid(eta)
    if family == "count":
        return jnp.exp(eta)
    return eta


def category_probability(eta: jax.Array, cut: jax.Array) -> jax.Array:
    """Probability of each category (..., K) at eta under the cumulative logit."""
    below = jax.nn.sigmoid(cut - eta[..., None])
    one, zero = jnp.ones_like(below[..., :1]), jnp.zeros_like(below[..., :1])
    return jnp.diff(jnp.concatenate([zero, below, one], axis=-1), axis=-1)


def ordinal_statistics(counts: np.ndarray) -> np.ndarray:
    """Category counts (R, K) as the statistics (2(K-1), R) that `row_loglik` reads."""
    lower, upper = counts[:, :-1].T, counts[:, 1:].T
    return np.concatenate([lower + upper, upper])


def _log1p_over(t: jax.Array) -> jax.Array:
    """log(1 + t) / t for t >= 0, also at zero."""
    small = t < 1e-4
    safe = jnp.where(small, 1.0, t)
    return jnp.where(small, 1.0 - t / 2 + t**2 / 3, jnp.log1p(safe) / safe)


def log1mexp(gap: jax.Array) -> jax.Array:
    """log(1 - exp(-gap)) for gap > 0, accurate at both ends."""
    small = gap < 0.6931471805599453
    safe = jnp.where(small, 1.0, gap)
    return jnp.where(small, jnp.log(-jnp.expm1(-gap)), jnp.log1p(-jnp.exp(-safe)))


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """log(1 + exp(x)); its derivative needs no logarithm, so that gradients alone compute none."""
    return jnp.maximum(x, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@softplus.defjvp
def _softplus_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    return softplus(x), jax.nn.sigmoid(x) * dx


def over_rows(cut: jax.Array, eta: jax.Array) -> jax.Array:
    """Cutpoints (K-1,) with axes of length one for those of eta."""
    return cut.reshape(-1, *(1,) * eta.ndim)


@jax.custom_vjp
def _ordinal(eta: jax.Array, cut: jax.Array, stats: jax.Array) -> jax.Array:
    both, upper = jnp.split(stats, 2)
    eta = jnp.clip(eta, -FAR, FAR)  # the same in odds and in logits
    odds = jnp.exp(eta) * over_rows(jax.lax.optimization_barrier(jnp.exp(-cut)), eta)
    return jnp.sum(upper * eta - both * jnp.log(1.0 + odds)) - upper.reshape(len(cut), -1).sum(axis=1) @ cut


def _ordinal_forward(eta, cut, stats):
    # The gradient needs one exponential a row and no logarithm; where only the gradient is asked for,
    # the compiler drops the value and its logarithms altogether.
    both, upper = jnp.split(stats, 2)
    odds = jnp.exp(jnp.clip(eta, -FAR, FAR)) * over_rows(jax.lax.optimization_barrier(jnp.exp(-cut)), eta)
    slope = upper - both * (1.0 - 1.0 / (1.0 + odds))
    return _ordinal(eta, cut, stats), (jnp.sum(slope, axis=0), slope.reshape(len(cut), -1).sum(axis=1), stats)


def _ordinal_backward(saved, g):
    by_row, by_cut, stats = saved
    return g * by_row, -g * by_cut, jnp.zeros_like(stats)


_ordinal.defvjp(_ordinal_forward, _ordinal_backward)


@jax.custom_vjp
def _bernoulli(eta: jax.Array, stats: jax.Array) -> jax.Array:
    return jnp.sum(stats[1] * eta - stats[0] * softplus(eta))


def _bernoulli_forward(eta, stats):
    return _bernoulli(eta, stats), (stats[1] - stats[0] * jax.nn.sigmoid(eta), stats)


def _bernoulli_backward(saved, g):
    slope, stats = saved
    return g * slope, jnp.zeros_like(stats)


_bernoulli.defvjp(_bernoulli_forward, _bernoulli_backward)
