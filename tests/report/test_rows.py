"""Effects in common units: literal conversions from the published tables, then what must be refused."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitlbayes.errors import FitError, SchemaError, SpecError
from hitlbayes.report.rows import checked, compare, effect_row, in_units

from .standin import Check, Frequentist, array_fit

EXACT = 1e-12  # the same floating-point expression up to rounding
PRINTED = 5e-4  # reference values below are written to three decimals


@pytest.mark.parametrize(
    ("value", "units", "expected"),
    [
        (-0.168, "percent", -15.465),  # 100 (exp(-.168) - 1)
        (0.408, "percent", 50.381),
        (0.023, "percentage points", 2.3),
        (-0.412, "rating points", -0.412),
        (-0.412, "a unit of the user's", -0.412),
    ],
)
def test_effects_are_converted_to_the_units_of_the_fit(value: float, units: str, expected: float) -> None:
    assert in_units(value, units=units) == pytest.approx(expected, abs=PRINTED)


@given(st.floats(-2, 2), st.sampled_from(["percent", "percentage points", "rating points"]))
def test_conversion_keeps_sign_and_order(value: float, units: str) -> None:
    assert np.sign(in_units(value, units=units)) == np.sign(value)
    assert in_units(value + 0.01, units=units) > in_units(value, units=units)


def test_row_holds_quantiles_of_the_draws_and_twin_in_percent() -> None:
    twin = Frequentist(estimate=-0.168, se=0.032, lower=-0.231, upper=-0.105)
    fit = array_fit(
        mean=-15, sd=2, outcome="log_duration", units="percent", family="gaussian", frequentist=twin
    )
    row = effect_row(fit, published=(-0.168, 0.032), truth=-15.0)
    lower, upper = np.quantile(fit.att, [0.025, 0.975])
    assert (row.lower, row.upper) == pytest.approx((lower, upper), abs=EXACT)
    assert row.mean == pytest.approx(fit.att.mean(), abs=EXACT)
    assert (row.twin, row.twin_lower, row.twin_upper) == pytest.approx(
        (-15.465, -20.626, -9.968), abs=PRINTED
    )
    # -.168 -+ 1.959964 x .032 = -.230719, -.105281
    assert (row.published_lower, row.published_upper) == pytest.approx((-20.604, -9.993), abs=PRINTED)
    assert (row.printed, row.printed_se, row.truth) == (-0.168, 0.032, -15.0)


def test_what_a_fit_lacks_is_missing_not_zero() -> None:
    row = effect_row(array_fit(frequentist=None, synthetic=False))
    assert all(
        math.isnan(value) for value in (row.twin, row.twin_lower, row.published, row.printed, row.truth)
    )


def test_rows_survive_a_csv_file() -> None:
    failed = Check(ok=False, problems=("r_hat 1.08", "bulk ESS 37"), r_hat=1.08)
    rows = compare([effect_row(array_fit()), effect_row(array_fit(verdict=failed, frequentist=None))])
    again = checked(pd.read_csv(io.StringIO(rows.to_csv(index=False))))
    assert again["ok"].tolist() == [True, False]
    assert again["problems"].tolist() == ["", "r_hat 1.08; bulk ESS 37"]
    assert math.isnan(again["twin"][1])


def test_flags_read_as_text_are_not_taken_for_true() -> None:
    rows = compare([effect_row(array_fit(verdict=Check(ok=False, problems=("x",))))]).astype({"ok": str})
    assert checked(rows)["ok"].tolist() == [False]
    with pytest.raises(SchemaError, match="True or False"):
        checked(rows.assign(ok="maybe"))


def test_refusals_say_what_was_found() -> None:
    with pytest.raises(SpecError, match="standard error > 0"):
        effect_row(array_fit(), published=(-0.4, 0.0))
    with pytest.raises(SpecError, match="known truth"):
        effect_row(array_fit(synthetic=False), truth=1.0)
    with pytest.raises(SpecError, match="at least one row"):
        compare([])
    broken = array_fit()
    broken.att[0, :3] = np.nan
    with pytest.raises(FitError, match="3 of 2000 draws"):
        effect_row(broken)


def test_incomplete_rows_are_refused() -> None:
    rows = compare([effect_row(array_fit())] * 2)
    with pytest.raises(SchemaError, match=r"lack the columns \['lower'\]"):
        checked(rows.drop(columns="lower"))
    with pytest.raises(SchemaError, match="no row"):
        checked(rows.iloc[:0])
    with pytest.raises(SchemaError, match=r"rows \[1\] of 2"):
        checked(rows.assign(mean=[0.0, math.nan]))
