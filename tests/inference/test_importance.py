"""The importance proposals' density is that of their draws: known targets get their known moments."""

from __future__ import annotations

import numpy as np
import pytest

from hitlbayes.inference.gaussian import Proposal, propose

FREE, SIZE = 8, 400_000
CLOSE = 0.003  # four standard errors: 8 SDs, each from some 300,000 effective draws, have .0013 / sqrt(8)


def test_weights_of_a_mixture_give_a_normal_target_its_spread():
    def density(points: np.ndarray) -> np.ndarray:
        return -0.5 * np.sum(points**2, axis=1)

    rng, proposal = np.random.default_rng(1), Proposal(np.zeros(FREE), np.eye(FREE), 20.0)
    points, log_ratio = propose(proposal, density, np.ones((1, FREE)), size=SIZE, rng=rng)
    weights = np.exp(log_ratio - log_ratio.max())
    spread = np.sqrt((weights / weights.sum()) @ points**2)
    assert spread.mean() == pytest.approx(1.0, abs=CLOSE)
