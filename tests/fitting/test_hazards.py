"""Competing hazards: the factorisation into questions asked in turn, and what it comes to over rounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hitlbayes.fitting.hazards import competing, incidence

DIGITS = 1e-12  # sums and products of a handful of numbers in double precision


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6))
def test_questions_asked_in_turn_have_the_likelihood_of_the_multinomial(seed: int, ways: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.01, 0.99, ways)
    hazard = competing(p)
    n = rng.integers(0, 50, ways + 1)  # rounds that ended in each way, and that went on
    multinomial = n @ np.log(np.append(hazard, 1 - hazard.sum()))
    asked = n[::-1].cumsum()[::-1]  # of question k: all that no earlier one ended
    questions = sum(n[k] * np.log(p[k]) + (asked[k] - n[k]) * np.log1p(-p[k]) for k in range(ways))
    assert abs(multinomial - questions) < DIGITS * max(abs(questions), 1.0) * 100


def test_incidence_is_that_of_rounds_played_one_by_one() -> None:
    rng = np.random.default_rng(1)
    hazard = rng.dirichlet(np.ones(4), size=7)[:, :3]
    going, ended = 1.0, np.zeros(3)
    for t, h in enumerate(hazard):
        ended = ended + going * h
        going *= 1 - h.sum()
        np.testing.assert_allclose(incidence(hazard)[t], ended, atol=DIGITS)
    assert abs(incidence(hazard)[-1].sum() + going - 1) < DIGITS
