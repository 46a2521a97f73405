"""Pair effects: the sums and eliminations against one dense normal density of all rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hitlbayes.fitting.pairs import Scales, draw_outer, solve, sum_pairs

DIGITS = 1e-8  # relative; two double-precision factorisations of some sixty rows


def rows(seed: int):
    """Two types; most treated rows have a control, some of each have none."""
    rng = np.random.default_rng(seed)
    kind = np.r_[np.zeros(12, int), np.ones(8, int), np.full(18, 2)]
    pair = np.r_[np.arange(20), np.arange(2, 18), 20, 21]  # treated 0, 1, 18, 19 and the last two are alone
    worker = np.r_[rng.integers(0, 4, 20), rng.integers(4, 8, 18)]
    X = np.column_stack([np.ones(38), kind < 2, rng.normal(size=38)]).astype(float)
    return rng.normal(size=38), X, kind, worker, pair


def dense(y, X, kind, worker, pair, scales: Scales) -> tuple[np.ndarray, float]:
    """Covariance of all rows given b integrated out, and the log density."""
    same = lambda a: (a[:, None] == a[None, :]).astype(float)  # noqa: E731
    V = np.diag(np.asarray(scales.sigma)[kind] ** 2) + scales.pair**2 * same(pair)
    V += scales.worker**2 * same(worker) + scales.response**2 * same(worker * 3 + kind)
    V += (X * scales.prior**2) @ X.T
    return V, float(multivariate_normal(np.zeros(len(y)), V).logpdf(y))


@pytest.mark.parametrize("seed", range(6))
def test_marginal_is_the_dense_normal_density_up_to_a_constant(seed: int) -> None:
    y, X, kind, worker, pair = rows(1)
    data = sum_pairs(y, X, kind=kind, worker=worker, pair=pair, kinds=2)
    rng = np.random.default_rng(seed)
    points = [
        Scales(*rng.uniform(0.05, 1.5, 3), sigma=rng.uniform(0.3, 2.0, 3), prior=rng.uniform(0.5, 3.0, 3))
        for _ in range(4)
    ]
    exact = np.array([dense(y, X, kind, worker, pair, s)[1] for s in points])
    found = np.array([solve(data, s).value for s in points])
    assert np.ptp(exact) > 1  # the points differ, so that a constant difference says something
    assert np.ptp(found - exact) < DIGITS * np.abs(exact).max()


def test_outer_effects_have_their_conditional_mean_and_covariance() -> None:
    y, X, kind, worker, pair = rows(2)
    data = sum_pairs(y, X, kind=kind, worker=worker, pair=pair, kinds=2)
    scales = Scales(0.7, 0.5, 0.4, np.array([0.8, 1.1, 0.9]), np.array([2.0, 1.0, 1.5]))
    V, _ = dense(y, X, kind, worker, pair, scales)
    cov = X * scales.prior**2
    gain = cov.T @ np.linalg.inv(V)
    solved = solve(data, scales)
    np.testing.assert_allclose(solved.mean, gain @ y, rtol=DIGITS, atol=DIGITS)
    expected = np.diag(scales.prior**2) - gain @ cov
    found = np.linalg.inv(solved.low @ solved.low.T)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
    drawn = np.array([draw_outer(solved, rng=np.random.default_rng(k)) for k in range(4000)])
    z = (drawn.mean(axis=0) - gain @ y) / np.sqrt(np.diag(expected) / 4000)
    assert np.abs(z).max() < 4.5  # standard errors that a right answer exceeds once in 150,000 tries


def test_no_pair_effects_are_independent_rows() -> None:
    y, X, kind, worker, pair = rows(3)
    held = {"sigma": np.array([0.8, 1.1, 0.9]), "prior": np.ones(3)}
    one, two = (sum_pairs(y, X, kind=kind, worker=worker, pair=p, kinds=2) for p in (pair, np.arange(len(y))))
    values = [solve(d, Scales(0.0, 0.5, 0.4, **held)).value for d in (one, two)]
    assert values[0] == pytest.approx(values[1], rel=DIGITS)
