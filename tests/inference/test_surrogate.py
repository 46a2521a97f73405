"""The polynomial in place of the hyperparameters' density: it finds one that is there, and says no more."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.surrogate import DEGREE, LIMIT, fitted, flat, slope_at

EXACT = 0.01  # of a slope's spread: what shrinking takes from coefficients that are well known
NOISY = 0.1  # of the spread of the noise: 1,000 slopes a coefficient
STEP, DIFFERENCE = 1e-6, 1e-6  # of a slope, by central differences in double precision


def quartic(z: jax.Array) -> jax.Array:
    """A double well in one coordinate, bound to a second; in the surrogate's own coordinates."""
    y = LIMIT * jnp.tanh(z / LIMIT)
    return -0.3 * (y[0] ** 2 - 1.0) ** 2 + 0.5 * y[0] * y[1] - 0.2 * y[1] ** 3 + 0.4 * y[2]


def draws(*, n: int, k: int = 3, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((n, k))
    slope = np.asarray(jax.vmap(jax.grad(quartic))(jnp.asarray(z)))
    return z, slope + noise * rng.standard_normal((n, k))


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def test_a_polynomial_is_found_exactly():
    z, slope = draws(n=300)
    made = fitted(z, slope)
    at = np.stack([np.asarray(slope_at(made, jnp.asarray(x))) for x in z])
    np.testing.assert_allclose(at, slope, atol=EXACT * slope.std())


def test_noise_is_not_followed():
    z, slope = draws(n=2000)
    noisy = draws(n=2000, noise=1.0)[1]
    at = np.stack([np.asarray(slope_at(fitted(z, noisy), jnp.asarray(x))) for x in z[:200]])
    assert np.sqrt(np.mean((at - slope[:200]) ** 2)) < NOISY


def test_few_draws_make_a_lower_degree():
    def degree(n: int) -> int:
        return max(
            (d for d, t in enumerate(fitted(*draws(n=n)), start=1) if np.any(np.asarray(t) != 0)), default=0
        )

    assert [degree(n) for n in (1, 4, 10, 20, 40)] == [0, 1, 2, 3, DEGREE]


def test_slopes_are_those_of_one_function():
    """The matrix of second derivatives is symmetric, so that a trajectory along it conserves an energy."""
    made = fitted(*draws(n=100, noise=0.5))
    at = jnp.array([0.3, -1.2, 2.0])
    H = np.asarray(jax.jacobian(lambda z: slope_at(made, z))(at))
    np.testing.assert_allclose(H, H.T, atol=DIFFERENCE)


def test_far_out_nothing_grows():
    made = fitted(*draws(n=300))
    far = np.asarray(slope_at(made, jnp.array([200.0, -200.0, 200.0])))
    np.testing.assert_allclose(far, 0.0, atol=DIFFERENCE)


def test_one_hyperparameter_has_a_polynomial_too():
    z = np.random.default_rng(1).standard_normal((200, 1))
    y = LIMIT * np.tanh(z / LIMIT)
    slope = -(y**3) * (1.0 - (y / LIMIT) ** 2)  # of -y^4 / 4
    at = np.stack([np.asarray(slope_at(fitted(z, slope), jnp.asarray(x))) for x in z])
    np.testing.assert_allclose(at, slope, atol=EXACT * slope.std())


def test_flat_is_flat():
    np.testing.assert_array_equal(slope_at(flat(3), jnp.array([1.0, 2.0, 3.0])), np.zeros(3))
