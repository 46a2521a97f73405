"""No false alarm: figures that fit together before they are rounded are never called otherwise after it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitlbayes.errors import SpecError
from hitlbayes.published import audit
from hitlbayes.published.audit_codes import share_attainable
from hitlbayes.published.audit_effects import star_bounds_allow, stars_of
from hitlbayes.published.audit_matching import issue_p_attainable
from hitlbayes.published.findings import AGREES, DIFFERS, agreement, half_unit, p_two_sided, z_range

DECIMALS = st.integers(0, 4)


@given(value=st.floats(-1e4, 1e4), decimals=DECIMALS)
def test_a_rounded_figure_agrees_with_itself(value: float, decimals: int) -> None:
    assert agreement(round(value, decimals), value, slack=half_unit(decimals)) == AGREES
    other = round(value, decimals) + 3 * half_unit(decimals)  # the nearest half unit is one away
    assert agreement(other, value, slack=half_unit(decimals)) == DIFFERS


@given(n=st.integers(1, 2000), share=st.floats(0, 1), decimals=st.integers(0, 3))
def test_a_percentage_of_a_whole_count_is_attainable(n: int, share: float, decimals: int) -> None:
    count = round(share * n)
    assert share_attainable(round(100 * count / n, decimals), n=n, decimals=decimals)


@given(estimate=st.floats(-2, 2), se=st.floats(0.01, 1), decimals=st.integers(2, 4))
def test_stars_of_the_unrounded_estimate_are_allowed(estimate: float, se: float, decimals: int) -> None:
    shown = round(estimate, decimals), round(se, decimals)
    low, high = z_range(*shown, decimals=decimals)
    assert low - 1e-9 <= abs(estimate) / se <= high + 1e-9
    p = p_two_sided(estimate / se)
    assert star_bounds_allow(stars_of(p), p_two_sided(high), p_two_sided(low))


@given(n=st.integers(50, 1500), first=st.floats(0.01, 0.3), second=st.floats(0.01, 0.3))
def test_a_p_value_of_whole_counts_is_attainable(n: int, first: float, second: float) -> None:
    a, b = round(first * n), round(second * n)
    pooled = (a + b) / (2 * n)
    spread = math.sqrt(2 * pooled * (1 - pooled) / n)
    p = p_two_sided((a - b) / n / spread) if spread > 0 else 1.0
    assert issue_p_attainable(round(a / n, 3), round(b / n, 3), n=n, p=round(p, 3))


def test_every_discrepancy_comes_again_from_one_function() -> None:
    found = audit(agreeing=False)
    for name, part in found.groupby("check"):
        again = audit(agreeing=False, check=str(name))
        pd.testing.assert_frame_equal(again, part.reset_index(drop=True))
        assert np.isfinite(again[["printed", "implied"]]).all(axis=None)
    with pytest.raises(SpecError, match="no check 'star'"):
        audit(check="star")
