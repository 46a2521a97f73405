"""Pareto smoothing against importance ratios whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.inference.psis import TRUSTED_K, fit_pareto, resample, smooth

SHAPE_ERROR = 0.1  # three standard errors of a Pareto shape from 4,000 excesses, prior pull included
SHARE_ERROR = 0.002  # systematic resampling of 20,000 is within 1/20,000 a draw of the weights


@pytest.mark.parametrize("shape", [0.1, 0.4, 0.8])
def test_the_shape_of_a_known_pareto_is_found(shape):
    u = (np.arange(4000) + 0.5) / 4000
    excess = np.sort(np.expm1(-shape * np.log1p(-u)) / shape)
    assert fit_pareto(excess)[0] == pytest.approx(shape, abs=SHAPE_ERROR)


def test_equal_ratios_keep_every_draw():
    smoothed = smooth(np.zeros(1000))
    assert smoothed.effective == pytest.approx(1000)
    assert smoothed.k_hat < TRUSTED_K


def test_a_proposal_that_is_far_too_narrow_is_not_trusted():
    z = np.random.default_rng(1).normal(size=4000) * 0.4
    assert smooth(-(z**2) / 2 + (z / 0.4) ** 2 / 2).k_hat > TRUSTED_K


def test_resampling_follows_the_weights():
    weights = np.array([0.5, 0.3, 0.2, 0.0])
    with np.errstate(divide="ignore"):
        index = resample(np.log(weights), 20_000, rng=np.random.default_rng(2))
    assert np.bincount(index, minlength=4) / 20_000 == pytest.approx(weights, abs=SHARE_ERROR)
