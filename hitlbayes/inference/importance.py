"""Importance sampling of a few parameters in rounds: better proposals in turn, all points weighed together.

A round's proposal has the weighted moments of all points so far. Points count by the mixture of all rounds'
proposals (deterministic mixture weights: Owen and Zhou 2000, doi:10.1080/01621459.2000.10473909; adaptive:
Cornuet, Marin, Mira and Robert 2012, doi:10.1111/j.1467-9469.2011.00756.x), so that a poor early round does
no harm and a good one is not thrown away. Rounds end when enough of the points are effective.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from hitlbayes.errors import FitError
from hitlbayes.inference import psis
from hitlbayes.inference.proposal import (
    Density,
    Proposal,
    laplace_proposal,
    log_density,
    match_moments,
    propose,
    tempered,
)
from hitlbayes.inference.runtime import Progress, silent

ROUNDS, MOST = 8, 8.0  # at most, and points for each effective one that is asked for
USUAL_SHARE = 0.7  # of the points from a matched proposal that are effective
FEWEST = 512


def pilot(
    density: Density, start: np.ndarray, signs: np.ndarray, *, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (size, f) around the mode near a start (f,), and weights (size,) fit to match moments by."""
    mode = laplace_proposal(density, start)
    points = propose(mode, signs, size=size, rng=rng)
    smoothed = psis.smooth(density(points) - log_density(points, mode, signs))
    return points, tempered(smoothed.log_weights, len(start))


def weigh(
    proposal: Proposal,
    density: Density,
    signs: np.ndarray,
    *,
    first: int,
    enough: float,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> tuple[np.ndarray, psis.Smoothed]:
    """Points (n, f) of a log density and their smoothed weights.

    Parameters
    ----------
    proposal : of the first round
    signs : (2^s, f) reflections that leave the density unchanged
    first : points of the first round
    enough : effective points that end the rounds, where k-hat is small too

    Raises
    ------
    FitError
        The weights are not finite, because the density has no bound.
    """
    points, values, log_q = np.zeros((0, signs.shape[1])), np.zeros(0), np.zeros((0, 0))
    proposals: list[Proposal] = []
    sizes: list[int] = []
    size = first
    for number in range(ROUNDS):
        progress("weighing draws", 0.3 + 0.05 * number)
        new = propose(proposal, signs, size=size, rng=rng)
        values = np.concatenate([values, density(new)])
        under = [log_density(new, old, signs) for old in proposals]
        log_q = np.concatenate([log_q, np.reshape(under, (len(proposals), size))], axis=1)
        points, proposals, sizes = np.concatenate([points, new]), [*proposals, proposal], [*sizes, size]
        log_q = np.concatenate([log_q, log_density(points, proposal, signs)[None]])
        share = np.array(sizes)[:, None] / len(points)
        weighed = psis.smooth(values - logsumexp(log_q, axis=0, b=share))
        if not np.isfinite(weighed.effective):
            raise FitError(
                "the posterior density of the scales has no bound: from the middle of the points tried to "
                f"the highest it rises by {np.max(values) - np.median(values):,.0f} log units. An outcome "
                "without noise within some arm and period makes it so: look at the outcome's spread there, "
                "and leave such periods out or fit a family that suits the outcome (family=)."
            )
        if (weighed.k_hat < psis.TRUSTED_K and weighed.effective >= enough) or len(points) > MOST * enough:
            break
        proposal = match_moments(points, tempered(weighed.log_weights, signs.shape[1]))
        missing = (enough - weighed.effective) / max(weighed.effective / len(points), USUAL_SHARE)
        size = int(np.clip(missing, FEWEST, 2.0 * enough + FEWEST))
    return points, weighed
