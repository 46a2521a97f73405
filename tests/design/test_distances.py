"""Differences between two groups: literal values by hand, identities, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from hitlbayes.design.distances import ecdf_distance, standardized_difference, variance_ratio
from hitlbayes.errors import SchemaError, SpecError

EXACT = 1e-12  # the same sums in another order
X = np.array([1.0, 2.0, 3.0, 6.0, 2.0, 4.0, 9.0])
ARM = np.array([0, 0, 0, 0, 1, 1, 1])


def test_literal_values() -> None:
    # Means 5 and 3; variances 13 and 14/3 by hand.
    assert standardized_difference(X, ARM) == pytest.approx(2 / np.sqrt(13), abs=EXACT)
    assert standardized_difference(X, ARM, spread="control") == pytest.approx(2 / np.sqrt(14 / 3), abs=EXACT)
    pooled = np.sqrt((13 + 14 / 3) / 2)
    assert standardized_difference(X, ARM, spread="pooled") == pytest.approx(2 / pooled, abs=EXACT)
    assert standardized_difference(X, ARM, spread=4.0) == pytest.approx(0.5, abs=EXACT)
    assert variance_ratio(X, ARM) == pytest.approx(13 / (14 / 3), abs=EXACT)
    # Gaps after 1, 2, 3, 4, 6, 9: 1/4, 1/6, 5/12, 1/12, 1/3, 0.
    assert ecdf_distance(X, ARM) == pytest.approx((1.25 / 6, 5 / 12), abs=EXACT)


def test_share_of_a_binary_variable() -> None:
    x, arm = [1, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]
    assert standardized_difference(x, arm) == pytest.approx(0.25 / 0.5, abs=EXACT)  # root of .5 x .5
    assert np.isnan(variance_ratio(x, arm))
    assert ecdf_distance(x, arm) == pytest.approx((0.25, 0.25), abs=EXACT)


def test_a_match_changes_the_means_and_not_the_spread() -> None:
    weights = np.array([0, 1, 1, 1, 1, 1, 1.0])
    matched = standardized_difference(X, ARM, weights=weights)
    assert matched == pytest.approx((5 - 11 / 3) / np.sqrt(13), abs=EXACT)


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.integers(1, 3)), min_size=6, max_size=30),
)
def test_whole_weights_are_repeated_rows(rows: list[tuple[int, bool, int]]) -> None:
    x, arm, k = (np.array(column) for column in zip(*rows, strict=True))
    if arm.all() or not arm.any():
        return
    weighted = ecdf_distance(x, arm, weights=k)
    repeated = ecdf_distance(np.repeat(x, k), np.repeat(arm, k))
    assert weighted == pytest.approx(repeated, abs=EXACT)
    one = standardized_difference(x, arm, weights=k, spread=1.0)
    two = standardized_difference(np.repeat(x, k), np.repeat(arm, k), spread=1.0)
    assert one == pytest.approx(two, abs=1e-9)


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
def test_units_and_origin_do_not_matter(seed: int, unit: float, origin: float) -> None:
    rng = np.random.default_rng(seed)
    x, arm, w = rng.normal(size=20), np.arange(20) % 3 == 0, rng.uniform(0.1, 1, 20)
    y = unit * x + origin
    near = 1e-8  # sums of shifted values lose digits
    assert standardized_difference(y, arm, weights=w) == pytest.approx(
        standardized_difference(x, arm, weights=w), abs=near
    )
    assert variance_ratio(y, arm, weights=w) == pytest.approx(variance_ratio(x, arm, weights=w), rel=near)
    assert standardized_difference(x, ~arm, spread="pooled") == pytest.approx(
        -standardized_difference(x, arm, spread="pooled"), abs=EXACT
    )


def test_maximum_is_the_kolmogorov_smirnov_distance() -> None:
    rng = np.random.default_rng(3)
    x, arm = rng.poisson(4, 300).astype(float), rng.random(300) < 0.4
    assert ecdf_distance(x, arm).maximum == pytest.approx(ks_2samp(x[arm], x[~arm]).statistic, abs=EXACT)


def test_constant_treated_values_do_not_pass_for_balance() -> None:
    assert standardized_difference([1, 2, 5, 5], [0, 0, 1, 1]) == np.inf
    assert standardized_difference([4, 6, 5, 5], [0, 0, 1, 1]) == 0.0


@pytest.mark.parametrize(
    ("x", "arm", "weights", "message"),
    [
        ([1, np.nan], [0, 1], None, "1 of 2 values"),
        ([1, 2], [0, 2], None, "other than 0 and 1"),
        ([1, 2], [0, 0], None, "the treated weigh 0"),
        ([1, 2, 3], [0, 1], None, "same length"),
        ([1, 2], [0, 1], [1, -1], "1 weights are negative"),
    ],
)
def test_refusals(x: list, arm: list, weights: list | None, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        standardized_difference(x, arm, weights=weights)


def test_unknown_spread_is_refused() -> None:
    with pytest.raises(SpecError, match="treated, control, pooled"):
        standardized_difference(X, ARM, spread="everyone")
