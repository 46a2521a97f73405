"""Competing hazards from conditional ones, and what they come to over rounds.

Where K ways of ending compete in a round, any law of the round factorises into K yes-or-no questions asked
in turn: does it end in the first way; if not, in the second; and so on. With conditional probabilities p_k,

    hazard_k = p_k (1 - p_1) ... (1 - p_{k-1}),    P(going on) = (1 - p_1) ... (1 - p_K),

so that the log likelihood of a round is the sum of the Bernoulli log likelihoods of the questions asked in it
(the sequential logit; Tutz and Schmid 2016, chapter 8, doi:10.1007/978-3-319-28158-2).
"""

from __future__ import annotations

import numpy as np


def competing(conditional: np.ndarray) -> np.ndarray:
    """Hazards (..., K) of ways of ending from their conditional probabilities (..., K), in their order.

    Examples
    --------
    >>> competing(np.array([0.5, 0.5, 1.0])).tolist()
    [0.5, 0.25, 0.25]
    """
    before = np.cumprod(1.0 - conditional, axis=-1)
    before = np.concatenate([np.ones_like(before[..., :1]), before[..., :-1]], axis=-1)
    return conditional * before


def incidence(hazard: np.ndarray) -> np.ndarray:
    """Probability of having ended in each way by each round (..., T, K), from hazards by round (..., T, K).

    Examples
    --------
    >>> incidence(np.array([[0.5, 0.0], [0.5, 0.5]])).tolist()
    [[0.5, 0.0], [0.75, 0.25]]
    """
    going = np.cumprod(1.0 - hazard.sum(axis=-1), axis=-1)
    before = np.concatenate([np.ones_like(going[..., :1]), going[..., :-1]], axis=-1)
    return np.cumsum(hazard * before[..., None], axis=-2)
