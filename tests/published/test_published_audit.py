"""Each finding that a reader would act on, and the arithmetic behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitlbayes.published import audit
from hitlbayes.published.audit_balance import p_range
from hitlbayes.published.audit_codes import share_attainable
from hitlbayes.published.audit_effects import star_bounds_allow, stars_of
from hitlbayes.published.audit_matching import issue_p_attainable
from hitlbayes.published.findings import VERDICTS, p_two_sided, z_range


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return audit().set_index("what")


# printed, implied (by hand), tolerance of the hand calculation, verdict
KNOWN = [
    ("share of treated workers", 0.53, 302 / 647, 1e-9, "differs"),
    ("eligible share, percent", 5.8, 100 * 39432 / 680676, 1e-9, "agrees"),
    ("mean tenure, months", 12.5, 12.48, 1e-9, "agrees"),
    ("mean tenure of all workers", 1.04, (302 * 0.99 + 345 * 1.02) / 647, 1e-9, "differs"),
    ("worker-hours, duration against retrials", 96577, 95677, 0, "differs"),
    ("takeovers coded by the LLM", 7541, 5179 + 972 + 1390, 0, "agrees"),
    ("takeovers in Table 6 against those coded", 7195, 7541, 0, "two samples"),
    ("share of technical escalations, percent", 44.1, 100 * 4879 / 11069, 1e-9, "agrees"),
    ("observations, emotional", 1908, 2 * 954, 0, "agrees"),
    ("matching variables", 14, 12, 0, "differs"),
    ("total effect on log_duration", -0.032, -0.0267, 1e-4, "within uncertainty"),
    ("total effect on retrial", 0.003, 0.0032, 1e-4, "agrees"),
    ("direct effect on log_duration", -0.168, -0.0950, 1e-4, "differs"),
    ("change in duration, emotional, percent", 40.8, 100 * np.expm1(0.408), 1e-9, "wording"),
    ("change in duration, ineligible, percent", -1.8, 100 * np.expm1(-0.018), 1e-9, "agrees"),
    ("effects repeated in the text", 7, 7, 0, "agrees"),
    ("all measures: stated bound and least agreement", 90, 87.39, 0, "wording"),
    ("four effort measures: stated bound and least kappa", 0.85, 0.86, 0, "agrees"),
    ("code of proactivity in the example, and its scale's top", 2, 1, 0, "differs"),
    ("agreements that whole chats of 500 can give", 7, 1, 0, "cannot hold together"),
]


@pytest.mark.parametrize(("what", "printed", "implied", "tolerance", "verdict"), KNOWN)
def test_known_findings(
    rows: pd.DataFrame, what: str, printed: float, implied: float, tolerance: float, verdict: str
) -> None:
    row = rows.loc[what]
    assert row["printed"] == printed
    assert row["implied"] == pytest.approx(implied, abs=tolerance)
    assert row["verdict"] == verdict


def test_every_row_is_whole(rows: pd.DataFrame) -> None:
    assert rows.index.is_unique
    assert set(rows["verdict"]) <= set(VERDICTS)
    assert np.isfinite(rows[["printed", "implied"]].to_numpy()).all()
    assert (rows["gap"] == rows["printed"] - rows["implied"]).all()
    assert (rows.loc[rows["verdict"] != "agrees", "note"] != "").all()
    assert audit().attrs["source"] == "published"


def test_agreeing_rows_can_be_left_out() -> None:
    assert "agrees" not in set(audit(agreeing=False)["verdict"])


def test_retrial_spread_needs_more_chats_than_there_are(rows: pd.DataFrame) -> None:
    row = rows.loc["pre-period chats that the retrial rates' SDs need at least"]
    # SD at most .045 and .055, mean at least .435 and .445, worker-days 3,320 and 3,994
    least = 0.435 * 0.565 / 0.045**2 * 3320 + 0.445 * 0.555 / 0.055**2 * 3994
    assert row["printed"] == pytest.approx(least)
    assert row["printed"] > 680676
    assert row["verdict"] == "cannot hold together"


@given(p=st.lists(st.floats(0.05, 0.95), min_size=2, max_size=30), n=st.integers(2, 60))
def test_binomial_floor_holds_however_workers_differ(p: list[float], n: int) -> None:
    rate = np.array(p)
    total = rate.var() + (rate * (1 - rate) / n).mean()
    assert total >= rate.mean() * (1 - rate.mean()) / n - 1e-12


def test_all_stars_fit_when_rounding_is_allowed_for(rows: pd.DataFrame) -> None:
    row = rows.loc["estimates whose stars fit estimate / SE, rounding allowed for"]
    assert row["printed"] == row["implied"] == 36  # 9 in Tables 2-4, 12 in 5, 3 in 7, 3 in A2, 9 in A4


@pytest.mark.parametrize(
    ("p", "stars"), [(0.0005, "****"), (0.005, "***"), (0.03, "**"), (0.07, "*"), (0.2, "")]
)
def test_stars(p: float, stars: str) -> None:
    assert stars_of(p) == stars
    assert star_bounds_allow(stars, p, p)
    assert not star_bounds_allow("**" if stars != "**" else "***", p, p)


def test_rounding_widens_a_ratio() -> None:
    assert z_range(-0.008, 0.003, decimals=3) == pytest.approx((0.0075 / 0.0035, 0.0085 / 0.0025))
    assert p_two_sided(1.644854) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "panel", "printed"),
    [("duration", "chat", 0.420), ("active_time", "chat", 0.553), ("age", "worker", 0.431)],
)
def test_balance_p_values_are_those_of_a_t_test(row: str, panel: str, printed: float) -> None:
    low, high = p_range(row, panel)
    assert low - 0.0005 <= printed <= high + 0.0005  # printed to three decimals
    assert high - low < 0.03


def test_counts_that_shares_allow() -> None:
    assert share_attainable(94.99, n=499, decimals=2)
    assert not share_attainable(94.99, n=500, decimals=2)
    assert issue_p_attainable(0.097, 0.083, n=3874, p=0.039)
    assert not issue_p_attainable(0.027, 0.022, n=1362, p=0.287)


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("human_delay: emotional - technical", "wording"),
        ("human_delay: emotional - human", "agrees"),
        ("human_rounds: emotional - technical", "wording"),
        ("human_messages: emotional - technical", "agrees"),
        ("empathy: human - technical", "wording"),
        ("rating: human - emotional", "wording"),
        ("log_duration: human - technical", "agrees"),
    ],
)
def test_stated_differences(rows: pd.DataFrame, what: str, verdict: str) -> None:
    assert rows.loc[what, "verdict"] == verdict
