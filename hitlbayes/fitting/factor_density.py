"""Log density of `hitlbayes.fitting.factor`: the likelihood of each family of measures, and the priors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from hitlbayes.fitting.factor import COUNTS, SIGNED, Data, Layout, Psi, State, predictor
from hitlbayes.inference.sums import total
from hitlbayes.spec.families import softplus

HALF_LOG_TWO_PI = 0.9189385332046727
LEAST_EXCESS = 1e-8  # of variance over mean^2, where a count is Poisson to all digits


def log_density(state: State, data: Data, layout: Layout) -> tuple[jax.Array, jax.Array]:
    """Log posterior density of a state up to a constant, and its predictor (M, n)."""
    eta = predictor(state, data)
    return log_likelihood(eta, state.psi, data, layout) + log_prior(state, data, layout), eta


def log_likelihood(eta: jax.Array, psi: Psi, data: Data, layout: Layout) -> jax.Array:
    """Log likelihood of everything seen; terms in eta's precision, their sum in double."""
    value, gap = jnp.zeros(()), 0
    sigma, over = iter(psi.log_sigma.astype(eta.dtype)), zip(psi.over, data.tallies, strict=True)
    for m, family in enumerate(layout.families):
        y, seen, e = data.y[m], data.seen[m], eta[m] + data.offset[m]
        if family == "lognormal":
            value += _lognormal(e, y, seen, next(sigma))
        elif family in COUNTS:
            value += _count(e, y, seen, *next(over), truncated=family == "truncated count")
        elif family == "bernoulli":
            value += total(seen * (y * e - softplus(e)))
        else:
            extra = layout.categories[m] - 2
            value += _ordinal(e, y, seen, psi.log_gap[gap : gap + extra])
            gap += extra
    return value


def log_prior(state: State, data: Data, layout: Layout) -> jax.Array:
    """Log prior density of psi and the standardised effects, up to a constant."""
    psi, scales = state.psi, data.scales
    value = -0.5 * sum(jnp.sum(a**2) for a in (state.common, state.own, state.period, state.unit, state.chat))
    value -= 0.5 * jnp.sum((psi.loading / scales.loading) ** 2)
    value += jnp.sum(psi.log_sigma - 0.5 * (jnp.exp(psi.log_sigma) / scales.sigma) ** 2)
    for name in SIGNED:
        value -= 0.5 * jnp.sum((getattr(psi, name) / getattr(scales, name)) ** 2)
    gap = 0
    for m, family in enumerate(layout.families):
        if family != "ordinal":
            value -= 0.5 * state.intercept[m] ** 2
            continue
        # flat on the shares of the categories at eta = 0: each cutpoint's logistic density, and the gaps'
        # Jacobian (Betancourt 2019)
        extra = layout.categories[m] - 2
        log_gap = psi.log_gap[gap : gap + extra]
        cut = cutpoints(data.spread[m] * state.intercept[m] + data.centre[m], log_gap)
        value += jnp.sum(jax.nn.log_sigmoid(cut) + jax.nn.log_sigmoid(-cut)) + jnp.sum(log_gap)
        gap += extra
    return value


def cutpoints(intercept: jax.Array, log_gap: jax.Array) -> jax.Array:
    """Cutpoints (K - 1,) of an ordinal measure with this intercept."""
    return -intercept + jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(log_gap))])


def excess(over: jax.Array) -> jax.Array:
    """Variance of counts beyond the Poisson's over the squared mean, one over the shape; never quite zero."""
    return over**2 + LEAST_EXCESS


def log_zero(eta: jax.Array, over: jax.Array) -> jax.Array:
    """Log probability of zero of a negative binomial count with mean exp(eta)."""
    return -jnp.log1p(jnp.exp(eta) * excess(over)) / excess(over)


def _lognormal(eta: jax.Array, y: jax.Array, seen: jax.Array, log_sigma: jax.Array) -> jax.Array:
    """`y` is the log of the value; the density is that of the log."""
    return total(seen * (-0.5 * jnp.exp(-2 * log_sigma) * (y - eta) ** 2 - log_sigma - HALF_LOG_TWO_PI))


def _count(
    eta: jax.Array,
    y: jax.Array,
    seen: jax.Array,
    over: jax.Array,
    tally: tuple[jax.Array, jax.Array],
    *,
    truncated: bool,
) -> jax.Array:
    shape, (values, times) = 1.0 / excess(over), tally
    rising = gammaln(values + shape) - gammaln(shape) - values * jnp.log(shape)
    constant = jnp.sum(times * (rising - gammaln(values + 1)))
    near, shape = excess(over).astype(eta.dtype), shape.astype(eta.dtype)
    lift = jnp.log1p(jnp.exp(eta) * near)  # log of (shape + mean) / shape
    each = y * eta - (y + shape) * lift
    if truncated:
        each -= jnp.log(-jnp.expm1(-shape * lift))
    return constant + total(seen * each)


def _ordinal(eta: jax.Array, y: jax.Array, seen: jax.Array, log_gap: jax.Array) -> jax.Array:
    """Cumulative logit with its intercept in eta: sum_j [(n_j + n_j+1) log s(z_j) - n_j+1 z_j] + gaps."""
    offset = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.exp(log_gap))]).astype(eta.dtype)
    value = jnp.zeros(())
    for j in range(offset.shape[0]):
        z = offset[j] - eta
        low, high = (y == j) * seen, (y == j + 1) * seen
        value -= total((low + high) * softplus(-z) + high * z)
    for j in range(log_gap.shape[0]):
        between = total((y == j + 1) * seen)
        value += between * jnp.log(-jnp.expm1(-jnp.exp(log_gap[j])))
    return value
