"""Coordinates of hyperparameters: one prior in all of them, and pilot draws carried over exactly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.hyper import hyper_logprior, natural
from hitlbayes.inference.problem import Beliefs, Layout
from hitlbayes.inference.rebend import rebend, stretch

ROUND_OFF = 1e-9  # double precision through sinh, its inverse and a determinant
SPREAD = 0.05  # five standard errors of a standard deviation from 4,000 draws
CONDITIONAL = 0.15  # likewise from some hundreds

LAYOUT = Layout("gaussian", "did", 2, 0, (3,), (True,), 4, 4, 3, True, 2)


def beliefs(*, held: dict[int, float] | None = None) -> Beliefs:
    fixed = np.full(LAYOUT.n_hyper, np.nan)
    fixed[list(held or {})] = list((held or {}).values())
    return Beliefs(
        np.zeros(2), np.ones(2), np.linspace(0.5, 1.5, LAYOUT.n_scales), np.array(2.0), np.full(2, 0.8),
        np.ones(1), fixed, np.full(LAYOUT.n_scales, 0.1), np.zeros(2), np.zeros(2), np.zeros(()),
    )  # fmt: skip


def pilot(*, seed: int = 1, size: int = 4000) -> np.ndarray:
    """Draws whose third scale straddles zero; correlations are as sure as their scales are large."""
    rng = np.random.default_rng(seed)
    scale = rng.normal([0.5, 0.2, 0.1, 0.05, 0.3], [0.02, 0.03, 0.06, 0.01, 0.02], (size, 5))
    known = 4.0 + (scale[:, 1:3] / 0.05) ** 2
    atanh = scale[:, 1:3] * 0.04 / 0.05**2 / known + rng.normal(size=(size, 2)) / np.sqrt(known)
    return np.column_stack([np.arcsinh(scale / 0.1), atanh * 2.0, rng.normal(-1, 0.1, (size, 2))])


def rebent(psi: np.ndarray, given: Beliefs) -> tuple[np.ndarray, Beliefs]:
    with jax.enable_x64(True):  # as the samplers call it
        return rebend(psi, np.full(len(psi), 1 / len(psi)), given, layout=LAYOUT)


def flat(psi: jax.Array, given: Beliefs) -> jax.Array:
    scale, atanh, log_sigma, _ = natural(psi, LAYOUT, given)
    return jnp.concatenate([scale, atanh, log_sigma])


@pytest.mark.parametrize("held", [{}, {2: 0.0, 6: 0.0}], ids=["all free", "effect held at zero"])
def test_draws_keep_their_values_in_new_coordinates(held):
    before = beliefs(held=held)
    psi = pilot()
    moved, after = rebent(psi, before)
    after = Beliefs(*map(np.asarray, after))
    for old, new in zip(
        natural(psi, LAYOUT, before, xp=np)[:3], natural(moved, LAYOUT, after, xp=np)[:3], strict=True
    ):
        np.testing.assert_allclose(new, old, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_the_prior_is_the_same_density_in_both_coordinates():
    before, psi = beliefs(), pilot()
    moved, after = rebent(psi, before)
    with jax.enable_x64(True):
        before, after = (Beliefs(*map(jnp.asarray, b)) for b in (before, after))

        def log_density(x: np.ndarray, given: Beliefs) -> float:
            slope = jnp.linalg.slogdet(jax.jacobian(flat)(jnp.asarray(x), given))[1]
            return float(hyper_logprior(jnp.asarray(x), LAYOUT, given) - slope)

        apart = [log_density(psi[i], before) - log_density(moved[i], after) for i in range(20)]
    np.testing.assert_allclose(apart, apart[0], atol=ROUND_OFF)


def test_turning_a_scale_and_its_correlations_changes_no_density_and_no_covariance():
    psi = pilot()
    moved, after = rebent(psi, beliefs())
    with jax.enable_x64(True):
        after = Beliefs(*map(jnp.asarray, after))
        for turned in ([2, 6], [0, 5, 6]):  # the effect's scale; the level's
            signs = np.ones(LAYOUT.n_hyper)
            signs[turned] = -1.0
            for x in moved[:5]:
                value, other = (float(hyper_logprior(jnp.asarray(p), LAYOUT, after)) for p in (x, signs * x))
                assert other == pytest.approx(value, rel=ROUND_OFF)
                np.testing.assert_allclose(
                    flat(jnp.asarray(signs * x), after), signs * flat(jnp.asarray(x), after), rtol=ROUND_OFF
                )


def test_correlations_known_as_their_scale_is_large_become_standard_normal():
    psi = pilot()
    moved, _ = rebent(psi, beliefs())
    given_small, given_large = (moved[mask, 6] for mask in (np.abs(psi[:, 2]) < 0.4, np.abs(psi[:, 2]) > 1.5))
    assert np.std(given_small) == pytest.approx(np.std(given_large), rel=CONDITIONAL)
    assert np.std(moved[:, 6]) == pytest.approx(1.0, abs=SPREAD)


def test_stretch_is_the_derivative_of_the_new_coordinates():
    before, psi = beliefs(), pilot()
    _, after = rebent(psi, before)
    centre = psi.mean(axis=0)
    with jax.enable_x64(True):
        before, after = (Beliefs(*map(jnp.asarray, b)) for b in (before, after))
        old = np.diag(jax.jacobian(flat)(jnp.asarray(centre), before))
        scale, atanh, log_sigma, _ = natural(centre, LAYOUT, Beliefs(*map(np.asarray, before)), xp=np)
        target = np.concatenate([scale, atanh, log_sigma])
        x = centre.copy()
        for _ in range(50):  # the same point in the new coordinates, by Newton steps
            x = x + np.linalg.solve(
                np.asarray(jax.jacobian(flat)(jnp.asarray(x), after)),
                target - np.asarray(flat(jnp.asarray(x), after)),
            )
        new = np.diag(jax.jacobian(flat)(jnp.asarray(x), after))
    np.testing.assert_allclose(stretch(psi, before, after, layout=LAYOUT), old / new, rtol=ROUND_OFF)
