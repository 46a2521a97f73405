"""What a draw of `hitlbayes.fitting.factor` says about each measure on its own scale, by g-computation.

For the chats of one type: what is expected of each measure as they are, and had they been of the reference
type, all else the same (unit, period, covariates, the chat's own factor). Differences are effects of type.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hitlbayes.fitting.factor import COUNTS, Data, Layout, Psi, State, coefficients
from hitlbayes.fitting.factor_density import cutpoints, excess, log_zero
from hitlbayes.inference.precision import narrowed

NODES = 16  # Gauss-Legendre; the share's integrand is smooth but near zero (error below 2e-4)


class Focus(NamedTuple):
    """Over which chats is averaged.

    rows : (R,) positions of chats; column : (R,) the column that says their type
    weights : (S, R) of each contrast's chats, sums of one
    short : (NODES, R) of `short_of`, for the share of rounds after the takeover
    """

    rows: jax.Array
    column: jax.Array
    weights: jax.Array
    short: jax.Array


class Averages(NamedTuple):
    """Expected measures (S, M + 1) under each contrast's own type and under the reference.

    The last entry is the share of rounds after the takeover, NaN without such a measure.
    """

    own: jax.Array
    reference: jax.Array


def averages(eta: jax.Array, state: State, data: Data, focus: Focus, layout: Layout) -> Averages:
    """Average expected measures over each contrast's chats, from the predictor (M, n) of all."""
    eta = eta[:, focus.rows]
    _, slopes = coefficients(state, data)
    less = eta - slopes[focus.column].T.astype(eta.dtype)
    psi, focus = narrowed((state.psi, focus), eta.dtype)
    return Averages(*(_average(e, psi, focus, layout) for e in (eta, less)))


def expected(eta: jax.Array, m: int, psi: Psi, layout: Layout) -> jax.Array:
    """Expected value of measure m at eta: seconds, counts, mean code (from 1), probability."""
    family = layout.families[m]
    if family == "lognormal":
        sigma = psi.log_sigma[layout.families[:m].count("lognormal")]
        return jnp.exp(eta + 0.5 * jnp.exp(2 * sigma))
    if family == "bernoulli":
        return jax.nn.sigmoid(eta)
    if family == "ordinal":
        before = sum(max(k - 2, 0) for k in layout.categories[:m])
        gaps = psi.log_gap[before : before + layout.categories[m] - 2]
        cuts = cutpoints(jnp.zeros(()), gaps)
        return sum((jax.nn.sigmoid(eta - cut) for cut in cuts), jnp.ones_like(eta))
    mean = jnp.exp(eta)
    if family == "count":
        return mean
    return mean / -jnp.expm1(log_zero(eta, over_of(m, psi, layout)))


def over_of(m: int, psi: Psi, layout: Layout) -> jax.Array:
    """Overdispersion of the count measure m."""
    return psi.over[sum(f in COUNTS for f in layout.families[:m])]


def expected_share(eta: jax.Array, over: jax.Array, short: jax.Array, *, truncated: bool) -> jax.Array:
    """Expected h / (h + a) of a negative binomial h with mean exp(eta), `short` being that of a.

    E[h / (h + a)] = 1 - integral over (0, 1) of G(t^(1/a)) dt, G the count's generating function.
    """
    generating = jnp.exp(-jnp.log1p(jnp.exp(eta) * excess(over) * short) / excess(over))
    if truncated:
        zero = jnp.exp(log_zero(eta, over))
        generating = (generating - zero) / (1.0 - zero)
    v, weights = _nodes()
    return 1.0 - jnp.asarray(weights * 3.0 * v**2, generating.dtype) @ generating


def short_of(before: np.ndarray) -> np.ndarray:
    """1 - t^(1/a) (NODES, R) for numbers of rounds a (R,), at the nodes of `expected_share`'s integral."""
    return 1.0 - _nodes()[0][:, None] ** (3.0 / np.asarray(before, float))


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Nodes v and weights on (0, 1); t = v^3 puts them where G(t^(1/a)) bends."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (1 + nodes), 0.5 * weights


def _average(eta: jax.Array, psi: Psi, focus: Focus, layout: Layout) -> jax.Array:
    each = [expected(eta[m], m, psi, layout) for m in range(layout.measures)]
    for m, of in enumerate(layout.per):
        if of >= 0:  # given the factor, the rate and what it is a rate of are independent
            each[m] = each[of] * (each[m] + layout.floor[m])
    found = [focus.weights @ one for one in each]
    share = jnp.full(focus.weights.shape[0], jnp.nan)
    if layout.share_of >= 0:
        m = layout.share_of
        truncated = layout.families[m] == "truncated count"
        share = focus.weights @ expected_share(
            eta[m], over_of(m, psi, layout), focus.short, truncated=truncated
        )
    return jnp.stack([*found, share], axis=1)
