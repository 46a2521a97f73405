"""The unit's block: its factor against the covariance written out, and the split of drift and effect."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hitlbayes.inference.blocks import BLOCKS, split_effect

SCALE, RHO = np.array([0.5, 0.2, 0.3]), np.array([0.4, -0.6])
ROUND_OFF = 1e-10  # double precision; the factor carries a floor of 1e-24 in a variance
SAMPLING = 0.02  # five standard errors of a moment from 200,000 draws


def test_the_did_factor_gives_the_covariances_of_both_arms():
    level, drift, effect = SCALE
    with jax.enable_x64(True):
        factor = np.asarray(BLOCKS["did"].factor(jnp.asarray(SCALE), jnp.asarray(RHO)))
    shared = drift * RHO[0] + effect * RHO[1]
    own = drift**2 * (1 - RHO[0] ** 2) + effect**2 * (1 - RHO[1] ** 2)
    control = [[level**2, level * drift * RHO[0]], [level * drift * RHO[0], drift**2]]
    treated = [[level**2, level * shared], [level * shared, shared**2 + own]]
    np.testing.assert_allclose(factor @ factor.transpose(0, 2, 1), [control, treated], rtol=ROUND_OFF)


def test_split_effects_have_the_effects_own_distribution():
    n, rng = 200_000, np.random.default_rng(3)
    with jax.enable_x64(True):
        factor = np.asarray(BLOCKS["did"].factor(jnp.asarray(SCALE), jnp.asarray(RHO)))[1]
        block = rng.normal(size=(n, 2)) @ factor.T
        own = np.asarray(split_effect(*map(jnp.asarray, (block, SCALE, RHO, rng.normal(size=n)))))
    assert own.std() == pytest.approx(SCALE[2], rel=SAMPLING)
    assert np.corrcoef(own, block[:, 0])[0, 1] == pytest.approx(RHO[1], abs=SAMPLING)
    assert np.corrcoef(block[:, 1] - own, block[:, 0])[0, 1] == pytest.approx(RHO[0], abs=SAMPLING)


def test_without_drift_the_whole_change_is_the_effect():
    block = np.random.default_rng(4).normal(size=(50, 2))
    with jax.enable_x64(True):
        scale, rho = jnp.array([0.5, 0.0, 0.3]), jnp.array([0.0, 0.2])
        own = split_effect(jnp.asarray(block), scale, rho, jnp.ones(50))
    np.testing.assert_allclose(own, block[:, 1], rtol=ROUND_OFF)
