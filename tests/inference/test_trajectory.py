"""Trajectories can be run backwards, and draws along them have the law that they should have."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference import rotation
from hitlbayes.inference.glide import Walls
from hitlbayes.inference.rotation import Near, Place
from hitlbayes.inference.surrogate import Surrogate, fitted, flat
from hitlbayes.inference.trajectory import Reached, rotations, settle, travel

ROUND_OFF = 1e-9  # double precision through some forty short rotations
GRAZED = 1e-5  # when a wall is met that a circle only grazes is known to the square root of rounding
MONTE_CARLO = 4.5  # standard errors, at an effective draw in FOUR
FOUR = 4
BEND, TIE = 0.3, 0.8
DRAWS = 1500


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def log_density(z: jax.Array, _: object = None) -> jax.Array:
    """Quartic in the first coordinate, the second tied to the third, the fourth by itself."""
    return -0.5 * jnp.sum(z**2) - BEND * z[0] ** 4 - 0.5 * TIE * (z[2] - z[1]) ** 2


def found_at(z: Place) -> tuple[tuple[jax.Array, tuple[()]], Place]:
    value, slope = jax.value_and_grad(lambda z: log_density(jnp.concatenate(z)))(z)
    return (value, ()), jax.tree.map(jnp.add, slope, z)


def surrogate() -> Surrogate:
    z = np.random.default_rng(1).standard_normal((200, 2))
    return fitted(z, np.column_stack([-4 * BEND * z[:, 0] ** 3, -TIE * z[:, 1]]))


@jax.jit
def gone(z: Place, p: Place, walls: Walls | None, guess: Surrogate) -> Reached:
    (value, _), slope = found_at(z)
    made = partial(travel, angle=jnp.asarray(0.6), count=jnp.asarray(3), found_at=found_at)
    return made(z, momentum=p, slope=slope, value=value, beside=(), surrogate=guess, walls=walls)


WALL = Walls(jnp.array([[1.0, 0.0], [0.6, 0.8]]), jnp.array([-0.2, -0.9]))


@pytest.mark.parametrize("walls", [None, WALL], ids=["open", "walls"])
@pytest.mark.parametrize("guess", [flat(2), None], ids=["flat", "surrogate"])
def test_a_trajectory_runs_backwards(walls: Walls | None, guess: Surrogate | None) -> None:
    guess, near = surrogate() if guess is None else guess, ROUND_OFF if walls is None else GRAZED
    for seed in range(20):
        draws = np.random.default_rng(seed).standard_normal((2, 4))
        draws[0, :2] = np.abs(draws[0, :2])  # inside the walls
        z, p = (Place(jnp.asarray(a[:2]), jnp.asarray(a[2:])) for a in draws)
        there = gone(z, p, walls, guess)
        assert not np.allclose(there.z.psi, z.psi)
        back = gone(there.z, jax.tree.map(jnp.negative, there.momentum), walls, guess)
        for one, other in ((back.z, z), (jax.tree.map(jnp.negative, back.momentum), p)):
            jax.tree.map(partial(np.testing.assert_allclose, atol=near), one, other)
        np.testing.assert_allclose(back.gain, -there.gain, atol=near)


def test_a_standard_normal_is_followed_exactly() -> None:
    z, p = (Place(jnp.full(2, a), jnp.full(2, -a)) for a in (0.3, 1.1))
    nothing = jax.tree.map(jnp.zeros_like, z)

    def normal(z: Place) -> tuple[tuple[jax.Array, tuple[()]], Place]:
        return (-0.5 * sum(jnp.sum(a**2) for a in z), ()), nothing

    (value, _), slope = normal(z)
    options = {"angle": jnp.asarray(0.7), "count": jnp.asarray(2), "surrogate": flat(2), "walls": None}
    there = travel(z, momentum=p, slope=slope, value=value, beside=(), found_at=normal, **options)
    turn = 1.4
    for found, a, b in zip(there.z, z, p, strict=True):
        np.testing.assert_allclose(found, np.cos(turn) * a + np.sin(turn) * b, atol=ROUND_OFF)
    assert float(there.gain) == pytest.approx(0.0, abs=ROUND_OFF)


def test_what_is_not_finite_is_never_taken() -> None:
    z = Place(jnp.zeros(2), jnp.zeros(2))
    slope = jax.tree.map(jnp.zeros_like, z)

    def broken(z: Place) -> tuple[tuple[jax.Array, tuple[()]], Place]:
        return (jnp.asarray(jnp.nan), ()), slope

    options = {"angle": jnp.asarray(0.7), "count": jnp.asarray(2), "surrogate": flat(2), "walls": None}
    for value in (0.0, np.nan):
        there = travel(
            z, momentum=z, slope=slope, value=jnp.asarray(value), beside=(), found_at=broken, **options
        )
        assert float(there.gain) == -np.inf


def test_rotations_make_up_the_turn() -> None:
    assert [int(rotations(jnp.log(a), turn=2.0)) for a in (1.0, 0.5, 0.26)] == [2, 4, 8]
    assert int(rotations(jnp.log(1e-3), turn=2.0)) == 12


def test_draws_have_the_law_of_the_density() -> None:
    advance = rotation.program(log_density, lambda z, _: z, few=2)
    walkers = rotation.start((2, 2), chains=4, seed=1)
    walkers, near, _ = rotation.learn(advance, walkers, Near((), flat(2)), draws=100)
    assert any(np.any(np.asarray(part) != 0) for part in near.surrogate)
    walkers = settle(walkers)
    _, turns = rotation.run(advance, walkers, near, draws=DRAWS, adapt=False)
    z = turns.record.reshape(-1, 4)
    x = np.linspace(-6, 6, 4001)
    weight = np.exp(-0.5 * x**2 - BEND * x**4)
    weight /= weight.sum()
    precision = np.eye(3) + np.array([[TIE, -TIE, 0], [-TIE, TIE, 0], [0, 0, 0]])
    covariance = np.linalg.inv(precision)
    error = MONTE_CARLO / np.sqrt(len(z) / FOUR)
    second, fourth = weight @ x**2, weight @ x**4
    assert abs(np.mean(z[:, 0] ** 2) - second) < error * np.sqrt(fourth - second**2)
    assert abs(np.mean(z[:, 0] ** 4) - fourth) < error * np.sqrt(weight @ x**8 - fourth**2)
    found = np.cov(z[:, 1:].T)
    spread = np.sqrt(covariance**2 + np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.all(np.abs(found - covariance) < error * spread)
    assert not turns.diverging.any()
