"""How numbers are written: never a sign or a certainty that the digits do not carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitlbayes.errors import FitError
from hitlbayes.report.draws import draws_of, sign_phrase
from hitlbayes.report.wording import bracket, decimals, number, subject


@pytest.mark.parametrize(
    ("value", "places", "written"),
    [
        (-0.004, 2, "0.00"),
        (-0.006, 2, "−0.01"),
        (12345.6, 0, "12,346"),
        (float("nan"), 2, "–"),
        (None, 1, "–"),
    ],
)
def test_numbers(value: float | None, places: int, written: str) -> None:
    assert number(value, places=places) == written


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_a_written_number_reads_back_within_half_a_digit(value: float, places: int) -> None:
    read = float(number(value, places=places).replace("−", "-").replace(",", ""))
    assert abs(read - value) <= 0.5 * 10**-places + 1e-9 * max(1, abs(value))  # the last printed digit


@given(st.floats(1e-5, 90))
def test_decimals_show_two_significant_digits_of_the_spread(spread: float) -> None:
    unit = 10.0 ** -decimals(spread)
    assert unit <= spread
    assert spread < 1000 * unit


def test_an_interval_without_ends_is_empty() -> None:
    assert bracket(float("nan"), 1.0) == ""


def test_sign_phrase_never_rounds_to_certainty() -> None:
    draws = np.ones(10_000)
    assert sign_phrase(draws) == "all 10,000 draws are above zero"
    draws[0] = -1
    assert sign_phrase(draws) == "99.9% of 10,000 draws are above zero"


def test_no_draws_are_refused() -> None:
    with pytest.raises(FitError, match="0 of 0 draws"):
        draws_of([], what="att")


def test_subject_of_someone_elses_experiment() -> None:
    assert subject("basket_value", scope=None) == "Basket value"
    assert subject("rating", scope="night shift", capital=False) == "customer rating, night shift"
