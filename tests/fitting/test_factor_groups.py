"""Effects of groups in the factor model's coordinates against dense algebra, group by group."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.fitting.factor_groups import place_groups

DIGITS = 1e-10  # double precision, of numbers about one
MEASURES, GROUPS = 4, 7


def dense(scales, loading, J, h, z):
    """The same from LAPACK's factors of each group's own matrix."""
    S = jnp.hstack([(scales[0] * loading)[:, None], jnp.diag(scales[1:])])

    def of_group(J, h, z):
        # The factor's own effect is eliminated first: it stands first.
        low = jnp.linalg.cholesky(jnp.eye(len(z)) + S.T @ J @ S)
        mean = jax.scipy.linalg.solve_triangular(low, S.T @ h, lower=True)
        effects = jax.scipy.linalg.solve_triangular(low.T, mean + z, lower=False)
        return effects, S @ effects, -jnp.sum(jnp.log(jnp.diagonal(low)))

    return jax.vmap(of_group, in_axes=(2, 1, 1), out_axes=(1, 1, 0))(J, h, z)


@pytest.fixture
def point():
    rng = np.random.default_rng(3)
    half = rng.normal(size=(MEASURES, MEASURES, GROUPS))
    J = np.einsum("abg,cbg->acg", half, half)
    scales = np.array([0.4, 0.7, -0.3, 0.0, 1.2])  # signs do not matter, and one measure has no effects
    z = rng.normal(size=(1 + MEASURES, GROUPS))
    return scales, rng.normal(size=MEASURES), J, rng.normal(size=(MEASURES, GROUPS)), z


def test_effects_and_jacobian_are_those_of_dense_algebra(point) -> None:
    with jax.enable_x64(True):
        for ours, reference in zip(place_groups(*map(jnp.asarray, point)), dense(*point), strict=True):
            np.testing.assert_allclose(ours, reference, atol=DIGITS, rtol=DIGITS)


def test_slopes_are_those_of_dense_algebra(point) -> None:
    rng = np.random.default_rng(4)
    weights = (
        rng.normal(size=(1 + MEASURES, GROUPS)),
        rng.normal(size=(MEASURES, GROUPS)),
        rng.normal(size=GROUPS),
    )

    def through(task):
        return lambda *at: sum(jnp.sum(w * a) for w, a in zip(weights, task(*at), strict=True))

    with jax.enable_x64(True):
        arguments = tuple(map(jnp.asarray, point))
        ours, reference = (
            jax.grad(through(f), argnums=(0, 1, 3, 4))(*arguments) for f in (place_groups, dense)
        )
        for a, b in zip(ours, reference, strict=True):
            np.testing.assert_allclose(a, b, atol=DIGITS, rtol=DIGITS)
