"""The cells: literal statistics, the same from every source, and the identities of merging."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.chatlog.collapse import Outcome, merge_cells

from .logs import KINDS, as_kind, random_log, small

# Sums of a few hundred doubles in another order: some n * 1e-16 apart.
ROUNDING = 1e-12
# Welford's update loses about mean / sd digits of the 16: 1e8 / 1 leaves 8.
LARGE_MEAN = 1e-7


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    return panel(read_chats(small())).cells


def test_keys_and_counts_are_literal(cells):
    expected = pd.DataFrame(
        {
            "unit": ["a", "a", "b", "c", "c", "d"],
            "period": pd.to_datetime(
                ["2024-08-14", "2024-08-15", "2024-08-15", "2024-08-14", "2024-08-15", "2024-08-14"]
            ).astype("datetime64[us]"),
            "treated": np.array([1, 1, 1, 0, 0, 0], dtype=np.int8),
            "post": np.array([0, 1, 1, 0, 1, 0], dtype=np.int8),
            "n": [3, 1, 1, 1, 1, 1],
        }
    )
    pd.testing.assert_frame_equal(cells[list(expected)], expected)


def test_statistics_of_a_cell_are_literal(cells):
    cell = cells.iloc[0]  # durations 100, 200, 400; ratings 5, none, 4; retrials 1, 0, 1
    assert cell["log_duration:n"] == 3
    assert cell["log_duration:mean"] == pytest.approx(math.log(200), rel=ROUNDING)
    assert cell["log_duration:ss"] == pytest.approx(2 * math.log(2) ** 2, rel=ROUNDING)
    assert cell["duration:mean"] == pytest.approx(700 / 3, rel=ROUNDING)
    assert cell["duration:ss"] == pytest.approx(140_000 / 3, rel=ROUNDING)
    assert (cell["retrial:n"], cell["retrial:successes"]) == (3, 2)
    assert (cell["responded:n"], cell["responded:successes"]) == (3, 2)
    assert [cell[f"rating:{k}"] for k in range(1, 6)] == [0, 0, 0, 1, 1]
    assert (cell["switch_aways:n"], cell["switch_aways:mean"]) == (3, pytest.approx(4 / 3, rel=ROUNDING))


def test_a_cell_without_values_has_no_mean_and_no_spread():
    log = small().assign(avg_delay=[np.nan, np.nan, np.nan, 1.0, 2.0, 3.0, 4.0, 5.0])
    log.loc[8] = [
        9,
        "b",
        pd.Timestamp("2024-08-14 10:00"),
        1,
        0,
        1,
        "refund",
        10.0,
        0,
        np.nan,
        0,
        1,
        1.0,
        0,
        2.0,
    ]
    cell = panel(log, outcomes="avg_delay").cells.iloc[0]
    assert cell["n"] == 3
    assert cell["avg_delay:n"] == 0
    assert math.isnan(cell["avg_delay:mean"])
    assert cell["avg_delay:ss"] == 0.0


def test_histograms_hold_every_value(cells):
    histogram = panel(read_chats(small())).histograms["switch_aways"]
    expected = {"cell": [0, 0, 1, 2, 3, 4, 5], "value": [0, 2, 1, 0, 3, 0, 1], "n": [1, 2, 1, 1, 1, 1, 1]}
    pd.testing.assert_frame_equal(histogram, pd.DataFrame(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_same_panel(kind, tmp_path):
    log = random_log(seed=1)
    expected = panel(read_chats(log), scope="eligible", by=("issue", "vip", "hour"))
    found = panel(read_chats(as_kind(log, kind, tmp_path)), scope="eligible", by=("issue", "vip", "hour"))
    pd.testing.assert_frame_equal(found.cells, expected.cells, rtol=ROUNDING)
    pd.testing.assert_frame_equal(found.means, expected.means, rtol=ROUNDING)
    pd.testing.assert_frame_equal(found.drops, expected.drops)
    pd.testing.assert_frame_equal(found.histograms["switch_aways"], expected.histograms["switch_aways"])


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e8])
def test_spread_survives_a_large_mean(shift):
    """Against exact rational arithmetic on the very doubles that went in."""
    log = random_log(seed=2)
    log["y"] = shift + log["duration"] / log["duration"].std()
    found = panel(log, outcomes={"y": "gaussian"}).cells
    groups = log.groupby(["worker_id", log["start_time"].dt.floor("D")])["y"]
    exact = [_exact_spread(values.tolist()) for _, values in groups]
    many = found["y:n"].to_numpy() > 1
    np.testing.assert_allclose(found["y:ss"][many], np.array(exact)[many], rtol=LARGE_MEAN)


def _exact_spread(values: list[float]) -> float:
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    return float(sum((value - mean) ** 2 for value in exact))


@pytest.mark.parametrize("low", [0, 10**6, 10**9], ids=["small", "large", "squares are not exact"])
def test_whole_numbers_have_exact_means_and_spreads(low):
    log = random_log(seed=3, chats=400)
    log["words"] = low + np.random.default_rng(3).integers(0, 50, len(log))
    cells = panel(read_chats(log), outcomes="words").cells
    groups = log.assign(period=log["start_time"].dt.floor("D")).groupby(["worker_id", "period"])["words"]
    values = [[int(value) for value in group] for _, group in groups]
    means = [Fraction(sum(v), len(v)) for v in values]
    spreads = [sum((x - m) ** 2 for x in v) for v, m in zip(values, means, strict=True)]
    tolerance = LARGE_MEAN if low == 10**9 else ROUNDING
    np.testing.assert_allclose(cells["words:mean"], [float(m) for m in means], rtol=ROUNDING)
    np.testing.assert_allclose(cells["words:ss"], [float(s) for s in spreads], rtol=tolerance, atol=tolerance)


def test_outcomes_that_every_chat_has_count_as_those_that_one_lacks():
    log = random_log(seed=4, chats=300)
    log["duration"] = np.random.default_rng(4).lognormal(5.0, 1.0, len(log))
    gap = log.copy()
    gap.loc[0, "duration"] = np.nan
    full, less = (panel(read_chats(one), outcomes=["duration", "log_duration"]).cells for one in (log, gap))
    assert (full["duration:n"] == full["n"]).all()
    assert (full["log_duration:n"] == full["n"]).all()
    assert less["duration:n"].sum() == less["log_duration:n"].sum() == len(log) - 1


def test_an_own_column_named_as_a_computed_one_keeps_its_gaps():
    log = random_log(seed=5, chats=300)
    log["duration"] = 100.0
    log["log_duration"] = np.where(np.arange(len(log)) % 3, 4.6, np.nan)
    cells = panel(read_chats(log), outcomes={"log_duration": "gaussian"}).cells
    assert cells["log_duration:n"].sum() == log["log_duration"].notna().sum()


def test_the_same_log_gives_the_same_bits(tmp_path):
    """More than one row group, so that several threads would have something to race for."""
    log = random_log(seed=3, chats=400_000)
    path = tmp_path / "log.parquet"
    log.to_parquet(path, index=False, row_group_size=20_000)
    first, *others = (panel(read_chats(path), outcomes=["log_duration"]).cells for _ in range(3))
    for other in others:
        pd.testing.assert_frame_equal(first, other, rtol=0, atol=0)


OUTCOMES = {
    "log_duration": Outcome("gaussian"),
    "retrial": Outcome("bernoulli"),
    "rating": Outcome("ordinal", (1, 2, 3, 4, 5)),
    "switch_aways": Outcome("count"),
}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    chats=st.integers(60, 300),
    by=st.lists(st.sampled_from(["issue", "vip", "hour", "eligible"]), unique=True, min_size=1, max_size=3),
)
def test_merging_fine_cells_is_collapsing_coarser(seed, chats, by):
    log = random_log(seed=seed, chats=chats, workers=4)
    read = read_chats(log)
    fine = panel(read, by=by, outcomes=list(OUTCOMES)).cells
    coarse = panel(read, outcomes=list(OUTCOMES)).cells
    merged = merge_cells(fine, keys=["unit", "period"], outcomes=OUTCOMES)
    pd.testing.assert_frame_equal(merged[list(coarse)], coarse, rtol=1e-9, atol=1e-12, check_dtype=False)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), chats=st.integers(60, 300), period=st.sampled_from(["day", "hour"]))
def test_sums_equal_a_plain_groupby_of_chats(seed, chats, period):
    log = random_log(seed=seed, chats=chats, workers=4)
    found = panel(log, period=period, outcomes=list(OUTCOMES)).cells
    keys = [log["worker_id"].rename("unit"), log["start_time"].dt.floor(period[0].upper().replace("H", "h"))]
    groups = log.assign(log_duration=np.log(log["duration"])).groupby(keys)
    np.testing.assert_array_equal(found["n"], groups.size())
    np.testing.assert_array_equal(found["retrial:successes"], groups["retrial"].sum())
    np.testing.assert_array_equal(found["switch_aways:n"], groups["switch_aways"].count())
    np.testing.assert_allclose(found["log_duration:mean"], groups["log_duration"].mean(), rtol=1e-12)
    spread = (groups["log_duration"].var(ddof=0) * groups.size()).to_numpy()
    np.testing.assert_allclose(found["log_duration:ss"], spread, rtol=1e-9, atol=1e-12)
    for k in range(1, 6):
        np.testing.assert_array_equal(
            found[f"rating:{k}"], groups["rating"].apply(lambda r, k=k: (r == k).sum())
        )
