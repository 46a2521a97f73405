"""Normal draws for momenta: their law, their independence, and that a key gives the same ones again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hitlbayes.inference.normals import LANES, circle, normals

N = 1_000_001  # odd: the last pair is cut
MONTE_CARLO = 4.5  # standard errors that a right answer exceeds once in 150,000 tries
SELDOM = 1e-4  # p of a Kolmogorov-Smirnov test; the seeds are fixed
DIGITS = 3e-7  # of single precision, through two polynomials


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return np.stack([np.asarray(normals(key, N)) for key in jax.random.split(jax.random.key(7), 3)])


def test_draws_are_standard_normal(draws: np.ndarray) -> None:
    assert draws.shape == (3, N)
    assert draws.dtype == np.float32
    for z in draws.astype(float):
        for power, moment, spread in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
            assert abs(np.mean(z**power) - moment) < MONTE_CARLO * np.sqrt(spread / N)
        assert stats.kstest(z, "norm").pvalue > SELDOM
        # As many in the tails as there should be; 32 bits reach 6.7.
        expected = 2 * stats.norm.sf(4.0) * N
        assert abs(np.sum(np.abs(z) > 4.0) - expected) < MONTE_CARLO * np.sqrt(expected)


def test_draws_are_independent(draws: np.ndarray) -> None:
    half = -(-N // (2 * LANES)) * LANES  # the partner of i is i + half
    for a, b in (
        (draws[0], draws[1]),  # of two keys
        (draws[0, : N - half], draws[0, half:]),  # of a pair: what Box and Muller make of the same two words
        (draws[0, :-1], draws[0, 1:]),  # neighbours
    ):
        for one, other in ((a, b), (a**2, b**2)):
            assert abs(np.corrcoef(one, other)[0, 1]) < MONTE_CARLO / np.sqrt(len(one))


def test_a_key_gives_the_same_draws_again() -> None:
    key = jax.random.key(3)
    np.testing.assert_array_equal(normals(key, 1000), normals(key, 1000))
    assert not np.array_equal(normals(key, 1000), normals(jax.random.key(4), 1000))


def test_points_are_on_the_circle_and_everywhere_on_it() -> None:
    bits = jax.random.bits(jax.random.key(1), (200_000,), jnp.uint32)
    x, y = np.asarray(circle(bits), float)
    np.testing.assert_allclose(np.hypot(x, y), 1.0, atol=DIGITS)
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.5
    assert stats.kstest(turn, "uniform").pvalue > SELDOM


@pytest.mark.parametrize(
    ("bits", "point"),
    [
        (0, (1.0, 0.0)),
        (1 << 31, (0.0, 1.0)),
        (1 << 30, (-1.0, 0.0)),
        (3 << 30, (0.0, -1.0)),
        (1 << 29, (np.sqrt(0.5), -np.sqrt(0.5))),  # an eighth of a turn backwards
    ],
)
def test_known_points(bits: int, point: tuple[float, float]) -> None:
    found = circle(jnp.array([bits], jnp.uint32))[:, 0]
    np.testing.assert_allclose(found, point, atol=DIGITS)
