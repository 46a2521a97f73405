"""The normal hierarchy against a known example, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from hitlbayes.errors import FitError
from hitlbayes.published.shrinkage import covariance, draw_hierarchy, moments, normal_hierarchy

# Rubin (1981): coaching effects in eight schools
SCHOOLS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOLS_SE = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

QUADRATURE = 1e-4  # relative to the SE: grid of 2,001 cells against one of 40,001
MONTE_CARLO = 5.0  # standard errors of a mean of independent draws; 1e-6 a comparison


def brute_force(y: np.ndarray, se: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and SDs by the textbook's scalar formulas on a fine uniform grid of tau."""
    tau = np.linspace(1e-6, 6 * scale, 40_001)[:, None]
    v = se**2 + tau**2
    v_mu = 1 / (1 / v).sum(1)
    mu = v_mu * (y / v).sum(1)
    logp = (
        0.5 * np.log(v_mu)
        - 0.5 * np.log(v).sum(1)
        - 0.5 * ((y - mu[:, None]) ** 2 / v).sum(1)
        - 0.5 * (tau[:, 0] / scale) ** 2
    )
    p = np.exp(logp - logp.max())
    p /= trapezoid(p, tau[:, 0])
    pull = se**2 / v
    mean = pull * mu[:, None] + (1 - pull) * y
    var = (1 - pull) * se**2 + pull**2 * v_mu[:, None]
    first = trapezoid(p[:, None] * mean, tau[:, 0], axis=0)
    second = trapezoid(p[:, None] * (var + mean**2), tau[:, 0], axis=0)
    return first, np.sqrt(second - first**2)


@pytest.mark.parametrize("scale", [2.0, 10.0, 50.0])
def test_eight_schools_equal_brute_force(scale: float) -> None:
    mean, cov = moments(normal_hierarchy(SCHOOLS, cov=covariance(SCHOOLS_SE), tau_scale=scale))
    want_mean, want_sd = brute_force(SCHOOLS, SCHOOLS_SE, scale)
    assert np.abs((mean - want_mean) / SCHOOLS_SE).max() < QUADRATURE
    assert np.abs((np.sqrt(np.diag(cov)) - want_sd) / SCHOOLS_SE).max() < QUADRATURE


def test_draws_have_the_moments_of_the_quadrature() -> None:
    fit = normal_hierarchy(SCHOOLS, cov=covariance(SCHOOLS_SE, 0.3), tau_scale=10.0)
    n = 40_000
    theta, _, tau = draw_hierarchy(fit, draws=n, rng=np.random.default_rng(1))
    mean, cov = moments(fit)
    sd = np.sqrt(np.diag(cov))
    assert (np.abs(theta.mean(0) - mean) < MONTE_CARLO * sd / np.sqrt(n)).all()
    assert np.corrcoef(theta.T) == pytest.approx(cov / np.outer(sd, sd), abs=MONTE_CARLO / np.sqrt(n))
    assert tau.mean() == pytest.approx(fit.weight @ fit.tau, abs=MONTE_CARLO * tau.std() / np.sqrt(n))


def test_no_room_between_groups_gives_the_weighted_mean() -> None:
    mean, cov = moments(normal_hierarchy(SCHOOLS, cov=covariance(SCHOOLS_SE), tau_scale=1e-4))
    weight = SCHOOLS_SE**-2 / (SCHOOLS_SE**-2).sum()
    assert mean == pytest.approx(np.full(8, weight @ SCHOOLS), abs=1e-4)  # tau is not quite zero
    assert np.sqrt(np.diag(cov)) == pytest.approx(np.full(8, (SCHOOLS_SE**-2).sum() ** -0.5), abs=1e-4)


def test_all_room_between_groups_gives_the_estimates_back() -> None:
    far = np.array([0.0, 1e4, -2e4, 3e4])
    mean, cov = moments(normal_hierarchy(far, cov=np.eye(4), tau_scale=1e4))
    assert mean == pytest.approx(far, abs=1e-2)  # pull is (se / tau)^2 of 1e4
    assert np.diag(cov) == pytest.approx(np.ones(4), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    y=st.lists(st.floats(-3, 3), min_size=2, max_size=6),
    shift=st.floats(-100, 100),
    scale=st.floats(0.05, 20),
    rho=st.floats(0, 0.9),
)
def test_shifting_and_ordering_carry_through(y: list[float], shift: float, scale: float, rho: float) -> None:
    est = np.array(y)
    se = np.linspace(0.3, 1.2, len(y))
    cov = covariance(se, rho)
    mean, spread = moments(normal_hierarchy(est, cov=cov, tau_scale=scale))
    moved, same = moments(normal_hierarchy(est + shift, cov=cov, tau_scale=scale))
    assert moved == pytest.approx(mean + shift, abs=1e-7)  # rounding of values near 100
    assert same == pytest.approx(spread, abs=1e-7)
    back, _ = moments(normal_hierarchy(est[::-1], cov=cov[::-1, ::-1], tau_scale=scale))
    assert back[::-1] == pytest.approx(mean, abs=1e-9)
    assert (np.linalg.eigvalsh(spread) > 0).all()


@pytest.mark.parametrize(
    ("estimate", "scale", "message"),
    [([1.0], 1.0, "at least two"), ([1.0, 2.0], 0.0, "positive"), ([1.0, 2.0], np.inf, "finite")],
)
def test_impossible_hierarchies_are_refused(estimate: list[float], scale: float, message: str) -> None:
    with pytest.raises(FitError, match=message):
        normal_hierarchy(np.array(estimate), cov=np.eye(len(estimate)), tau_scale=scale)


def test_impossible_correlations_are_refused() -> None:
    with pytest.raises(FitError, match=r"-0\.333"):
        covariance(np.ones(4), -0.5)
