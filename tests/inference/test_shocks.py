"""Derivatives that are written out are those of the values beside them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from hitlbayes.inference.rows import anchored, counted, moved_rows
from hitlbayes.inference.shocks import Grid, Small, collect, finish
from hitlbayes.inference.sums import over_slots, over_units, total
from hitlbayes.spec.families import FAR, ordinal_statistics, row_loglik

T, N = 5, 7
CUT = np.array([-0.8, 0.1, 0.9])
STEP, TOLERANCE = 1e-5, 1e-6  # central differences of functions of order one in double precision
EXACT = 1e-11  # relative: double precision, sums of some hundred terms
FAMILIES = ["bernoulli", "ordinal", "count"]


def statistics(family: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    size = int(np.prod(shape))
    n = rng.integers(1, 9, size)
    if family == "ordinal":
        made = ordinal_statistics(rng.multinomial(n, np.full(4, 0.25)).astype(float))
    else:
        made = np.stack([n, rng.binomial(n, 0.4) if family == "bernoulli" else rng.poisson(2 * n)]).astype(
            float
        )
    return made.reshape(-1, *shape)


def problem(family: str, *, shocks: bool, shared: bool) -> tuple[Small, tuple, Grid]:
    rng = np.random.default_rng(3)
    rows = (2 * T * N,) if shared else (T, N)
    shock = np.repeat(np.arange(T * N), 2).astype(np.int32) if shared else np.zeros(0, np.int32)
    eta = 0.5 * rng.normal(size=rows)
    basis = np.stack([np.ones((T, N)), np.repeat((np.arange(T) > 2).astype(float)[:, None], N, axis=1)])
    at = anchored(family, jnp.asarray(eta), jnp.asarray(CUT))
    counts, above = counted(family, jnp.asarray(statistics(family, rows, rng)))
    inside = 0.3 * rng.normal(size=(T, N))
    grid = Grid(rng.gamma(2.0, size=(T, N)), basis, inside, counts, at, shock, above)
    cut_move = 0.1 * rng.normal(size=len(CUT)) if family == "ordinal" else np.zeros(0)
    unit = tuple(0.3 * rng.normal(size=(2, N)))
    z = rng.normal(size=(T if shocks else 0, N))
    small = Small(np.array(0.7), np.array(0.4), cut_move, unit)
    return jax.tree.map(jnp.asarray, (small, (0.2 * rng.normal(size=rows), rng.normal(size=(T, N)), z), grid))


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("shocks", [True, False], ids=["shocks", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_slopes_of_the_density_are_its_differences(family: str, shocks: bool, shared: bool) -> None:
    with jax.enable_x64(True):
        small, large, grid = problem(family, shocks=shocks, shared=shared)

        def value(small: Small, *large: jax.Array) -> jax.Array:
            return finish(family, small, *large, grid)

        check_grads(value, (small, *large), order=1, modes=["rev"], eps=STEP, atol=TOLERANCE, rtol=TOLERANCE)


def test_slopes_of_collected_sums_are_their_differences() -> None:
    with jax.enable_x64(True):
        _, (_, ell, _), grid = problem("bernoulli", shocks=True, shared=False)
        check_grads(
            lambda tau, ell: collect(tau, ell, grid.Q, grid.basis),
            (jnp.asarray(0.7), ell),
            order=1,
            modes=["rev"],
            eps=STEP,
            atol=TOLERANCE,
            rtol=TOLERANCE,
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_moved_rows_gain_what_their_likelihood_gains(family: str) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        stats, eta, delta = statistics(family, (T, N), rng), rng.normal(size=(T, N)), rng.normal(size=(T, N))
        cut = jnp.asarray(CUT if family == "ordinal" else np.zeros(0))
        move, over = jnp.asarray([0.2, 0.1, -0.3])[: len(cut)], jnp.asarray(0.4)
        at, (counts, above) = anchored(family, jnp.asarray(eta), cut), counted(family, jnp.asarray(stats))

        def value(delta: np.ndarray, move: jax.Array) -> float:
            return float(moved_rows(family, jnp.asarray(delta), counts, at, move, over, above).value)

        gained = value(delta, move) - value(0 * delta, 0 * move)
        expected = row_loglik(family, eta + delta, stats, cut + move, over) - row_loglik(
            family, eta, stats, cut, over
        )
        assert gained == pytest.approx(float(expected), rel=EXACT)


@pytest.mark.parametrize("far", [60.0, 100.0])
def test_certain_outcomes_gain_nothing_however_far_they_are(far: float) -> None:
    with jax.enable_x64(True):
        stats, one = jnp.ones((2, 1)), jnp.ones(1)  # the upper outcome, seen once
        cut, none = jnp.zeros(1), jnp.zeros(())
        at = anchored("ordinal", jnp.zeros(1), cut)
        counts, above = counted("ordinal", stats)
        moved = moved_rows("ordinal", far * one, counts, at, jnp.zeros(1), none, above)
        assert float(moved.value) == pytest.approx(np.log(2.0), rel=EXACT)
        assert float(row_loglik("ordinal", far * one, stats, cut, none)) == pytest.approx(0.0, abs=EXACT)
        below = row_loglik("ordinal", -far * one, stats, cut, none)
        assert float(below) <= -min(far, FAR) * (1 - EXACT)


@pytest.mark.parametrize(
    "shape", [(), (0,), (0, 5), (1,), (31,), (96,), (97,), (9000,), (40, 672), (3, 33, 5), (2, 31, 5000)]
)
def test_totals_are_sums(shape: tuple[int, ...]) -> None:
    with jax.enable_x64(True):
        x = np.random.default_rng(1).normal(size=shape)
        assert float(total(jnp.asarray(x))) == pytest.approx(x.sum(), rel=EXACT, abs=EXACT)
        for function, axis in ((over_slots, 0), (over_units, -1)) if x.ndim else ():
            np.testing.assert_allclose(function(jnp.asarray(x)), x.sum(axis=axis), rtol=EXACT, atol=EXACT)
