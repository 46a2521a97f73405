"""Expected measures of the joint model of effort against sums over all values."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import nbinom

from hitlbayes.fitting.factor_effects import expected_share, short_of
from hitlbayes.inference.runtime import session

QUADRATURE = 2e-4  # sixteen Gauss-Legendre nodes
MOST = 4000  # rounds; what is beyond has no probability here


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("over", [0.0, 0.3, 1.2])
def test_share_of_rounds_is_its_sum_over_all_counts(over: float, truncated: bool) -> None:
    mean, before = np.array([0.7, 3.0, 12.0, 6.0]), np.array([1, 4, 9, 30])
    with session():
        found = expected_share(jnp.log(mean), jnp.asarray(over), short_of(before), truncated=truncated)
    excess = over**2 + 1e-8
    h = np.arange(int(truncated), MOST)
    for i, (m, a) in enumerate(zip(mean, before, strict=True)):
        p = nbinom(1 / excess, 1 / (1 + m * excess)).pmf(h)
        assert float(found[i]) == pytest.approx(np.sum(p * h / (h + a)) / p.sum(), abs=QUADRATURE)
