"""The importance proposals' density is that of their draws: known targets get their known moments."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.errors import FitError
from hitlbayes.inference.importance import weigh
from hitlbayes.inference.proposal import HALVINGS, Proposal, laplace_proposal, log_density, propose
from hitlbayes.inference.psis import TRUSTED_K

FREE, SIZE = 8, 400_000
CLOSE = 0.003  # four standard errors: 8 SDs, each from some 300,000 effective draws, have .0013 / sqrt(8)
EXACT = 1e-8  # differences of a quadratic, to rounding over squared steps
TRIALS = 1 + 2 * len(HALVINGS)  # points of a search along two ways
NEAR_MODE = 0.3  # of an SD of one half; the search ends where a tenth of a log unit is left to gain


def test_weights_of_a_mixture_give_a_normal_target_its_spread():
    def density(points: np.ndarray) -> np.ndarray:
        return -0.5 * np.sum(points**2, axis=1)

    rng, proposal = np.random.default_rng(1), Proposal(np.zeros(FREE), np.eye(FREE), 20.0)
    signs = np.ones((1, FREE))
    points = propose(proposal, signs, size=SIZE, rng=rng)
    log_ratio = density(points) - log_density(points, proposal, signs)
    weights = np.exp(log_ratio - log_ratio.max())
    spread = np.sqrt((weights / weights.sum()) @ points**2)
    assert spread.mean() == pytest.approx(1.0, abs=CLOSE)


def test_search_for_the_mode_goes_on_where_one_step_gains_nothing() -> None:
    """Far out a Cauchy density curves upwards, and Newton's step there leads further out."""

    def density(points: np.ndarray) -> np.ndarray:
        return -2.0 * np.log1p((points[:, 0] - 3.0) ** 2) - 50.0 * (points[:, 1] - points[:, 0]) ** 2

    found = laplace_proposal(density, np.array([9.0, -4.0]))
    np.testing.assert_allclose(found.centre, [3.0, 3.0], atol=NEAR_MODE)


def test_search_for_the_mode_measures_correlations_at_its_ends_alone() -> None:
    """On a normal density Newton's first step arrives; the curvature is the precision."""
    root, asked = np.linalg.cholesky(0.05 * np.eye(FREE) + 0.05), []

    def density(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return -0.5 * np.sum(np.linalg.solve(root, (points - 0.9).T) ** 2, axis=0)

    found = laplace_proposal(density, np.zeros(FREE))
    whole, axes = 1 + 2 * FREE + FREE * (FREE - 1), 1 + 2 * FREE
    assert [n for n in asked if n != TRIALS] == [whole, axes, whole]
    np.testing.assert_allclose(found.centre, 0.9, atol=EXACT)
    np.testing.assert_allclose(found.root @ found.root.T, root @ root.T, atol=EXACT)


def test_rounds_recover_a_target_from_a_poor_start_and_end_when_enough_points_count() -> None:
    """A normal target far from the first proposal: moments within four Monte Carlo errors."""
    rng, root = np.random.default_rng(6), np.linalg.cholesky(0.5 * np.eye(FREE) + 0.5)

    def density(points: np.ndarray) -> np.ndarray:
        return -0.5 * np.sum(np.linalg.solve(root, (points - 2.0).T) ** 2, axis=0)

    start, signs = Proposal(np.zeros(FREE), 1.5 * np.eye(FREE), 20.0), np.ones((1, FREE))
    points, weighed = weigh(start, density, signs, first=1024, enough=3000.0, rng=rng)
    weights = np.exp(weighed.log_weights)
    assert weighed.effective >= 3000
    assert weighed.k_hat < TRUSTED_K
    mean = weights @ points
    covariance = (weights[:, None] * (points - mean)).T @ (points - mean)
    assert np.abs(mean - 2.0).max() < 4.0 / np.sqrt(weighed.effective) * np.sqrt(np.diag(covariance)).max()
    np.testing.assert_allclose(covariance, root @ root.T, atol=4.0 * np.sqrt(2.0 / weighed.effective))


def test_a_density_without_bound_is_refused() -> None:
    """Of a residual SD that may go to zero: every point nearer to it is worth far more than all others."""

    def density(points: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(-8.0 * points[:, 0], 600.0)) - 0.5 * np.sum(points**2, axis=1)

    start, signs = Proposal(np.zeros(FREE), np.eye(FREE), 20.0), np.ones((1, FREE))
    with pytest.raises(FitError, match=r"has no bound.*without noise.*leave such periods out"):
        weigh(start, density, signs, first=1024, enough=3000.0, rng=np.random.default_rng(2))
