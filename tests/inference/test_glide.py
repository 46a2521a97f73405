"""Motion between walls: exact, reversible, volume-preserving, and with the posterior's half for its law."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitlbayes.inference.glide import Few, Walls, glide, meeting, rebound
from hitlbayes.inference.surrogate import Surrogate, fitted, flat, slope_at
from hitlbayes.inference.trajectory import lobatto

ROUND_OFF = 1e-9  # double precision through a dozen rotations
MONTE_CARLO = 5.0  # standard errors
WALLS = ([[1.0, 0.0], [0.6, 0.8]], [-0.5, -1.0])


def walls() -> Walls:
    return Walls(*map(jnp.asarray, WALLS))


def surrogate() -> Surrogate:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((200, 2))
    return fitted(z, -0.5 * z**3 + 0.3 * z[:, ::-1])


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def glided(
    z: jax.Array, p: jax.Array, angle: float, *, walls: Walls, surrogate: Surrogate
) -> tuple[jax.Array, jax.Array]:
    at = Few(z, p, slope_at(surrogate, z))
    return glide(at, jnp.asarray(angle), walls=walls, surrogate=surrogate)[:2]


def inside(z: np.ndarray, *, by: float = -ROUND_OFF) -> bool:
    return bool(np.all(np.asarray(walls().normal) @ z >= np.asarray(walls().offset) + by))


def test_who_stands_on_a_wall_or_by_rounding_behind_it_does_not_go_through():
    for behind in (0.0, 1e-12):
        z, _ = rebound(jnp.array([-0.5 - behind, 0.0]), jnp.array([-1.0, 0.0]), jnp.asarray(0.5), walls())
        assert inside(np.asarray(z), by=0.1)


def test_a_wall_is_met_where_a_circle_crosses_it():
    one = Walls(jnp.array([[1.0, 0.0]]), jnp.array([-0.5]))
    # From (1, 0) with momentum 0 the first coordinate is cos t: -1/2 at two thirds of a half-turn.
    np.testing.assert_allclose(meeting(jnp.array([1.0, 0.0]), jnp.zeros(2), one), [2 * np.pi / 3])
    assert np.isinf(meeting(jnp.array([0.4, 0.0]), jnp.zeros(2), one)).all()
    z, p = rebound(jnp.array([1.0, 0.0]), jnp.zeros(2), jnp.asarray(np.pi), one)
    # Thrown back there with its speed, it has come up again as far as it would have gone down.
    np.testing.assert_allclose(z[0], np.cos(np.pi / 3), rtol=ROUND_OFF)
    np.testing.assert_allclose(p[0], np.sin(np.pi / 3), rtol=ROUND_OFF)


numbers = st.floats(-2.0, 2.0)


@settings(max_examples=50, deadline=None)
@given(z=st.tuples(numbers, numbers), p=st.tuples(numbers, numbers), angle=st.floats(0.01, 3.0))
def test_a_way_can_be_gone_back(z, p, angle):
    with jax.enable_x64(True):
        # On a wall itself the way back ends before the wall is met, as its last point.
        if not inside(np.array(z), by=0.01):
            return
        go = partial(glided, angle=angle, walls=walls(), surrogate=surrogate())
        there, momentum = go(jnp.asarray(z), jnp.asarray(p))
        assert inside(np.asarray(there))
        back, turned = go(there, -momentum)
    np.testing.assert_allclose(back, z, atol=1e3 * ROUND_OFF)  # a wall met at a flat angle loses digits
    np.testing.assert_allclose(-turned, p, atol=1e3 * ROUND_OFF)


def test_volume_is_kept_through_walls():
    def flow(state: jax.Array) -> jax.Array:
        return jnp.concatenate(glided(state[:2], state[2:], 2.0, walls=walls(), surrogate=surrogate()))

    for start in ([0.3, 0.2, -1.0, -1.5], [0.0, -0.4, -1.2, 0.3], [-0.4, 0.1, 0.8, -2.0]):
        # Differences, for loops of unknown length have no forward derivative that is worth its compilation.
        h = 1e-6
        J = np.stack(
            [
                (flow(jnp.asarray(start) + h * e) - flow(jnp.asarray(start) - h * e)) / (2 * h)
                for e in np.eye(4)
            ],
            axis=1,
        )
        np.testing.assert_allclose(abs(np.linalg.det(J)), 1.0, rtol=1e-5)  # of the differences


def test_between_walls_the_law_is_the_normal_cut_off():
    """New momenta and exact rotations alone sample a standard normal on the half-spaces."""
    move = jax.jit(lambda z, p: rebound(z, p, jnp.asarray(1.3), walls())[0])
    rng, z, seen = np.random.default_rng(3), jnp.zeros(2), []
    for p in rng.standard_normal((4000, 2)):
        z = move(z, jnp.asarray(p))
        seen.append(np.asarray(z))
    drawn = rng.standard_normal((200_000, 2))
    wanted = drawn[np.all(drawn @ np.array(WALLS[0]).T >= np.array(WALLS[1]), axis=1)]
    error = wanted.std(axis=0) / np.sqrt(len(seen) / 4)  # successive draws are not independent
    assert (np.abs(np.mean(seen, axis=0) - wanted.mean(axis=0)) < MONTE_CARLO * error).all()
    assert all(map(inside, seen))


def test_without_walls_or_surrogate_it_is_a_rotation():
    none = Walls(jnp.eye(2), jnp.full(2, -jnp.inf))
    z, p = glided(jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0]), 0.7, walls=none, surrogate=flat(2))
    np.testing.assert_allclose(z, [np.cos(0.7), 2.0 * np.sin(0.7)], rtol=ROUND_OFF)
    np.testing.assert_allclose(p, [-np.sin(0.7), 2.0 * np.cos(0.7)], rtol=ROUND_OFF)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
def test_kicks_are_a_quadrature_of_the_highest_degree(n):
    gaps, weights = lobatto(n)
    nodes = np.concatenate([[0.0], np.cumsum(gaps)])
    for degree in range(2 * n):
        np.testing.assert_allclose(weights @ nodes**degree, 1.0 / (degree + 1), rtol=ROUND_OFF)
